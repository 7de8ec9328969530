"""What every page carries: its question, how fresh and how checked the data is, definitions, SQL and exports.

A page is ``with frame.page(__doc__, needs="marts.…") as page:``. What it reads inside is noted by ``dashboards.data``,
so the strip, the definitions and the exports name exactly the metrics, versions and gates behind what is on the screen.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from dashboards import data, strip, toolbar
from dashboards.contents import described
from dashboards.page import Page
from guelta.errors import GueltaError


@contextmanager
def page(doc: str | None, *, needs: str) -> Iterator[Page]:
    """Draw the frame around a page; stop with advice when the table it cannot do without is missing or empty."""
    name, question = described(doc)
    this = Page(name, question)
    reading = data.Reading()
    token = data.reading.set(reading)
    head = st.container(horizontal=True, vertical_alignment="center", gap="small")
    under = st.container(horizontal=True, vertical_alignment="center", gap="xsmall")
    head.title(question, anchor=False, width="stretch")
    try:
        try:
            advice = missing(needs)
        except GueltaError as error:
            refuse(error)
            st.stop()
        if advice:
            empty(*advice)
            st.stop()
        yield this
    except GueltaError as error:
        refuse(error)
    finally:
        data.reading.reset(token)
        with under:
            strip.draw(reading)
        with head:
            toolbar.draw(this, reading)


def missing(table: str) -> tuple[str, str, Sequence[str]] | None:
    """Why a page has nothing to show yet, and what to run: a title, a sentence, commands."""
    place = data.settings().lake
    if data.lake() is None:
        return (
            "There is no lake yet",
            f"Expected one at `{place}`. The demo makes a small economy on an embedded chain, and shows every page.",
            ("guelta demo",),
        )
    if table not in data.versions():
        return (
            "This table has not been built yet",
            f"The lake at `{place}` has no `{table}`. Build it from what was indexed.",
            ("guelta build",),
        )
    if data.rows(table, limit=1).is_empty():
        return (
            "Nothing has arrived here yet",
            f"`{table}` is built and empty: no chain or platform has given it rows. Index and pull, then build again.",
            ("guelta follow", "guelta pull", "guelta build"),
        )
    return None


def refuse(error: GueltaError) -> None:
    st.error(str(error), icon=":material/report:")


def empty(title: str, sentence: str, commands: Sequence[str]) -> None:
    with st.container(border=True):
        st.subheader(f":material/water_drop: {title}", anchor=False)
        st.write(sentence)
        st.code("\n".join(commands), language="bash")
        st.caption("Then reload this page.")
