"""Contributor earnings: who earned what, and from which asset?"""

import polars as pl
import streamlit as st

from dashboards import charts, choices, contents, data, figures, frame, lookups, series, spread, tiles
from dashboards.data import metric
from dashboards.tiles import Tile

ICON = ":material/groups:"
PLACE = 1
LORENZ_POINTS = 200
KINDS = {"usage": "From use", "task": "From work"}

with frame.page(__doc__, needs="marts.earnings_daily") as page:
    with choices.bar():
        token = choices.token(lookups.tokens_of("earned"))
        window = choices.window(data.span("marts.earnings_daily"))
        grain = choices.grain()
    here = {"chain_id": token.chain_id, "token": token.address}
    days = window.days()

    now = metric("earned", "earners", where=here, compare=window.compare, **days)
    paid = metric("paid", where=here, compare=window.compare, **days)
    people = metric("earned", by=["party"], where=here, order="-earned", limit=data.ROWS, **days).frame
    amounts = [int(amount) for amount in people["earned"]]
    even = spread.of(amounts)

    tiles.row(
        [
            tiles.money(f"Earned, {token.symbol}", now, "earned", token, window.against),
            tiles.money(f"Paid, {token.symbol}", paid, "paid", token, window.against),
            tiles.count("Earners", now, "earners", window.against),
            Tile("Gini", even.gini, f"0: all earn the same, 1: one earns all. Over {even.earners} earners.", "%.2f"),
            Tile("Held by the top 10", even.top10, "Share of earnings of the ten who earned the most.", "percent"),
        ]
    )

    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.subheader("Earned over time", anchor=False)
        parts = [
            series.long(
                series.over_time(metric("earned", where=here | {"kind": kind}, grain=grain, **days), grain),
                {"earned": label},
                token,
            )
            for kind, label in KINDS.items()
        ]
        charts.show(
            charts.bars(
                pl.concat(parts),
                "value",
                "who",
                unit=f"{token.symbol} a {grain}",
                order=list(KINDS.values()),
                tips={"when": grain.capitalize(), "who": "Earned", "exact": token.symbol},
            ),
            says=f"Earnings in {token.symbol} a {grain}, from use of assets and from work on them.",
        )
    with right:
        st.subheader("How evenly", anchor=False)
        charts.show(
            charts.lorenz(even.lorenz(LORENZ_POINTS)),
            says=f"Lorenz curve of earnings: the Gini coefficient is {even.gini or 0:.2f}.",
        )

    st.subheader("Who earned the most", anchor=False)
    st.caption("Choose a row to see what one contributor earned, from what, and whether it was paid.")
    known = lookups.parties()
    trend = series.sparks(metric("earned", by=["party"], where=here, grain="week", **days), ["party"], "earned_f64")
    sources = metric("earning_assets", by=["party"], where=here, **days).frame.select("party", "earning_assets")
    balance = figures.open_balances(token)
    best = (
        people.select(
            "party", pl.col("earned").alias("earned_base_units"), pl.col("earned_f64").alias("earned_display_f64")
        )
        .with_columns(
            pl.Series("earned", [token.exact(amount) for amount in people["earned"]], pl.String),
            (pl.col("earned_display_f64") / pl.col("earned_display_f64").sum()).alias("share_f64"),
        )
        .join(known, on="party", how="left", maintain_order="left")
        .join(sources, on="party", how="left", maintain_order="left")
        .join(balance, on="party", how="left", maintain_order="left")
        .join(trend, on="party", how="left", maintain_order="left")
        .with_columns(pl.coalesce("name", "party").alias("name"))
    )
    chosen = page.table(
        "contributors",
        best,
        {
            "name": st.column_config.TextColumn("Contributor", pinned=True),
            "roles": st.column_config.TextColumn("Roles"),
            "earned": st.column_config.TextColumn(f"Earned, {token.symbol}", alignment="right", help="Every digit."),
            "share_f64": st.column_config.ProgressColumn(
                "Share", format="percent", min_value=0, max_value=1, width="small"
            ),
            "trend": st.column_config.AreaChartColumn("By week", y_min=0, width="small"),
            "earning_assets": st.column_config.NumberColumn("Assets", format="localized", width="small"),
            "open": st.column_config.TextColumn(
                f"Open to date, {token.symbol}", alignment="right", help="Earned less paid, ever."
            ),
        },
        says=f"Contributors by what they earned in {token.symbol}, with their share, weekly course and open balance.",
        pick=True,
    )
    if chosen is not None:
        st.switch_page(
            contents.page_of("contributor"), query_params={"party": best["party"][chosen], "token": token.symbol}
        )

    st.subheader("Which assets paid", anchor=False)
    by_asset = metric("earned", "earners", by=["source_asset"], where=here, order="-earned", limit=100, **days).frame
    assets = lookups.assets()
    named = by_asset.with_columns(
        pl.col("source_asset").replace_strict(assets.names(token.chain_id), default=None).alias("asset"),
        pl.col("source_asset").replace_strict(assets.kinds(token.chain_id), default=None).alias("asset_kind"),
        pl.Series("exact", [token.exact(amount) for amount in by_asset["earned"]], pl.String),
        (pl.col("earned_f64") / pl.col("earned_f64").sum()).alias("share_f64"),
    )
    page.table(
        "source-assets",
        named,
        {
            "asset": st.column_config.TextColumn("Asset", pinned=True),
            "asset_kind": st.column_config.TextColumn("Kind", width="small"),
            "exact": st.column_config.TextColumn(f"Earned from it, {token.symbol}", alignment="right"),
            "share_f64": st.column_config.ProgressColumn("Share", format="percent", min_value=0, max_value=1),
            "earners": st.column_config.NumberColumn("Earners", format="localized", width="small"),
        },
        says="Assets by what contributors earned from them.",
    )
