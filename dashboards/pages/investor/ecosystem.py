"""Ecosystem overview: how much value flows, and who keeps it?"""

import polars as pl
import streamlit as st

from dashboards import charts, choices, data, figures, frame, lookups, series, tiles, wording
from dashboards.data import metric

ICON = ":material/water:"
PLACE = 1
KEEPERS = {"supply_side": "Supply side", "protocol_revenue": "Protocol", "carry": "Carry"}
SHOWN = {"supply_side": "Supply side", "protocol_revenue": "Protocol"}  # carry is dust: stated, not drawn
MONEY = {"gross_value": "Gross value", "supply_side": "Supply side", "protocol_revenue": "Protocol revenue"}
COUNTS = {  # label: metric, filter
    "Calls": ("calls", {}),
    "Active contributors": ("active_parties", {"role": "contributor"}),
    "Active clients": ("active_parties", {"role": "client"}),
    "Paying parties": ("payers", {}),
}

with frame.page(__doc__, needs="marts.ecosystem_daily") as page:
    with choices.bar():
        token = choices.token(lookups.tokens_of("gross_value"))
        window = choices.window(data.span("marts.ecosystem_daily"))
        grain = choices.grain()
        share = choices.picked("Show", ["Amount", "Share"], "Amount", key="show") == "Share"
    here = {"chain_id": token.chain_id, "token": token.address}
    days = window.days()

    now = metric(*MONEY, "take_rate", where=here, compare=window.compare, **days)
    flow = series.over_time(metric("gross_value", *KEEPERS, "take_rate", where=here, grain=grain, **days), grain)
    counted = {
        label: metric(name, where=only, compare=window.compare, **days) for label, (name, only) in COUNTS.items()
    }
    counts = {
        label: series.over_time(metric(name, where=only, grain=grain, **days), grain)
        for label, (name, only) in COUNTS.items()
    }

    tiles.row(
        [
            *(
                tiles.money(f"{label}, {token.symbol}", now, name, token, window.against, flow)
                for name, label in MONEY.items()
            ),
            tiles.ratio("Take rate", now, "take_rate", "Protocol revenue ÷ gross value.", window.against, flow),
        ]
    )
    tiles.row(
        [tiles.count(label, counted[label], name, window.against, counts[label]) for label, (name, _) in COUNTS.items()]
    )

    st.subheader("Where the value went", anchor=False)
    charts.show(
        charts.bars(
            series.long(flow, SHOWN, token),
            "value",
            "who",
            unit="share of gross value" if share else f"{token.symbol} a {grain}",
            order=list(SHOWN.values()),
            tips={"when": grain.capitalize(), "who": "Kept by", "exact": token.symbol},
            share=share,
        ),
        says=f"Gross value in {token.symbol} a {grain}, split into the supply side and the protocol.",
    )
    page.offer("value", flow.drop("from", "to"))
    gap = figures.exact_sum(flow["gross_value"]) - sum(figures.exact_sum(flow[name]) for name in KEEPERS)
    st.caption(
        f"Gross value − supply side − protocol revenue − carry = **{wording.grouped(str(gap))}** base units"
        + (" :material/check_circle:" if gap == 0 else " :material/error: the parts do not add up")
        + " · pale bars are still running"
    )

    st.subheader("Gross value by token", anchor=False)
    every = lookups.tokens_of("gross_value")
    with st.grid(columns=min(len(every), 3), min_column_width=260, gap="medium"):
        for one in every[:6]:
            only = metric("gross_value", where={"chain_id": one.chain_id, "token": one.address}, grain=grain, **days)
            charts.show(
                charts.bars(
                    series.long(series.over_time(only, grain), {"gross_value": one.symbol}, one),
                    "value",
                    "who",
                    unit=f"{one.symbol} a {grain}",
                    order=[one.symbol],
                    tips={"when": grain.capitalize(), "exact": one.symbol},
                    height=170,
                ),
                says=f"Gross value in {one.symbol} a {grain}.",
            )

    st.subheader("Assets that earn the most", anchor=False)
    assets = lookups.assets()
    by_asset = metric("gross_value", by=["asset_id"], where=here, order="-gross_value", limit=50, **days).frame
    trend = series.sparks(
        metric("gross_value", by=["asset_id"], where=here, grain="week", **days), ["asset_id"], "gross_value_f64"
    )
    best = by_asset.with_columns(
        pl.col("asset_id").replace_strict(assets.names(token.chain_id), default=None).alias("asset"),
        pl.col("asset_id").replace_strict(assets.kinds(token.chain_id), default=None).alias("kind"),
        pl.Series("value", [token.exact(amount) for amount in by_asset["gross_value"]], pl.String),
        (pl.col("gross_value_f64") / pl.col("gross_value_f64").sum()).alias("share_f64"),
    ).join(trend, on="asset_id", how="left", maintain_order="left")
    page.table(
        "assets",
        best,
        {
            "asset": st.column_config.TextColumn("Asset", pinned=True),
            "kind": st.column_config.TextColumn("Kind", width="small"),
            "gross_value_f64": st.column_config.NumberColumn(token.symbol, format="compact", width="small"),
            "value": st.column_config.TextColumn(f"Exactly, {token.symbol}", alignment="right"),
            "share_f64": st.column_config.ProgressColumn("Share", format="percent", min_value=0, max_value=1),
            "trend": st.column_config.AreaChartColumn("By week", y_min=0),
        },
        says=f"Assets by gross value in {token.symbol}, with their share and weekly course.",
    )
