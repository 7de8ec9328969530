"""A report as a PDF: typst with its own fonts, the house's colours, and no clock.

Values go to typst as JSON, never as markup, so a name from outside cannot become code.
"""

import json
import re
from datetime import datetime
from typing import Any

from guelta.money import whole
from pipelines.reports import Column, Report, Sheet

_LONG_HEX = re.compile(r"0x[0-9a-f]{20,}")  # whole in CSV and XLSX
MOST_ROWS = 400  # of one sheet in print; the sheet itself is whole in CSV and XLSX

_TEMPLATE = """
#let report = json(bytes(sys.inputs.report))
#let ink = rgb("#1c2333")
#let accent = rgb("#3257d6")
#let soft = rgb("#5b6577")
#let line = rgb("#e3e7ef")
#let ground = rgb("#f5f7fb")
#let mono(body) = text(font: "DejaVu Sans Mono", size: 6pt)[#body]
#set document(title: report.title + " " + report.period, date: datetime(
  year: report.made.at(0), month: report.made.at(1), day: report.made.at(2)))
#set page(paper: "a4", flipped: true, margin: (x: 16mm, top: 15mm, bottom: 16mm), footer: context [
  #set text(size: 7pt, fill: soft)
  #report.title · #report.period · #report.pin
  #h(1fr) #counter(page).display("1 / 1", both: true)
])
#set text(font: "Libertinus Serif", size: 9pt, fill: ink, number-type: "lining", number-width: "tabular", lang: "en")
#set par(leading: 0.55em)
#show heading.where(level: 1): it => block(above: 14pt, below: 6pt, text(size: 13pt, weight: "semibold", it.body))

#grid(columns: (1fr, auto), align: (left + bottom, right + bottom),
  [#text(size: 8pt, fill: accent, tracking: 0.08em)[#upper("Guelta")] \\
   #text(size: 22pt, weight: "semibold")[#report.title] #h(6pt) #text(size: 22pt, fill: soft)[#report.period] \\
   #text(size: 10pt, fill: soft)[#report.question]],
  if report.demo { box(fill: rgb("#efb118"), radius: 3pt, inset: (x: 7pt, y: 4pt),
    text(size: 8pt, weight: "bold", fill: rgb("#3a2a00"))[DEMO DATA]) })
#v(8pt)
#grid(columns: (1fr,) * report.figures.len(), column-gutter: 6pt,
  ..report.figures.map(f => block(fill: ground, stroke: 0.6pt + line, radius: 4pt, inset: 8pt, width: 100%)[
    #text(size: 7.5pt, fill: soft)[#f.at(0)] \\
    #text(size: 13pt, weight: "semibold")[#f.at(1)] \\
    #text(size: 7pt, fill: soft)[#f.at(2)]
  ]))

#for sheet in report.sheets [
  = #sheet.title
  #if sheet.note != "" [#text(size: 8pt, fill: soft)[#sheet.note] #v(3pt)]
  #if sheet.rows.len() == 0 [#text(fill: soft)[No line.]] else {
    set text(size: 7.5pt)
    table(
      columns: sheet.columns.map(c => auto),
      align: (x, y) => if sheet.columns.at(x).right { right } else { left },
      stroke: (x, y) => (bottom: if y == 0 { 0.8pt + soft } else { 0.4pt + line }),
      inset: (x: 5pt, y: 3.2pt),
      table.header(..sheet.columns.map(c => text(weight: "semibold", fill: soft)[#c.title])),
      ..sheet.rows.flatten().map(cell => if cell.starts-with("0x") {
        mono(cell) } else { [#cell] }),
    )
  }
  #if sheet.cut > 0 [#text(size: 7.5pt, fill: soft)[#sheet.cut more lines stand in the CSV and XLSX of this report.]]
]

= Where these figures come from
#set text(size: 7.5pt)
#grid(columns: (1fr, 1fr), column-gutter: 14pt,
  table(columns: (auto, 1fr), stroke: (x, y) => (bottom: 0.4pt + line), inset: (x: 4pt, y: 3pt),
    ..report.controls.map(c => ([#c.at(0)], align(right)[#c.at(1)])).flatten(),
    ..report.cutoffs.map(c => ([Cut-off #c.at(0)], align(right, mono(c.at(1))))).flatten()),
  table(columns: (auto, 1fr), stroke: (x, y) => (bottom: 0.4pt + line), inset: (x: 4pt, y: 3pt),
    ..report.definitions.map(d => (text(weight: "semibold")[#d.at(0)], [#d.at(1)])).flatten()))
"""


def pdf(report: Report, made: datetime) -> bytes:
    """The printed form, dated ``made`` and by nothing else."""
    import typst

    values = {
        "title": report.title,
        "period": report.period,
        "question": report.question,
        "demo": report.demo,
        "made": [made.year, made.month, made.day],
        "pin": " ".join(f"{table}@{version}" for table, version in report.sources),
        "figures": report.figures,
        "sheets": [_sheet(sheet) for sheet in report.sheets],
        "controls": sorted(report.controls.items()),
        "cutoffs": report.cutoffs,
        "definitions": report.definitions,
    }
    out = typst.compile(
        _TEMPLATE.encode(),
        ignore_system_fonts=True,
        sys_inputs={"report": json.dumps(values, ensure_ascii=False)},
        timestamp=int(made.timestamp()),
    )
    assert isinstance(out, bytes)
    return out


def _sheet(sheet: Sheet) -> dict[str, Any]:
    printed = sheet.rows[:MOST_ROWS]
    return {
        "title": sheet.title,
        "note": sheet.note,
        "columns": [{"title": c.title, "right": c.kind in {"amount", "count"}} for c in sheet.columns],
        "rows": [[_text(c, value) for c, value in zip(sheet.columns, row, strict=True)] for row in printed],
        "cut": len(sheet.rows) - len(printed),
    }


def _text(column: Column, value: Any) -> str:
    if value is None:
        return ""
    if column.kind == "amount":
        units, decimals, symbol = value
        return f"{grouped(whole(units, decimals))} {symbol}".strip()
    if column.kind == "count":
        return f"{value:,}"
    return _LONG_HEX.sub(lambda found: f"{found[0][:10]}…{found[0][-6:]}", str(value))


def grouped(number: str) -> str:
    """An exact decimal text with thin spaces between thousands."""
    whole_part, point, fraction = number.partition(".")
    sign, digits = ("-", whole_part[1:]) if whole_part.startswith("-") else ("", whole_part)
    return sign + f"{int(digits):,}".replace(",", "\N{NARROW NO-BREAK SPACE}") + point + fraction
