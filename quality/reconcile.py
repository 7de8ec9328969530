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
    purpose. The control difference compares closing with what the matching left open, earning by earning: it must be 0.
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
# Amounts beyond 38 digits have no decimal; their bytes are summed apart.
_SUM = "cast(coalesce(sum(amount), 0) as decimal(38,0)), list(amount_raw) filter (where amount is null)"
_FLOWS = {
    "earned": f"select period, chain_id, token, {_SUM} from core.earnings group by all",
    "settled": f"""
        select strftime(payouts.at, '%Y-%m') as period, chain_id, token, {_SUM}
        from core.payouts as payouts
        where payout_id in (select payout_id from core.payout_earnings)
        group by all""",
    "in_flight": f"""
        select strftime(payouts.at, '%Y-%m') as period, chain_id, token, {_SUM}
        from core.payouts as payouts
        where payout_id not in (select payout_id from core.payout_earnings)
        group by all""",
    "discharged": f"""
        select period, chain_id, token, {_SUM} from core.payout_earnings where earning_id <> '' group by all""",
    "over": f"select period, chain_id, token, {_SUM} from core.payout_earnings where earning_id = '' group by all",
    "held": """
        select period, chain_id, token, cast(sum(expected) as decimal(38,0)), null
        from core.reconciliation_lines where status = 'on_hold' group by all""",
}


def _walk(con: Any, tokens: dict[tuple[int, bytes], tuple[str, int]]) -> Iterable[WalkRow]:
    flows: dict[str, dict[tuple[int, bytes], dict[str, int]]] = {}
    for name, query in _FLOWS.items():
        flows[name] = defaultdict(lambda: defaultdict(int))
        for period, chain, token, amount, beyond in _rows(con, query):
            flows[name][chain, token][period] += int(amount) + sum(map(from_raw, beyond or ()))
    periods = sorted({period for flow in flows.values() for months in flow.values() for period in months})
    for chain, token in sorted({key for flow in flows.values() for key in flow}):
        month = {name: flow[chain, token] for name, flow in flows.items()}
        opening = open_ = 0
        symbol, decimals = tokens.get((chain, token), ("?", 0))
        for period in periods:
            earned, settled, in_flight = (month[name][period] for name in ("earned", "settled", "in_flight"))
            closing = opening + earned - settled - in_flight
            # The other side of the control: what the matching left of each earning, less what left for nothing.
            open_ += earned - month["discharged"][period] - month["over"][period] - in_flight
            yield WalkRow(
                period=period, chain_id=chain, token="0x" + token.hex(), symbol=symbol, decimals=decimals,
                opening=opening, earned=earned, adjustments=0, settled=settled, in_flight=in_flight, closing=closing,
                over=month["over"][period], held=month["held"][period], control_difference=closing - open_,
            )  # fmt: skip
            opening = closing


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
