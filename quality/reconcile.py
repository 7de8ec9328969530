"""Does everything earned, instructed, settled and booked agree, and which lines do not: the walk and the breaks."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from guelta.errors import BadSetting
from guelta.lake import Lake
from guelta.money import from_raw, whole
from quality import line_status

_READ = ("core.earnings", "core.payouts", "core.payout_earnings", "core.reconciliation_lines", "core.tokens")


@dataclass(frozen=True, slots=True)
class WalkRow:
    """One token of one period, in base units: opening + earned + adjustments - settled - in flight = closing.

    ``over`` is the part of settled that discharges no earning, ``held`` the part of closing that is kept back on
    purpose. The control difference must be 0: it adds up, never letting two of them cancel, what was paid and not
    allocated or the reverse, what was discharged beyond an earning, and, in every month alike as no month can be told
    for it, what the lines expected, settled and lost astray less what was earned and paid.
    """

    period: str
    chain_id: int
    token: str
    symbol: str
    decimals: int
    opening: int
    earned: int
    adjustments: int
    settled: int
    in_flight: int
    closing: int
    over: int
    held: int
    control_difference: int


@dataclass(frozen=True, slots=True)
class ReconLine:
    recon_key: str
    status: str
    code: str | None
    reason: str | None
    period: str
    kind: str
    chain_id: int
    token: str
    symbol: str
    decimals: int
    party: str
    expected: int
    settled: int
    delta: int
    at_risk: int
    first_seen_at: str
    age_days: int
    owner: str | None
    evidence: str


@dataclass(frozen=True, slots=True)
class ReconcileSummary:
    period: str
    as_of: str
    walk: tuple[WalkRow, ...]
    breaks: tuple[ReconLine, ...]
    explained: tuple[ReconLine, ...]
    totals: dict[str, int]  # status -> lines

    @property
    def control_difference(self) -> int:
        return sum(abs(row.control_difference) for row in self.walk)

    @property
    def exit_code(self) -> int:
        return 1 if self.breaks or self.control_difference else 0

    def lines(self) -> list[str]:
        """The summary as it is printed."""
        told = [f"reconciliation of {self.period}, as of {self.as_of}"]
        for row in self.walk:
            amounts = {name: whole(getattr(row, name), row.decimals) for name in _SHOWN}
            told.append(
                f"  {row.period} {row.symbol:<6} opening {amounts['opening']} + earned {amounts['earned']} "
                f"- settled {amounts['settled']} - in flight {amounts['in_flight']} = closing {amounts['closing']}; "
                f"control difference {row.control_difference}"
            )
        told.append("  " + ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in self.totals.items()))
        told += [
            f"  {line.code} {line.status.replace('_', ' ')}: {line.recon_key} expected {line.expected}, settled "
            f"{line.settled} {line.symbol} base units; evidence {line.evidence or 'none'}"
            for line in self.breaks
        ]
        told.append(f"{len(self.breaks)} unexplained breaks, control difference {self.control_difference} base units")
        return told

    def as_json(self) -> dict[str, Any]:
        """The same for a machine; amounts are text, because JSON numbers lose digits."""
        return {
            "period": self.period,
            "as_of": self.as_of,
            "control_difference": str(self.control_difference),
            "totals": self.totals,
            "walk": [_plain(row) for row in self.walk],
            "breaks": [_plain(line) for line in self.breaks],
            "explained": [_plain(line) for line in self.explained],
        }


def summary(lake: Lake, period: str = "all") -> ReconcileSummary:
    """The walk and the lines of one month (``2026-10``), or of all of them.

    Raises:
        BadSetting: a period that is neither a month nor ``all``.
        Fatal: the tables are not built yet.
    """
    if period != "all" and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", period):
        raise BadSetting(f"expected a month like 2026-10 or all, found {period!r}")
    with lake.duck(_READ) as con:
        tokens = {
            (chain, token): (symbol or "?", decimals or 0)
            for chain, token, symbol, decimals in _rows(
                con, "select chain_id, token, symbol, decimals from core.tokens"
            )
        }
        lines = [_line(row, tokens) for row in _rows(con, _LINES) if period in ("all", row[4])]
        ((as_of,),) = _rows(con, "select max(as_of_at) from core.reconciliation_lines")
        walk = [row for row in _walk(con, tokens) if period in ("all", row.period)]
    totals: dict[str, int] = {}
    for status in line_status.STATUSES:
        if count := sum(line.status == status for line in lines):
            totals[status] = count
    return ReconcileSummary(
        period=period,
        as_of=as_of.isoformat() if as_of else "never",
        walk=tuple(walk),
        breaks=tuple(line for line in lines if line_status.is_break(line.status)),
        explained=tuple(line for line in lines if line.status not in _AGREED and not line_status.is_break(line.status)),
        totals=totals,
    )


_SHOWN = ("opening", "earned", "settled", "in_flight", "closing")
_AGREED = ("matched", "matched_grouped")
_LINES = """
    select recon_key, status, code, reason_code, period, kind, chain_id, token, party, expected_raw, settled_raw,
        delta_raw, cast(coalesce(at_risk, 0) as varchar), strftime(first_seen_at, '%Y-%m-%dT%H:%M:%SZ'), age_days,
        owner, evidence
    from core.reconciliation_lines
    order by period, recon_key
