"""What stands behind a page's numbers, and what a person takes away: definitions, SQL and exports."""

from collections.abc import Sequence
from functools import partial

import polars as pl
import streamlit as st

from dashboards import data, export, standing, wording
from dashboards.definitions import definition, weakest
from dashboards.page import Page
from models.metrics import Answer


def draw(this: Page, reading: data.Reading) -> None:
    """Definitions, SQL and exports of what this page has read."""
    if not data.readable():
        return
    metrics = {one.name: one for answer in reading.answers for one in answer.metrics}
    with st.container(horizontal=True, horizontal_alignment="right", width="content", gap="small"):
        if metrics:
            with st.popover("Definitions", icon=":material/menu_book:", type="tertiary"):
                for one in metrics.values():
                    definition(one)
            shown = st.popover("SQL", icon=":material/code:", type="tertiary", key="sql", on_change="rerun")
            if shown.open:  # long texts travel only to who asks for them
                with shown:
                    for titles, answer in by_metrics(reading.answers).items():
                        st.caption(titles)
                        st.code(answer.sql.strip(), language="sql", wrap_lines=True)
        if this.tables:
            with st.popover("Export", icon=":material/download:", type="tertiary"):
                for name, frame in this.tables.items():
                    downloads(this, reading, name, frame)


def by_metrics(answers: Sequence[Answer]) -> dict[str, Answer]:
    """One answer a set of metrics and dimensions: its SQL differs from its siblings' by filters alone."""
    found: dict[str, Answer] = {}
    for answer in answers:
        titles = " · ".join(one.title for one in answer.metrics)
        names = {one.name for one in answer.metrics}
        keys = [
            key
            for key in answer.frame.columns
            if not key.startswith(tuple(names)) and key not in ("symbol", "decimals")
        ]
        found.setdefault(titles + (f" by {', '.join(keys)}" if keys else ""), answer)
    return found


def downloads(this: Page, reading: data.Reading, name: str, frame: pl.DataFrame) -> None:
    """Three forms of one table, each made when it is clicked, and the note with their hashes."""
    gates = standing.gates(sorted(reading.tables))
    about = export.notes(
        f"{this.name.lower().replace(' ', '-')}-{name}",
        frame,
        question=this.question,
        metrics=[{"name": one.name, "unit": one.unit} for answer in reading.answers for one in answer.metrics],
        tables=reading.tables,
        filters={key: str(value) for key, value in st.query_params.to_dict().items()},
        gates={"passed": gates.passed, "total": gates.total, "failing": list(gates.failing)},
        as_of=wording.utc(standing.as_of(reading.answers or standing.blocks())),
        provenance=weakest([one for answer in reading.answers for one in answer.metrics]) or "platform",
        cap=data.ROWS,
    )
    st.caption(f"**{name}** · {wording.grouped(str(frame.height))} rows")
    forms = {
        "CSV": ("csv", "text/csv", partial(export.csv, frame)),
        "Parquet": ("parquet", "application/vnd.apache.parquet", partial(export.parquet, frame)),
        "XLSX": (
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            partial(export.xlsx, frame, about),
        ),
        "meta": ("meta.json", "application/json", partial(export.meta, frame, about)),
    }
    with st.container(horizontal=True, gap="xsmall"):
        for label, (ending, kind, make) in forms.items():
            st.download_button(
                label,
                make,
                file_name=f"{about['name']}.{ending}",
                mime=kind,
                on_click="ignore",
                key=f"download-{name}-{ending}",
            )
