"""What following a chain costs: the counters behind every rate."""

from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    bytes_read: int = 0
    blocks: int = 0
    logs: int = 0
    transactions: int = 0
    commits: int = 0
    commit_seconds: float = 0.0
    reorgs: int = 0
    deepest_reorg: int = 0
