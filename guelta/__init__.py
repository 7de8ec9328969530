"""Guelta: who earned what, from which call, through which datasets and models, and was it paid.

The house, in the order data walks through it:

- ``indexer/``: what happened: chains and platforms become raw tables.
- ``models/``: what it means: one file is one table, its header is its contract.
- ``quality/``: whether to believe it: rules, agreement, reconciliation.
- ``pipelines/``: when it runs: Dagster assets, sensors, reports.
- ``dashboards/``: how it is seen: pages over the metrics.
- ``guelta/``: the floor all of them stand on (errors, money, settings, lake, decisions) and the door (cli, demo).
"""

__version__ = "0.1.0"
