"""What every page carries: its question, how fresh and how checked the data is, definitions, SQL and exports.

A page is ``with frame.page(__doc__, needs="marts.…") as page:``. What it reads inside is noted by ``dashboards.data``,
so the strip, the definitions and the exports name exactly the metrics, versions and gates behind what is on the screen.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

from dashboards import data, export
from guelta.errors import GueltaError
from models.header import PROVENANCE, Metric
from models.metrics import Answer

HERE = Path(__file__).parent
SECTIONS = ("investor", "analyst", "finance", "operator")  # who asks; a folder not named here comes last
PROVENANCE_SAID = {
    "on_chain": ("verified on-chain", ":material/verified:", "green"),
    "platform": ("platform-reported", ":material/domain:", "blue"),
    "third_party": ("third-party claim", ":material/campaign:", "yellow"),
}
TABLE_HEIGHT = 420


@dataclass(frozen=True, slots=True)
class PageFile:
    """A page as its file describes it: ``name: question`` in the first line, a few constants below."""

    path: Path
    section: str
    name: str
    question: str
    icon: str
    hidden: bool
    place: int


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
            st.caption(f"The first {data.ROWS:,} rows; narrow the filters to see others.".replace(",", data.THIN))
        chosen = event.selection.rows if pick else []
        return chosen[0] if chosen else None

    def offer(self, name: str, frame: pl.DataFrame) -> None:
        """Add a frame to the export menu."""
        self.tables[name] = frame


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    value: float | int | str | None
    help: str = ""
    number: str | None = "compact"
    delta: float | None = None  # a share: 0.12 is +12 %
    against: str = ""
    spark: Sequence[float] = ()
    good: str = "normal"  # inverse where less is better, off where neither is


def tiles(items: Sequence[Tile], *, least_width: int = 168) -> None:
    """The numbers a page begins with, in one row that wraps on a narrow screen."""
    with st.grid(columns=len(items), min_column_width=least_width, gap="small"):
        for tile in items:
            st.metric(
                tile.label,
                tile.value,
                None if tile.delta is None else f"{tile.delta:+.1%}",
                help=tile.help or None,
                border=True,
                height="stretch",
                format=None if isinstance(tile.value, str) else tile.number,
                delta_color=tile.good if tile.delta is not None else "primary",
                delta_description=tile.against if tile.delta is not None else None,
                chart_data=list(tile.spark) if len(tile.spark) > 1 else None,
                chart_type="area",
            )


def money(
    label: str, answer: Answer, name: str, token: data.Token, against: str, flow: pl.DataFrame | None = None
) -> Tile:
    """A tile of whole tokens; the tooltip holds every digit."""
    amount = data.number(answer, name)
    spark = spark_of(flow, f"{name}_f64")
    return Tile(label, token.shown(amount), token.said(amount), "compact", data.change(answer, name), against, spark)


def amount(label: str, units: int, token: data.Token, spark: Sequence[float] = ()) -> Tile:
    """A tile of an amount in base units."""
    return Tile(label, token.shown(units), token.said(units), "compact", spark=spark)


def milliseconds(label: str, answer: Answer, name: str, against: str, flow: pl.DataFrame | None = None) -> Tile:
    """A tile of a latency; less is better, and a histogram of 2 % buckets says no more than three digits."""
    value = data.number(answer, name)
    spark = spark_of(flow, name)
    shown = None if value is None else f"{float(value):.3g} ms" if value < 1000 else f"{float(value) / 1000:.3g} s"
    says = "From a histogram of 2 % buckets: within 1 % of the truth."
    return Tile(label, shown, says, None, data.change(answer, name), against, spark, "inverse")


def ratio(label: str, answer: Answer, name: str, says: str, against: str, flow: pl.DataFrame | None = None) -> Tile:
    """A tile of a share in percent; it moves in percentage points, so no delta in percent stands beside it."""
    spark = spark_of(flow, name)
    return Tile(label, data.number(answer, name), says, "percent", None, against, spark)


def count(
    label: str, answer: Answer, name: str, against: str, flow: pl.DataFrame | None = None, good: str = "normal"
) -> Tile:
    amount = data.number(answer, name)
    spark = spark_of(flow, name)
    said = f"Exactly {data.grouped(str(amount))}" if isinstance(amount, int) else ""
    return Tile(label, amount, said, "compact", data.change(answer, name), against, spark, good)


def spark_of(flow: pl.DataFrame | None, column: str) -> Sequence[float]:
    return () if flow is None or column not in flow.columns else data.complete(flow, column)


@contextmanager
def page(doc: str | None, *, needs: str) -> Iterator[Page]:
    """Draw the frame around a page; stop with advice when the table it cannot do without is missing or empty."""
    name, question = described(doc)
    this = Page(name, question)
    reading = data.Reading()
    token = data.reading.set(reading)
    head = st.container(horizontal=True, vertical_alignment="center", gap="small")
    strip = st.container(horizontal=True, vertical_alignment="center", gap="xsmall")
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
        with strip:
            standing(reading)
        with head:
            tools(this, reading)


def described(doc: str | None) -> tuple[str, str]:
    """The name and the question of a page from its first line."""
    name, _, question = (doc or "").strip().partition("\n")[0].partition(":")
    question = question.strip()
    return name.strip(), question[:1].upper() + question[1:]


@lru_cache
def pages() -> tuple[PageFile, ...]:
    """Every page file, in the order of the menu; read once a process, without running any."""
    found = [_page_file(path) for path in sorted(HERE.glob("pages/*/[!_]*.py"))]
    return tuple(sorted(found, key=lambda one: (_rank(one.section), one.section, one.place, one.path.stem)))


def address(page_file: PageFile) -> str:
    """The page's path in the URL: the first page is the root itself."""
    return "" if page_file == pages()[0] else page_file.path.stem


