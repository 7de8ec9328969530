"""A page as its file holds it while it is drawn: tables it shows, and what of them can be taken away."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import streamlit as st

from dashboards import data, wording

TABLE_HEIGHT = 420


@dataclass(slots=True)
class Page:
    name: str
    question: str
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)

    def table(
        self,
        name: str,
        frame: pl.DataFrame,
        columns: Mapping[str, Any],
        *,
        says: str,
        height: int = TABLE_HEIGHT,
        pick: bool = False,
    ) -> int | None:
        """Show ``frame``'s ``columns`` and offer it for export; with ``pick`` the number of the chosen row."""
        self.offer(name, frame)
        if frame.is_empty():
            st.caption("Nothing to show for this choice.")
            return None
        shown = frame.select([column for column in columns if column in frame.columns]).head(data.ROWS)
        tall = min(height, 35 * (shown.height + 1) + 3)
        event = st.dataframe(
            shown,
            hide_index=True,
            column_config=dict(columns),
            height=tall,
            key=f"table-{name}",
            on_select="rerun" if pick else "ignore",
            selection_mode="single-row",
            placeholder="–",
            alt=says,
        )
        if frame.height >= data.ROWS:
            st.caption(f"The first {data.ROWS:,} rows; narrow the filters to see others.".replace(",", wording.THIN))
        chosen = event.selection.rows if pick else []
        return chosen[0] if chosen else None

    def offer(self, name: str, frame: pl.DataFrame) -> None:
        """Add a frame to the export menu."""
        self.tables[name] = frame
