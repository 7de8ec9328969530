"""How evenly an amount is held: Lorenz curve and Gini coefficient over those who hold more than nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import polars as pl


@dataclass(frozen=True, slots=True)
class Spread:
    """Exact amounts, the least first."""

    amounts: tuple[int, ...]

    @property
    def earners(self) -> int:
        return len(self.amounts)

    @property
    def gini(self) -> float | None:
        """Σ(2i − n − 1)·x / (n·Σx) over ascending x (10-domain §10.2); None where nobody holds anything.

        >>> of([5, 5, 5]).gini, of([0, 1, 0, 0]).gini, round(of([1, 3]).gini, 2)
        (0.0, 0.0, 0.25)
        """
        n, whole = self.earners, sum(self.amounts)
        if not whole:
            return None
        return float(Fraction(sum((2 * i - n - 1) * x for i, x in enumerate(self.amounts, start=1)), n * whole))

    @property
    def top10(self) -> float | None:
        whole = sum(self.amounts)
        return float(Fraction(sum(self.amounts[-10:]), whole)) if whole else None

    def lorenz(self, points: int) -> pl.DataFrame:
        """At most ``points`` of the curve, its ends among them."""
        n, whole = self.earners, sum(self.amounts)
        if not whole:
            return pl.DataFrame(schema={"people": pl.Float64, "held": pl.Float64})
        running = [0]
        for amount in self.amounts:
            running.append(running[-1] + amount)
        step = max(1, n // (points - 1))
        places = sorted({*range(0, n + 1, step), n})
        return pl.DataFrame(
            {
                "people": [float(Fraction(place, n)) for place in places],
                "held": [float(Fraction(running[place], whole)) for place in places],
            }
        )


def of(amounts: Sequence[int]) -> Spread:
    return Spread(tuple(sorted(amount for amount in amounts if amount > 0)))
