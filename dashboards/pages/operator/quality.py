"""Quality gates: which rules hold on which table, and what was refused?"""

import polars as pl
import streamlit as st

from dashboards import data, frame, standing, tiles
from dashboards.tiles import Tile

ICON = ":material/rule:"
PLACE = 1

with frame.page(__doc__, needs="ops.gate_results") as page:
    results = standing.newest_gates()
    refused = data.rows("ops.quarantine")
    gates = standing.gates()
    tiles.row(
        [
            Tile("Rules checked", gates.total),
            Tile("Passed", gates.passed),
            Tile("Failed", gates.total - gates.passed, good="inverse"),
            Tile("Tables checked", results["table_name"].n_unique()),
            Tile("Rows in quarantine", refused.height, "Refused rows are kept with the rule and the reason."),
        ]
    )
    only = st.segmented_control("Show", ["all rules", "failed"], default="all rules", key="show", bind="query-params")
    shown = results if only != "failed" else results.filter(~pl.col("passed"))
    shown = shown.with_columns(
        pl.col("rule_id").str.strip_prefix(pl.col("table_name") + ".").alias("rule"),
        pl.when("passed").then(pl.lit("✓ passed")).otherwise(pl.lit("✗ failed")).alias("status"),
    ).sort("passed", "table_name", "rule_id")
    page.table(
        "gates",
        shown,
        {
            "status": st.column_config.TextColumn("Status", pinned=True, width="small"),
            "table_name": st.column_config.TextColumn("Table"),
            "rule": st.column_config.TextColumn("Rule", width="large"),
            "severity": st.column_config.TextColumn("Severity", width="small"),
            "failing": st.column_config.NumberColumn("Failing rows", format="localized"),
            "version": st.column_config.NumberColumn("Table version"),
            "day": st.column_config.DateColumn("Checked on"),
        },
        says="Every rule with its table, its newest result and how many rows broke it.",
        height=520,
    )
    st.subheader("Quarantine", anchor=False)
    st.caption(
        "Rows that broke a rule are kept, never dropped. After a fix, `guelta release TABLE` publishes those that pass."
    )
    page.table(
        "quarantine",
        refused.sort("table_name", "rule_id", "row_key") if refused.height else refused,
        {
            "table_name": st.column_config.TextColumn("Table"),
            "rule_id": st.column_config.TextColumn("Rule"),
            "reason": st.column_config.TextColumn("Reason", width="large"),
            "row_key": st.column_config.TextColumn("Row"),
            "row": st.column_config.JsonColumn("As received", width="large"),
            "day": st.column_config.DateColumn("On"),
        },
        says="Refused rows with the rule they broke and the row as it was received.",
    )