"""
# Amounts as 32 bytes: those beyond 38 digits have no decimal.
_EARNED = "select period, chain_id, token, earning_id, amount_raw from core.earnings where amount_raw is not null"
_PAID = """
    select strftime(payouts.at, '%Y-%m'), payouts.chain_id, payouts.token, payout_id, amount_raw,
        coalesce(block_number <= final.block, false)
    from core.payouts as payouts
    left join (
        select chain_id, max(as_of_block) as block from core.reconciliation_lines group by chain_id
    ) as final on final.chain_id = payouts.chain_id
    where amount_raw is not null
"""
_ALLOCATED = """
    select period, coalesce(earned_period, period), chain_id, token, payout_id, earning_id, amount_raw
    from core.payout_earnings
"""
_STANDING = """
    select period, chain_id, token, status, expected_raw, settled_raw, astray_chain_id, astray_token, astray_raw
    from core.reconciliation_lines
"""
_Place = tuple[str, int, bytes]  # period, chain, token


def _walk(con: Any, tokens: dict[tuple[int, bytes], tuple[str, int]]) -> Iterable[WalkRow]:
    flows, apart = _flows(con)
    periods = sorted({period for flow in flows.values() for period, _, _ in flow})
    for chain, token in sorted({place[1:] for flow in flows.values() for place in flow} | set(apart)):
        opening = 0
        symbol, decimals = tokens.get((chain, token), ("?", 0))
        for period in periods:
            month = {name: flow[period, chain, token] for name, flow in flows.items()}
            closing = opening + month["earned"] - month["settled"] - month["in_flight"]
            yield WalkRow(
                period=period, chain_id=chain, token="0x" + token.hex(), symbol=symbol, decimals=decimals,
                opening=opening, earned=month["earned"], adjustments=0, settled=month["settled"],
                in_flight=month["in_flight"], closing=closing, over=month["over"], held=month["held"],
                control_difference=month["loose"] + apart[chain, token],
            )  # fmt: skip
            opening = closing


def _flows(con: Any) -> tuple[dict[str, dict[_Place, int]], dict[tuple[int, bytes], int]]:
    """What moved in each month, with what is loose in it, and how far the lines are apart from it all."""
    flows: dict[str, dict[_Place, int]] = {
        name: defaultdict(int) for name in ("earned", "settled", "in_flight", "over", "held", "loose")
    }
    owed: dict[tuple[int, bytes], int] = defaultdict(int)  # earned less what the lines expected
    gone: dict[tuple[int, bytes], int] = defaultdict(int)  # paid less what the lines say of it
    earned: dict[str, int] = {}
    unallocated: dict[str, tuple[_Place, int]] = {}
    overdrawn: dict[str, tuple[_Place, int]] = {}
    for period, chain, token, earning, raw in _rows(con, _EARNED):
        earned[earning] = amount = from_raw(raw)
        flows["earned"][period, chain, token] += amount
        owed[chain, token] += amount
    for period, chain, token, payout, raw, is_final in _rows(con, _PAID):
        place, amount = (period, chain, token), from_raw(raw)
        flows["settled" if is_final else "in_flight"][place] += amount
        gone[chain, token] += amount
        unallocated[payout] = place, amount if is_final else 0
    for period, origin, chain, token, payout, earning, raw in _rows(con, _ALLOCATED):
        amount = from_raw(raw)
        place, rest = unallocated.get(payout, ((period, chain, token), 0))
        unallocated[payout] = place, rest - amount
        if earning:
            place, rest = overdrawn.get(earning, ((origin, chain, token), -earned.get(earning, 0)))
            overdrawn[earning] = place, rest + amount
        else:
            flows["over"][period, chain, token] += amount
    for place, rest in unallocated.values():
        flows["loose"][place] += abs(rest)
    for place, rest in overdrawn.values():
        flows["loose"][place] += max(rest, 0)
    for period, chain, token, status, expected, settled, other_chain, other_token, astray in _rows(con, _STANDING):
        owed[chain, token] -= int(expected)
        gone[chain, token] -= int(settled)
        if other_chain is not None:
            gone[other_chain, other_token] -= int(astray)
        flows["held"][period, chain, token] += int(expected) if status == "on_hold" else 0
    apart = {purse: abs(owed[purse]) + abs(gone[purse]) for purse in {*owed, *gone}}
    return flows, defaultdict(int, apart)


def _line(row: tuple[Any, ...], tokens: dict[tuple[int, bytes], tuple[str, int]]) -> ReconLine:
    (key, status, code, reason, period, kind, chain, token, party, expected, settled, delta, risk, seen, age, owner,
     evidence) = row  # fmt: skip
    symbol, decimals = tokens.get((chain, token), ("?", 0))
    return ReconLine(
        key, status, code, reason, period, kind, chain, "0x" + token.hex(), symbol, decimals, party, int(expected),
        int(settled), int(delta), int(risk), seen, age, owner, evidence,
    )  # fmt: skip


def _rows(con: Any, query: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = con.execute(query).fetchall()
    return rows


_AMOUNTS = {"opening", "earned", "adjustments", "settled", "in_flight", "closing", "over", "held", "control_difference",
            "expected", "delta", "at_risk"}  # fmt: skip


def _plain(row: WalkRow | ReconLine) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in row.__dataclass_fields__}
    return {name: str(value) if name in _AMOUNTS else value for name, value in values.items()}
