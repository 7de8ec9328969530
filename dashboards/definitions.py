"""What a metric means, in words: its definition, its formula and who vouches for it."""

from collections.abc import Sequence

import streamlit as st

from models.header import PROVENANCE, Metric

PROVENANCE_SAID = {
    "on_chain": ("verified on-chain", ":material/verified:", "green"),
    "platform": ("platform-reported", ":material/domain:", "blue"),
    "third_party": ("third-party claim", ":material/campaign:", "yellow"),
}


def definition(one: Metric) -> None:
    label, icon, colour = PROVENANCE_SAID[one.provenance]
    st.markdown(f"**{one.title}** · `{one.name}` · {one.unit} · :{colour}-badge[{icon} {label}]")
    st.caption(f"{one.definition}  \n{formula(one)}" + (f"  \n:material/info: {one.caveat}" if one.caveat else ""))


def formula(one: Metric) -> str:
    """How the number is made, in words an SQL reader trusts."""
    columns = [f"`{column}`" for column in one.columns]
    said = {
        "sum": f"sum of {columns[0]}",
        "stock": f"last {columns[0]}",
        "ratio": " ÷ ".join(columns[:2]),
        "distinct": f"distinct {', '.join(columns)}",
        "quantile": f"quantile {float(one.quantile or 0):g} of the histogram in {' and '.join(columns)}",
    }
    only = " and ".join(f"{name} is {' or '.join(map(str, values))}" for name, values in one.where)
    return f"{said[one.kind]} in `{one.table}`" + (f" where {only}" if only else "")


def weakest(metrics: Sequence[Metric]) -> str | None:
    return max((one.provenance for one in metrics), key=PROVENANCE.index, default=None)
