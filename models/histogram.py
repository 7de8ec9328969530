"""Latency as counts in buckets that grow by 2 %: exact to add up, and a quantile within 1 % of the truth.

Bucket ``b`` holds the microseconds ``boundaries()[b - 1] < x <= boundaries()[b]``; bucket 0 holds 0 and below. The
boundaries are a table of integers, because logarithms in floats put edge values into different buckets on different
engines (41-quality-usage §5). The highest bucket has no upper end.
"""

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

GAMMA = Fraction(102, 100)
LONGEST_US = 7 * 24 * 3600 * 1_000_000  # no call takes longer than a week
UNBOUNDED = 2**63 - 1


@cache
def boundaries() -> tuple[int, ...]:
    """The highest value of each bucket, from bucket 0 up: ``floor(gamma ** b)``; the last one is the largest integer.

    >>> boundaries()[:3], boundaries()[348:350]
    ((0, 1, 1), (983, 1003))
    """
    top, bucket = [0], 0
    while top[-1] < LONGEST_US:
        bucket += 1
        top.append(GAMMA.numerator**bucket // GAMMA.denominator**bucket)
    return (*top[:-1], UNBOUNDED)


def bucket_of(microseconds: int) -> int:
    """The first bucket whose boundary is not below the value (buckets without an integer of their own stay empty)."""
    return bisect_left(boundaries(), max(microseconds, 0))


def value_of(bucket: int) -> float:
    """What a bucket stands for, in microseconds: at most 1 % from every value in it."""
    return 0.0 if bucket <= 0 else 2 * float(GAMMA) ** bucket / (float(GAMMA) + 1)


def quantile(counts: Sequence[tuple[int, int]], q: Fraction) -> float | None:
    """The ``q`` quantile of (bucket, count) pairs: the lowest bucket that reaches rank ``q * (n - 1) + 1``."""
    total = sum(count for _, count in counts)
    if total == 0:
        return None
    rank, seen = q * (total - 1) + 1, 0
    for bucket, count in sorted(counts):
        seen += count
        if seen >= rank:
            return value_of(bucket)
    raise AssertionError("counts are not negative")
