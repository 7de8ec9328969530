"""How the reconciliation is laid out: status as word and sign, exact amounts as text, the walk as a bridge."""

from collections.abc import Mapping, Sequence

import polars as pl

from dashboards import figures, lookups, wording
from dashboards.lookups import Token
from quality import line_status

SIGNS = {"matched": "✓", "explained": "◷", "major": "▲", "critical": "✖"}  # never colour alone


def standing(status: str) -> str:
    """Sign and words of a status."""
    if status.startswith("matched"):
        sign = SIGNS["matched"]
    elif status in line_status.STATUSES and line_status.STATUSES[status].explained:
        sign = SIGNS["explained"]
    else:
        sign = SIGNS[line_status.SEVERITY.get(line_status.code_of(status) or "", "major")]
    return f"{sign} {status.replace('_', ' ')}"


def table(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines as finance reads them, each in its own token; the exact base units stay beside it for the export."""
    names = dict(lookups.parties().select("party", "name").iter_rows())
    tokens = lookups.tokens()
    known = {status: entry.meaning for status, entry in line_status.STATUSES.items()}
    purses = [
        tokens.get((chain, token)) or Token(chain, token, "base units", 0)
        for chain, token in lines.select("chain_id", "token").iter_rows()
    ]
    return lines.with_columns(
        pl.col("status").map_elements(standing, pl.String).alias("standing"),
        pl.col("status").replace_strict(known, default=None, return_dtype=pl.String).alias("why"),
        pl.col("party").map_elements(lambda one: names.get(one) or wording.short(one), pl.String).alias("payee"),
        pl.Series("in", [purse.symbol for purse in purses], pl.String),
        *(
            pl.Series(
                side, [purse.exact(raw) for purse, raw in zip(purses, lines[f"{side}_raw"], strict=True)], pl.String
            )
            for side in ("expected", "settled", "delta")
        ),
    )


def ages(breaks: pl.DataFrame) -> pl.DataFrame:
    """Open breaks by bucket of age, every bucket of the one list."""
    buckets = [*(name for _, name in line_status.BREAK_AGES), ">90"]
    return pl.DataFrame(
        [(bucket, breaks.filter(pl.col("ageing_bucket") == bucket).height) for bucket in buckets],
        {"days": pl.String, "lines": pl.Int64},
        orient="row",
    )


def bridge(walks: pl.DataFrame, steps: Mapping[str, tuple[str, int]], token: Token) -> pl.DataFrame:
    """The walk of the chosen periods as bars: where each step begins and ends, and whether it adds or takes away."""
    total = {name: figures.exact_sum(walks[name]) for name in steps if name in walks.columns}
    ends = {
        "opening": walks["opening"][0],
        "closing": walks["closing"][-1],
    }  # balances of several periods do not add up
    level, bars = 0, []
    for name, (label, sign) in steps.items():
        if name not in total:
            continue
        amount = int(ends[name] or 0) if name in ends else total[name]
        before, level = (0, amount) if sign == 0 else (level, level + sign * amount)
        kind = "balance" if sign == 0 else "adds" if level >= before else "takes away"
        low, high = sorted((before, level))
        bars.append((label, token.shown(low), token.shown(high), kind, token.exact(amount)))
    columns = {"step": pl.String, "low": pl.Float64, "high": pl.Float64, "kind": pl.String, "exact": pl.String}
    return pl.DataFrame(bars, columns, orient="row")


def walk(walks: pl.DataFrame, steps: Sequence[str]) -> pl.DataFrame:
    """Every walk with exact whole tokens; a token nobody described stays in base units."""
    known = lookups.tokens()
    columns = [name for name in (*steps, "control_difference") if name in walks.columns]
    rows = []
    for row in walks.iter_rows(named=True):
        token = known.get((row["chain_id"], row["token"])) or Token(row["chain_id"], row["token"], "base units", 0)
        rows.append(
            {"period": row["period"], "symbol": token.symbol} | {name: token.exact(row[name]) for name in columns}
        )
    return pl.DataFrame(rows, {"period": pl.String, "symbol": pl.String} | dict.fromkeys(columns, pl.String))
