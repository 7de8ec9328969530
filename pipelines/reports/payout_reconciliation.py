"""What was earned, instructed, settled and booked in a month, and what does not match."""

from typing import Any

import polars as pl

from guelta.money import sum_by
from pipelines.reports import Column, Read, Report, Sheet
from quality import line_status

title = "Payout reconciliation"
tables = ("marts.reconciliation", "marts.reconciliation_walk", "marts.tokens", "marts.chains")
schedule = "0 6 * * *"

_WALK = (
    ("opening", "Opening payable"),
    ("earned", "+ Earned"),
    ("adjustments", "± Adjustments"),
    ("settled", "− Settled"),
    ("in_flight", "− In flight"),
    ("closing", "= Closing payable"),
    ("control_difference", "Control difference"),
)
_DEFINITIONS = (
    ("Earned", "What the terms in force at each payment entitle a payee to, exact in base units."),
    ("Instructed", "Legs of payout runs as the platform ordered them."),
    ("Settled", "Finalized transfers and claims on the chain, from logs."),
    ("Booked", "The platform's own ledger of payouts."),
    (
        "Control difference",
        "What the sides say of each other, counted apart, payout by payout and earning by earning: 0 base units.",
    ),
    ("Break", "A line whose sides differ and whose difference nothing explains; codes E01 to E27."),
)


def make(read: Read, period: str) -> Report:
    """The pack of one closed month."""
    tokens = {(row["chain_id"], row["token"]): row for row in read("marts.tokens").to_dicts()}
    chains = read("marts.chains").to_dicts()
    walk = read("marts.reconciliation_walk").filter(pl.col("period") == period)
    lines = read("marts.reconciliation").filter(pl.col("period") == period)
    broken = [status for status in line_status.STATUSES if line_status.is_break(status)]
    breaks = lines.filter(pl.col("status").is_in(broken)).sort("status", "recon_key")
    difference = _total(walk, "control_difference")
    settled = lines.filter(pl.col("status").is_in(("matched", "matched_grouped"))).height
    figures = (
        ("Control difference", f"{difference} base units", "must be 0 for every token"),
        ("Lines", f"{lines.height:,}", f"{settled:,} matched to the last unit"),
        ("Open breaks", f"{breaks.height:,}", "unexplained, each with its evidence"),
        ("Tokens", f"{walk['token'].n_unique()}", "never added to each other"),
    )
    controls = {
        "control difference (base units)": str(difference),
        "lines": str(lines.height),
        "breaks": str(breaks.height),
    }
    for row in walk.sort("chain_id", "token").to_dicts():
        symbol = _token(tokens, row)[1]
        controls |= {f"{name} {symbol} (base units)": str(int(row[name])) for name in ("earned", "settled", "closing")}
    return Report(
        title=title,
        period=period,
        question="Do earned, instructed, settled and booked agree to the last unit, and which lines do not?",
        figures=figures,
        sheets=(_walk(walk, tokens), _statuses(lines), _breaks(breaks, tokens), _lines(lines, tokens)),
        controls=controls,
        demo=any(chain["source"] == "devnet" for chain in chains),
        definitions=_DEFINITIONS,
        cutoffs=tuple((chain["name"], _cutoff(chain)) for chain in chains),
    )


def _total(frame: pl.DataFrame, column: str) -> int:
    if frame.is_empty():
        return 0
    absolute = frame.select(pl.col(column).abs())
    return int(sum_by(absolute, [], [column]).item())


def _walk(walk: pl.DataFrame, tokens: dict[tuple[int, bytes], dict[str, Any]]) -> Sheet:
    rows = []
    for row in walk.sort("chain_id", "token").to_dicts():
        decimals, symbol = _token(tokens, row)
        rows.append((symbol, str(row["chain_id"]), *((int(row[name]), decimals, symbol) for name, _ in _WALK)))
    columns = (Column("token", "Token"), Column("chain", "Chain"), *(Column(n, t, "amount") for n, t in _WALK))
    return Sheet("walk", "The walk from opening to closing", columns, tuple(rows), "One row per token; exact.")


def _statuses(lines: pl.DataFrame) -> Sheet:
    counted = lines.group_by("status").agg(pl.len().alias("lines")).sort("lines", "status", descending=[True, False])
    rows = tuple((row["status"].replace("_", " "), row["lines"]) for row in counted.to_dicts())
    return Sheet(
        "statuses", "Where the lines stand", (Column("status", "Status"), Column("lines", "Lines", "count")), rows
    )


def _breaks(breaks: pl.DataFrame, tokens: dict[tuple[int, bytes], dict[str, Any]]) -> Sheet:
    note = "Each line names the log or the row that proves it; `guelta explain RECON_KEY` prints the whole path."
    return _line_sheet("breaks", "Open breaks", breaks, tokens, note)


def _lines(lines: pl.DataFrame, tokens: dict[tuple[int, bytes], dict[str, Any]]) -> Sheet:
    return _line_sheet("lines", "Every line", lines.sort("status", "recon_key"), tokens, "")


def _line_sheet(
    name: str, heading: str, frame: pl.DataFrame, tokens: dict[tuple[int, bytes], dict[str, Any]], note: str
) -> Sheet:
    columns = (
        Column("recon_key", "Line"),
        Column("status", "Status"),
        Column("code", "Code"),
        Column("party", "Party"),
        Column("expected", "Expected", "amount"),
        Column("settled", "Settled", "amount"),
        Column("delta", "Difference", "amount"),
        Column("tx_hash", "Transaction", "hash"),
    )
    rows = []
    for row in frame.to_dicts():
        decimals, symbol = _token(tokens, row)
        amounts = [_amount(row[f"{side}_raw"], decimals, symbol) for side in ("expected", "settled", "delta")]
        hashed = "0x" + row["tx_hash"].hex() if isinstance(row["tx_hash"], bytes) else row["tx_hash"]
        rows.append((row["recon_key"], row["status"].replace("_", " "), row["code"], row["party"], *amounts, hashed))
    return Sheet(name, heading, columns, tuple(rows), note)


def _amount(text: str | None, decimals: int, symbol: str) -> tuple[int, int, str] | None:
    return None if text is None else (int(text), decimals, symbol)


def _token(tokens: dict[tuple[int, bytes], dict[str, Any]], row: dict[str, Any]) -> tuple[int, str]:
    known = tokens.get((row["chain_id"], row["token"]), {})
    return known.get("decimals") or 0, known.get("symbol") or "?"


def _cutoff(chain: dict[str, Any]) -> str:
    number, digest = chain["finalized"], chain["finalized_hash"]
    return "not final yet" if number is None else f"block {number} {digest}"