def page_of(stem: str) -> Path:
    return next(one.path for one in pages() if one.path.stem == stem)


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


def standing(reading: data.Reading) -> None:
    """The header strip: demo or real, as of when, final up to where, checked how, and from whom."""
    if not data.readable():
        return
    chains = data.chains()
    sources = {chain.source for chain in chains}
    if "devnet" in sources:
        st.badge(
            "DEMO DATA", icon=":material/science:", color="orange", help="An economy made up on an embedded chain."
        )
    if "recorded" in sources:
        st.badge(
            "recorded blocks", icon=":material/archive:", color="violet", help="Real blocks, served from recordings."
        )
    fresh = data.as_of(reading.answers or data.blocks())
    st.badge(
        f"as of {data.utc(fresh)} UTC" if fresh else "no blocks yet",
        icon=":material/schedule:",
        color="gray",
        help="The time of the newest final block behind these numbers. All days and times on these pages are UTC.",
    )
    for chain in chains[:2]:
        st.badge(chain.standing(), icon=":material/link:", color="gray", help=chain.said())
    if len(chains) > 2:
        rest = chains[2:]
        st.badge(f"+{len(rest)} chains", color="gray", help="  \n".join(f"{one.name}: {one.said()}" for one in rest))
    gates = data.gates(sorted(reading.tables))
    if gates.total:
        good = gates.passed == gates.total
        st.page_link(
            page_of("quality"),
            label=f"Gates {gates.passed}/{gates.total}",
            icon=":material/task_alt:" if good else ":material/error:",
            help=f"Rules checked on the tables of this page: {gates.said()}",
            width="content",
        )
    tag = weakest([one for answer in reading.answers for one in answer.metrics])
    if tag:
        label, icon, colour = PROVENANCE_SAID[tag]
        st.badge(label, icon=icon, color=colour, help="The weakest source among the metrics of this page.")


def weakest(metrics: Sequence[Metric]) -> str | None:
    return max((one.provenance for one in metrics), key=PROVENANCE.index, default=None)


def tools(this: Page, reading: data.Reading) -> None:
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


def downloads(this: Page, reading: data.Reading, name: str, frame: pl.DataFrame) -> None:
    """Three forms of one table, each made when it is clicked, and the note with their hashes."""
    gates = data.gates(sorted(reading.tables))
    about = export.notes(
        f"{this.name.lower().replace(' ', '-')}-{name}",
        frame,
        question=this.question,
        metrics=[{"name": one.name, "unit": one.unit} for answer in reading.answers for one in answer.metrics],
        tables=reading.tables,
        filters={key: str(value) for key, value in st.query_params.to_dict().items()},
        gates={"passed": gates.passed, "total": gates.total, "failing": list(gates.failing)},
        as_of=data.utc(data.as_of(reading.answers or data.blocks())),
        provenance=weakest([one for answer in reading.answers for one in answer.metrics]) or "platform",
        cap=data.ROWS,
    )
    st.caption(f"**{name}** · {data.grouped(str(frame.height))} rows")
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


def _rank(section: str) -> int:
    return SECTIONS.index(section) if section in SECTIONS else len(SECTIONS)


def _page_file(path: Path) -> PageFile:
    tree = ast.parse(path.read_text("utf-8"))
    said = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    name, question = described(inspect.cleandoc(ast.get_docstring(tree) or f"{path.stem}: ?"))
    icon, hidden, place = said.get("ICON", ":material/monitoring:"), bool(said.get("HIDDEN")), said.get("PLACE", 9)
    return PageFile(path, path.parent.name, name, question, str(icon), hidden, int(str(place)))
