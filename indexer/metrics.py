"""What following a chain costs: counters, and the rates that people ask for."""

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Meter:
    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    bytes_read: int = 0
    blocks: int = 0
    logs: int = 0
    transactions: int = 0
    receipts_proven: int = 0
    commits: int = 0
    commit_seconds: float = 0.0
    reorgs: int = 0
    deepest_reorg: int = 0

    def lines(self, chain: str) -> list[str]:
        """Prometheus text, one line a counter."""
        return [f'guelta_follow_{name}{{chain="{chain}"}} {value}' for name, value in asdict(self).items()]
