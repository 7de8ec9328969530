"""One contributor: what did they earn, from what, and was it paid?"""

import polars as pl
import streamlit as st

from dashboards import charts, choices, data, figures, frame, lookups, series, tiles, wording, work
from dashboards.data import metric

ICON = ":material/person:"
HIDDEN = True
ASSETS_DRAWN = 6  # the rest is one colour: more than seven cannot be told apart

with frame.page(__doc__, needs="marts.contributor_balances") as page:
    known = lookups.parties()
    names = dict(known.select("party", "name").iter_rows())
    balances = data.rows("marts.contributor_balances", limit=100_000)
    people = sorted(balances["party"].unique(), key=lambda one: (one not in names, (names.get(one) or one).lower()))
    with choices.bar():
        party = choices.one_of("Contributor", people, lambda one: names.get(one) or wording.short(one), key="party")
        token = choices.token(lookups.tokens_among(balances.filter(pl.col("party") == party)))
        grain = choices.grain()
    here = {"party": party, "chain_id": token.chain_id, "token": token.address}

    about = known.filter(pl.col("party") == party)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.subheader(names.get(party) or wording.short(party), anchor=False, width="content")
        for role in filter(None, (about["roles"][0] or "").split(",") if about.height else []):
            st.badge(role.replace("_", " "), color="primary")
        st.caption(f"`{party}`")

    mine = figures.balance_of(balances, party, token)
    tiles.row(
        [
            tiles.amount(f"Earned, {token.symbol}", mine["earned"], token),
            tiles.amount(f"Instructed, {token.symbol}", mine["instructed"], token),
            tiles.amount(f"Paid, {token.symbol}", mine["paid"], token),
            tiles.amount(f"Open, {token.symbol}", mine["open"], token),
        ]
    )

    st.subheader("Earned, by source asset", anchor=False)
    assets = lookups.assets().names(token.chain_id)
    ranked = metric("earned", by=["source_asset"], where=here, order="-earned").frame
    drawn = ranked["source_asset"].to_list()[:ASSETS_DRAWN]
    lines = metric("earned", by=["source_asset"], where=here, grain=grain)
    labels = {one: assets.get(one, f"asset {one}") for one in ranked["source_asset"]}
    parts = series.over_time(lines, grain)
    if parts.is_empty():
        st.caption(f"Nothing was earned in {token.symbol}; what was paid stands below.")
    else:
        charts.show(
            charts.bars(
                series.labelled(parts, "source_asset", {one: labels[one] for one in drawn}, "earned", token),
                "value",
                "who",
                unit=f"{token.symbol} a {grain}",
                order=[
                    *dict.fromkeys(labels[one] for one in drawn),
                    *(["Others"] if ranked.height > ASSETS_DRAWN else []),
                ],
                tips={"when": grain.capitalize(), "who": "Asset", "exact": token.symbol},
            ),
            says=f"What this contributor earned in {token.symbol} a {grain}, by the asset it came from.",
        )

    st.subheader("Earning lines", anchor=False)
    st.caption("Newest first. `guelta explain EARNING` takes a line apart down to terms, rounding and logs.")
    earned = data.rows("marts.earnings_daily", here, order=["day", "earning_id"], descending=[True, False])
    page.table(
        "earning-lines",
        earned.select(
            "day",
            pl.col("source_asset").replace_strict(labels, default=None, return_dtype=pl.String).alias("asset"),
            "kind",
            "role",
            pl.Series("amount", [token.exact(amount) for amount in earned["amount"]], pl.String),
            "entries",
            "provenance",
            "earning_id",
        ),
        {
            "day": st.column_config.DateColumn("Day", pinned=True, width="small"),
            "asset": st.column_config.TextColumn("Source asset"),
            "kind": st.column_config.TextColumn("Kind", width="small"),
            "role": st.column_config.TextColumn("Role"),
            "amount": st.column_config.TextColumn(f"Earned, {token.symbol}", alignment="right"),
            "entries": st.column_config.NumberColumn("Entries", format="localized", width="small"),
            "earning_id": st.column_config.TextColumn("Earning"),
        },
        says="Every earning of this contributor in this token, newest first.",
        height=360,
    )

    st.subheader("Payouts", anchor=False)
    payouts = data.rows("marts.payouts", here, order=["at", "log_index"], descending=True)
    page.table(
        "payouts",
        payouts.select(
            "at",
            "kind",
            "run_id",
            pl.Series("amount", [token.exact(amount) for amount in payouts["amount"]], pl.String),
            "tx_hash",
            "block_number",
            "payout_id",
        )
        if payouts.height
        else payouts,
        {
            "at": st.column_config.DatetimeColumn("Paid at, UTC", format="YYYY-MM-DD HH:mm", pinned=True),
            "kind": st.column_config.TextColumn("How", width="small"),
            "run_id": st.column_config.TextColumn("Payout run"),
            "amount": st.column_config.TextColumn(f"Paid, {token.symbol}", alignment="right"),
            "tx_hash": st.column_config.TextColumn("Transaction"),
            "block_number": st.column_config.NumberColumn("Block", format="plain", width="small"),
        },
        says="Payouts to this contributor in this token, newest first.",
    )

    judged = data.rows("marts.worker_quality", {"worker": party}, order=["labels", "task_id"], descending=[True, False])
    if judged.height:
        st.subheader("Quality of the work", anchor=False)
        tasks = work.tasks(data.rows("marts.dataset_quality", order=["task_id"]))
        page.table(
            "work",
            work.workers(judged, tasks),
            {
                "task": st.column_config.TextColumn("Task", pinned=True),
                "labels": st.column_config.NumberColumn("Answers", format="localized", width="small"),
                "annotator_accuracy_f64": st.column_config.NumberColumn("Approved", format="percent", width="small"),
                "gold": st.column_config.TextColumn("Right on gold, 95 % interval"),
                "reviews": st.column_config.NumberColumn("Reviews", format="localized", width="small"),
                "reviewer_accuracy_f64": st.column_config.NumberColumn("As reviewer", format="percent", width="small"),
                "signals": st.column_config.TextColumn("Signals"),
            },
            says="The contributor's work, task by task, with approval, gold accuracy and signals.",
        )
