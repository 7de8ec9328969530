"""Exact digits into files: CSV for machines, XLSX for people, the same rows in both.

A cell number of a spreadsheet is a double and rounds silently beyond 15 digits (50-surface §8.2). So an amount is two
columns: base units as text, which is authoritative, and a display number beside it.
"""

import csv
import io
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from guelta.money import whole
from pipelines.reports import Column, Report, Sheet

_DISPLAY = Context(prec=15, rounding=ROUND_HALF_EVEN)  # what a double holds for certain
_WIDTHS = {"text": 22, "count": 12, "hash": 20}


def sheet_csv(sheet: Sheet) -> bytes:
    """Machine CSV: UTF-8, LF, snake_case, exact base units; untouched by spreadsheet hygiene."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([name for column in sheet.columns for name in _machine_names(column)])
    for row in sheet.rows:
        cells = zip(sheet.columns, row, strict=True)
        writer.writerow([cell for column, value in cells for cell in _machine_cells(column, value)])
    return out.getvalue().encode()


def workbook(report: Report, made: datetime) -> bytes:
    """All sheets as one XLSX; ``made`` dates the file, so that two builds are the same bytes."""
    import xlsxwriter

    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(out, options)
    book.set_properties({"title": f"{report.title} {report.period}", "created": made})
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top", "bg_color": "#f5f7fb"})
    exact = book.add_format({"num_format": "@", "align": "right", "font_name": "Consolas"})
    shown = book.add_format({"num_format": "#,##0.00####", "font_color": "#5b6577"})
    _read_me(book, report, head)
    for sheet in report.sheets:
        page = book.add_worksheet(sheet.name[:31])
        page.freeze_panes(1, 0)
        at = 0
        for i, column in enumerate(sheet.columns):
            at += _write_column(page, at, column, [row[i] for row in sheet.rows], (head, exact, shown))
        page.autofilter(0, 0, max(1, len(sheet.rows)), max(0, at - 1))
    book.close()
    return out.getvalue()


def _read_me(book: Any, report: Report, head: Any) -> None:
    page = book.add_worksheet("Read me")
    page.set_column(0, 0, 34)
    page.set_column(1, 1, 96)
    lines = [
        (report.title, report.period),
        ("Question", report.question),
        ("Data", "demo data of an embedded development chain" if report.demo else "data of the configured sources"),
        (
            "Which column counts",
            "Columns named … (base units) are exact text and authoritative; the number beside is rounded.",
        ),
        *((f"Control: {name}", value) for name, value in sorted(report.controls.items())),
        *((f"Cut-off: {chain}", block) for chain, block in report.cutoffs),
        *((f"Table {table}", f"version {version}") for table, version in report.sources),
        *report.definitions,
    ]
    for at, (label, text) in enumerate(lines):
        page.write_string(at, 0, label, head)
        page.write_string(at, 1, text)


def _write_column(page: Any, at: int, column: Column, values: list[Any], formats: tuple[Any, Any, Any]) -> int:
    head, exact, shown = formats
    if column.kind != "amount":
        page.set_column(at, at, _WIDTHS[column.kind])
        page.write_string(0, at, column.title, head)
        for row, value in enumerate(values, start=1):
            if column.kind == "count" and value is not None:
                page.write_number(row, at, value)
            else:
                page.write_string(row, at, "" if value is None else str(value))
        return 1
    page.set_column(at, at, 30)
    page.set_column(at + 1, at + 1, 20)
    page.write_string(0, at, f"{column.title} (base units)", head)
    page.write_string(0, at + 1, column.title, head)
    for row, value in enumerate(values, start=1):
        if value is None:
            continue
        units, decimals, _ = value
        page.write_string(row, at, str(units), exact)
        page.write_number(row, at + 1, float(_DISPLAY.create_decimal(Decimal(whole(units, decimals)))), shown)
    return 2


def _machine_names(column: Column) -> list[str]:
    return [column.name, f"{column.name}_whole", f"{column.name}_symbol"] if column.kind == "amount" else [column.name]


def _machine_cells(column: Column, value: Any) -> list[str]:
    if column.kind != "amount":
        return ["" if value is None else str(value)]
    if value is None:
        return ["", "", ""]
    units, decimals, symbol = value
    return [str(units), whole(units, decimals), symbol]
