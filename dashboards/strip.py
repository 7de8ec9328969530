"""The header strip: demo or real, as of when, final up to where, checked how, and from whom."""

import streamlit as st

from dashboards import contents, data, standing, wording
from dashboards.definitions import PROVENANCE_SAID, weakest


def draw(reading: data.Reading) -> None:
    if not data.readable():
        return
    chains = standing.chains()
    sources = {chain.source for chain in chains}
    if "devnet" in sources:
        st.badge(
            "DEMO DATA", icon=":material/science:", color="orange", help="An economy made up on an embedded chain."
        )
    if "recorded" in sources:
        st.badge(
            "recorded blocks", icon=":material/archive:", color="violet", help="Real blocks, served from recordings."
        )
    fresh = standing.as_of(reading.answers or standing.blocks())
    st.badge(
        f"as of {wording.utc(fresh)} UTC" if fresh else "no blocks yet",
        icon=":material/schedule:",
        color="gray",
        help="The time of the newest final block behind these numbers. All days and times on these pages are UTC.",
    )
    for chain in chains[:2]:
        st.badge(chain.standing(), icon=":material/link:", color="gray", help=chain.said())
    if len(chains) > 2:
        rest = chains[2:]
        st.badge(f"+{len(rest)} chains", color="gray", help="  \n".join(f"{one.name}: {one.said()}" for one in rest))
    gates = standing.gates(sorted(reading.tables))
    if gates.total:
        good = gates.passed == gates.total
        st.page_link(
            contents.page_of("quality"),
            label=f"Gates {gates.passed}/{gates.total}",
            icon=":material/task_alt:" if good else ":material/error:",
            help=f"Rules checked on the tables of this page: {gates.said()}",
            width="content",
        )
    tag = weakest([one for answer in reading.answers for one in answer.metrics])
    if tag:
        label, icon, colour = PROVENANCE_SAID[tag]
        st.badge(label, icon=icon, color=colour, help="The weakest source among the metrics of this page.")
