"""Payout reconciliation: do earned, instructed, settled and booked agree?"""

import polars as pl
import streamlit as st

from dashboards import charts, choices, data, figures, frame, lookups, statement, tiles, wording
from dashboards.data import metric
from dashboards.tiles import Tile

ICON = ":material/balance:"
PLACE = 1
VIEWS = {"Breaks": "is_break", "Open items": "is_open", "All lines": None}
STEPS = {  # of the walk: label, and whether it adds to the balance
    "opening": ("Opening", 0),
    "earned": ("Earned", 1),
    "adjustments": ("Adjusted", 1),
    "settled": ("Settled", -1),
    "in_flight": ("In flight", -1),
    "closing": ("Closing", 0),
}
EXACT = 178  # pixels: 18 decimals and four groups in front of the point
ASIDE = {"held": "Held, part of closing", "over": "Settled beyond what was earned"}

with frame.page(__doc__, needs="marts.reconciliation") as page:
    every = data.rows("marts.reconciliation", limit=200_000)
    walks = data.rows("marts.reconciliation_walk", limit=100_000)
    tokens = lookups.tokens_among(every)
    periods = sorted(every["period"].unique(), reverse=True)
    with choices.bar():
        period = choices.picked("Period", ["All", *periods[:6]], "All", key="period")
        token = choices.token(tokens)
    lines = every.filter(pl.lit(period == "All") | (pl.col("period") == period)).with_columns(
        (~pl.col("status").str.starts_with("matched")).alias("is_open")
    )
    breaks = lines.filter("is_break")
    here = lines.filter((pl.col("chain_id") == token.chain_id) & (pl.col("token") == token.address))
    matched = here.filter(~pl.col("is_open"))
    explained = lines.filter(pl.col("is_open") & ~pl.col("is_break"))
    legs = here.filter(pl.col("payout_run_id").is_not_null())
    instructed, settled = figures.exact_sum(legs["expected_raw"]), figures.exact_sum(legs["settled_raw"])
    sound = figures.exact_sum(matched.filter(pl.col("payout_run_id").is_not_null())["expected_raw"])
    matched_legs = legs.filter(~pl.col("is_open")).height

    tiles.row(
        [
            tiles.amount(f"Instructed, {token.symbol}", instructed, token),
            tiles.amount(f"Settled of it, {token.symbol}", settled, token),
            tiles.amount(f"Difference, {token.symbol}", settled - instructed, token),
            tiles.amount(f"At risk, {token.symbol}", figures.exact_sum(here.filter("is_break")["at_risk"]), token),
        ]
    )
    tiles.row(
        [
            Tile(
                "Open breaks", breaks.height, f"Of {lines.height} lines, in every token. What is explained is no break."
            ),
            Tile(
                "Explained, open",
                explained.height,
                "In flight, not due, carried or held, in every token: open, with a reason.",
            ),
            Tile(
                "Legs matched",
                figures.part(matched_legs, legs.height),
                f"{matched_legs} of {legs.height} legs.",
                "percent",
            ),
            Tile("Value matched", figures.part(sound, instructed), "Of the instructed amount.", "percent"),
        ]
    )

    st.subheader("From opening to closing", anchor=False)
    mine = walks.filter(
        (pl.col("chain_id") == token.chain_id)
        & (pl.col("token") == token.address)
        & (pl.lit(period == "All") | (pl.col("period") == period))
    ).sort("period")
    if mine.height:
        charts.show(
            charts.bridge(
                statement.bridge(mine, STEPS, token),
                unit=token.symbol,
                tips={"step": "Step", "exact": token.symbol, "kind": "Effect"},
                height=260,
            ),
            says=f"The walk in {token.symbol} from the opening to the closing balance.",
        )
    asked = metric("walk_earned", "walk_settled", "control_difference", by=["chain_id", "token"])
    control = figures.exact_sum(asked.frame["control_difference"])
    st.caption(
        f"Control difference over all periods, chains and tokens: **{wording.grouped(str(control))}** base units"
        + (" :material/check_circle:" if control == 0 else " :material/error: the walk does not close")
        + " · tolerance is 0 base units"
    )

    st.subheader("Line by line", anchor=False)
    with choices.bar():
        view = choices.picked("Show", list(VIEWS), "Breaks", key="show")
        wanted = st.multiselect(
            "Status",
            sorted(lines["status"].unique()),
            format_func=statement.standing,
            key="status",
            placeholder="Any status",
            width=420,
        )
    column = VIEWS[view]
    shown = lines if column is None else lines.filter(column)
    shown = shown.filter(pl.col("status").is_in(wanted)) if wanted else shown
    page.table(
        "lines",
        statement.table(shown.sort("is_break", "period", "recon_key", descending=[True, True, False])),
        {
            "standing": st.column_config.TextColumn("Status", pinned=True),
            "code": st.column_config.TextColumn("Code", width="small"),
            "period": st.column_config.TextColumn("Period", width="small"),
            "payee": st.column_config.TextColumn("Payee"),
            "in": st.column_config.TextColumn("Token", width="small"),
            "expected": st.column_config.TextColumn("Expected", alignment="right", width=EXACT),
            "settled": st.column_config.TextColumn("Settled", alignment="right", width=EXACT),
            "delta": st.column_config.TextColumn("Difference", alignment="right", width=EXACT),
            "why": st.column_config.TextColumn("What that means"),
            "ageing_bucket": st.column_config.TextColumn("Days open", width="small"),
            "owner": st.column_config.TextColumn("Owner", width="small"),
            "payout_run_id": st.column_config.TextColumn("Payout run"),
            "leg_no": st.column_config.NumberColumn("Leg", format="plain", width="small"),
            "match_rule": st.column_config.TextColumn("Matched by", width="small"),
            "tx_hash": st.column_config.TextColumn("Evidence: transaction"),
            "evidence": st.column_config.TextColumn("All evidence"),
            "recon_key": st.column_config.TextColumn("Key"),
        },
        says="Lines of the reconciliation with status, code, exact amounts on both sides, difference and evidence.",
        height=460,
    )

    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Breaks by age", anchor=False)
        charts.show(
            charts.ranked(
                statement.ages(breaks), "days", "lines", unit="breaks", tips={"days": "Days open", "lines": "Breaks"}
            ),
            says="Open breaks by days since they were first seen.",
        )
    with right:
        st.subheader("Breaks by status", anchor=False)
        counts = breaks.group_by("status").agg(pl.len().cast(pl.Int64).alias("lines"))
        worded = counts.sort("lines", "status", descending=[True, False]).with_columns(
            pl.col("status").str.replace_all("_", " ").alias("name")
        )
        charts.show(
            charts.ranked(worded, "name", "lines", unit="breaks", tips={"name": "Status", "lines": "Breaks"}),
            says="Open breaks by status.",
        )

    st.subheader("The walk, exactly", anchor=False)
    page.table(
        "walk",
        statement.walk(walks.sort("period", "chain_id", "token", descending=[True, False, False]), [*STEPS, *ASIDE]),
        {
            "period": st.column_config.TextColumn("Period", pinned=True, width="small"),
            "symbol": st.column_config.TextColumn("Token", width="small"),
            **{
                name: st.column_config.TextColumn(label, alignment="right", width=EXACT)
                for name, (label, _) in STEPS.items()
            },
            **{
                name: st.column_config.TextColumn(label, alignment="right", width=EXACT)
                for name, label in ASIDE.items()
            },
            "control_difference": st.column_config.TextColumn("Control difference", alignment="right", width="medium"),
        },
        says="The walk of every period and token with exact amounts; the control difference must be 0.",
    )
