"""Model usage: how much is each asset called, how fast, and for what value?"""

import polars as pl
import streamlit as st

from dashboards import charts, choices, data, figures, frame, lookups, series, tiles, wording
from dashboards.data import metric

ICON = ":material/bolt:"
PLACE = 3
ORIGINS = {"web2": "Web2 API", "web3": "Web3 wallets", "agent": "Agents"}
COUNTS = ("calls", "error_rate", "paid_share", "prompt_tokens", "completion_tokens")
QUANTILES = {"latency_p50": "p50", "latency_p95": "p95", "latency_p99": "p99"}

with frame.page(__doc__, needs="marts.usage_daily") as page:
    with choices.bar():
        window = choices.window(data.span("marts.usage_daily"))
        grain = choices.grain()
        sources = metric("calls", by=["source"], order="-calls").frame["source"].to_list()
        source = st.selectbox("Source", ["All sources", *sources], key="source", bind="query-params", width=220)
        share = choices.picked("Show", ["Calls", "Share"], "Calls", key="show") == "Share"
    only = {} if source == "All sources" else {"source": source}
    days = window.days()

    now = metric(
        *COUNTS,
        where=only,
        compare=window.compare,
        **days,
    )
    speed = metric(*QUANTILES, where=only, compare=window.compare, **days)
    flow = series.over_time(metric(*COUNTS, where=only, grain=grain, **days), grain)
    pace = series.over_time(metric(*QUANTILES, where=only, grain=grain, **days), grain)

    tiles.row(
        [
            tiles.count("Calls", now, "calls", window.against, flow),
            tiles.ratio("Error rate", now, "error_rate", "Failed calls ÷ calls.", window.against, flow),
            tiles.count("Model tokens read", now, "prompt_tokens", window.against, flow),
            tiles.count("Model tokens written", now, "completion_tokens", window.against, flow),
        ]
    )
    tiles.row(
        [
            *(
                tiles.milliseconds(f"Latency {label}", speed, name, window.against, pace)
                for name, label in QUANTILES.items()
            ),
            tiles.ratio("Settled calls", now, "paid_share", "Calls settled on chain ÷ calls.", window.against, flow),
        ]
    )

    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Calls by origin", anchor=False)
        by_origin = series.over_time(metric("calls", by=["origin"], where=only, grain=grain, **days), grain)
        charts.show(
            charts.bars(
                by_origin.select(
                    "from",
                    "to",
                    "partial",
                    pl.col("origin").replace(ORIGINS).alias("who"),
                    pl.col("calls").cast(pl.Float64).alias("value"),
                    pl.Series("exact", [wording.grouped(str(one)) for one in by_origin["calls"]], pl.String),
                    pl.col("from").dt.strftime("%Y-%m-%d").alias("when"),
                ),
                "value",
                "who",
                unit="share of calls" if share else f"calls a {grain}",
                order=list(ORIGINS.values()),
                tips={"when": grain.capitalize(), "who": "Origin", "exact": "Calls"},
                share=share,
            ),
            says=f"Calls a {grain} from Web2 clients, Web3 wallets and agents.",
        )
    with right:
        st.subheader("Latency", anchor=False)
        long = pace.unpivot(
            list(QUANTILES), index=["from", "partial"], variable_name="name", value_name="value"
        ).select(
            "from",
            "partial",
            pl.col("name").replace(QUANTILES).alias("who"),
            "value",
            pl.col("value").round(1).cast(pl.String).alias("exact"),
            pl.col("from").dt.strftime("%Y-%m-%d").alias("when"),
        )
        charts.show(
            charts.lines(
                long.filter(pl.col("value").is_not_null()),
                "value",
                "who",
                unit="ms",
                order=list(QUANTILES.values()),
                tips={"when": grain.capitalize(), "who": "Quantile", "exact": "ms"},
                log=True,
            ),
            says=f"Median, 95th and 99th percentile of latency in milliseconds a {grain}, on a logarithmic scale.",
        )

    st.subheader("By asset", anchor=False)
    keys = ["chain_id", "asset_id", "asset_name"]
    calls = metric(
        "calls", "error_rate", "clients", by=[*keys, "asset_kind"], where=only, order="-calls", limit=200, **days
    )
    fast = metric("latency_p50", "latency_p95", by=keys, where=only, **days).frame
    trend = series.sparks(metric("calls", by=keys, where=only, grain="week", **days), keys, "calls")
    value, tokens = figures.values_of_assets(days)
    table = (
        calls.frame.join(trend, on=keys, how="left", nulls_equal=True, maintain_order="left")
        .join(value, on=["chain_id", "asset_id"], how="left", maintain_order="left")
        .join(
            fast.select("chain_id", "asset_id", "latency_p50", "latency_p95"),
            on=["chain_id", "asset_id"],
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        .join(lookups.assets().frame(), on=["chain_id", "asset_id"], how="left", maintain_order="left")
        .with_columns(pl.coalesce("asset", "asset_name", pl.lit("not named in the log")).alias("name"))
    )
    page.table(
        "assets",
        table,
        {
            "name": st.column_config.TextColumn("Asset", pinned=True),
            "asset_kind": st.column_config.TextColumn("Kind", width="small"),
            "calls": st.column_config.NumberColumn("Calls", format="localized", width="small"),
            "trend": st.column_config.AreaChartColumn("By week", y_min=0, width="small"),
            "error_rate": st.column_config.NumberColumn("Errors", format="percent", width="small"),
            "latency_p50": st.column_config.NumberColumn("p50, ms", format="%.0f", width="small"),
            "latency_p95": st.column_config.NumberColumn("p95, ms", format="%.0f", width="small"),
            "clients": st.column_config.NumberColumn("Clients", format="localized", width="small"),
            **{
                name: st.column_config.NumberColumn(
                    symbol,
                    format="compact",
                    width="small",
                    help=f"Gross value in {symbol}; the export has every digit.",
                )
                for name, symbol in tokens.items()
            },
        },
        says="Assets by calls, with their weekly course, errors, latency, clients and gross value.",
    )
