"""How many blocks to ask for at once: what the answers held, and what the endpoint said when it was too much."""

from dataclasses import dataclass

from indexer.rpc.refusals import Advice

_TARGET_LOGS = 4_000
_FIRST_SPAN = 500
_GROWTH = 2
_RETRY_CAP_AFTER = 200  # answers; a limit learnt once must not pin a small range for ever


@dataclass(slots=True)
class Spans:
    """The span of one endpoint's next request."""

    span: int = _FIRST_SPAN
    cap: int | None = None
    answers_since_cap: int = 0
    density: float = 0.0  # logs per block, a running estimate; never money

    def next(self, first: int, last: int) -> int:
        """The last block of the next request that starts at ``first``."""
        return min(last, first + max(1, self.span) - 1)

    def took(self, blocks: int, logs: int) -> None:
        seen = logs / blocks
        self.density = seen if self.density == 0 else 0.7 * self.density + 0.3 * seen
        wanted = int(_TARGET_LOGS / self.density) if self.density > 0 else blocks * _GROWTH
        self.answers_since_cap += 1
        if self.cap is not None and self.answers_since_cap > _RETRY_CAP_AFTER:
            self.cap = None
        self.span = max(1, min(wanted, max(blocks, self.span) * _GROWTH, self.cap or wanted))

    def refused(self, advice: Advice, first: int, last: int) -> int:
        """The last block of a smaller request after a refusal; ``first`` when only one block is left."""
        asked = last - first + 1
        size = max(1, asked // 2)
        if advice.action == "size" and 0 < advice.numbers[0] < asked:
            size = advice.numbers[0]
            self.cap, self.answers_since_cap = size, 0
        if advice.action == "range":
            low, high = sorted(advice.numbers[:2])  # one provider sends them inverted
            # A suggestion is used only if it lies inside our request and shrinks it.
            if low >= first and high <= last and high - low + 1 < asked:
                size = high - low + 1
        self.span = size
        return first + size - 1
