"""Dictionary: what does every number mean, and what do others call it?"""

import polars as pl
import streamlit as st

from dashboards import data, frame, tiles
from dashboards.definitions import PROVENANCE_SAID
from dashboards.tiles import Tile

ICON = ":material/menu_book:"
PLACE = 2
ELSEWHERE = {  # 10-domain §10.1: what the sites an investor compares with call the same thing
    "gross_value": "DefiLlama dailyFees · Token Terminal fees",
    "ecosystem_value": "DefiLlama dailyFees · Token Terminal fees",
    "supply_side": "DefiLlama dailySupplySideRevenue · Token Terminal supply-side fees",
    "protocol_revenue": "DefiLlama dailyRevenue (fees − supply side) · Token Terminal revenue",
    "take_rate": "Token Terminal take rate",
    "active_parties": "near growthepie daa, which counts only addresses that send",
}

with frame.page(__doc__, needs="marts.tokens") as page:
    entries = data.dictionary()
    asked = st.text_input(
        "Find",
        placeholder="a word of the name, the definition or the table",
        key="find",
        bind="query-params",
        width=420,
    )
    words = asked.lower().split()
    rows = [
        {
            "title": entry.metric.title,
            "definition": entry.metric.definition,
            "formula": entry.formula,
            "unit": entry.metric.unit,
            "provenance": PROVENANCE_SAID[entry.metric.provenance][0],
            "by": ", ".join(entry.dimensions),
            "elsewhere": ELSEWHERE.get(entry.metric.name, ""),
            "caveat": entry.metric.caveat or "",
            "metric": entry.metric.name,
            "table": entry.metric.table,
            "ask": f"guelta ask {entry.metric.name}",
        }
        for entry in entries
        if entry.available
    ]
    table = pl.DataFrame(rows)
    for word in words:
        table = table.filter(pl.concat_str(pl.all(), separator=" ").str.to_lowercase().str.contains(word, literal=True))
    tiles.row(
        [
            Tile("Metrics", len({row["metric"] for row in rows})),
            Tile("Verified on-chain", len({row["metric"] for row in rows if row["provenance"] == "verified on-chain"})),
            Tile("Tables they live in", len({row["table"] for row in rows})),
            Tile("Shown", table.height),
        ]
    )
    page.table(
        "metrics",
        table,
        {
            "title": st.column_config.TextColumn("Metric", pinned=True),
            "definition": st.column_config.TextColumn("What it means", width="large"),
            "unit": st.column_config.TextColumn("Unit", width="small"),
            "provenance": st.column_config.TextColumn("From"),
            "formula": st.column_config.TextColumn("Formula", width="medium"),
            "elsewhere": st.column_config.TextColumn("Elsewhere", width="medium"),
            "caveat": st.column_config.TextColumn("Caveat", width="medium"),
            "by": st.column_config.TextColumn("Can be asked by", width="medium"),
            "table": st.column_config.TextColumn("Table"),
            "ask": st.column_config.TextColumn("Command"),
        },
        says="Every metric with its meaning, unit, provenance, formula, other sites' names, dimensions and table.",
        height=640,
    )
    st.caption("The table that holds a number defines it; pages, reports and `guelta ask` read the same definition.")
