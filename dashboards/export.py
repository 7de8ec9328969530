"""Files a person takes away: CSV, Parquet and XLSX of the same rows, and the note that says where they come from.

The CSV is the machine's: exact text, ISO-8601 UTC, LF, untouched. XLSX holds amounts as text, because a cell number is
a double and rounds silently beyond 15 digits.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import polars as pl

WIDEST = 48  # characters; a column of hashes may scroll


def csv(frame: pl.DataFrame) -> bytes:
    return _plain(frame).write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ", line_terminator="\n").encode()


def parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out, compression="zstd")
    return out.getvalue()


def xlsx(frame: pl.DataFrame, notes: Mapping[str, Any]) -> bytes:
    """One sheet of rows, one that says what they are. No formula, link or number is guessed from a text."""
    import xlsxwriter

    plain = _plain(frame)
    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, options) as book:
        book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)})  # same rows, same bytes
        bold = book.add_format({"bold": True, "bottom": 1})
        sheet = book.add_worksheet("rows")
        for place, name in enumerate(plain.columns):
            cells = plain[name].to_list()
            sheet.write_string(0, place, name, bold)
            for line, cell in enumerate(cells, start=1):
                if isinstance(cell, bool) or cell is None or isinstance(cell, str):
                    sheet.write_string(line, place, "" if cell is None else str(cell))
                elif isinstance(cell, int) and abs(cell) >= 10**15:
                    sheet.write_string(line, place, str(cell))
                elif isinstance(cell, int | float):
                    sheet.write_number(line, place, cell)
                else:
                    sheet.write_string(line, place, cell.isoformat())
            longest = max([len(name), *(len(str(cell)) for cell in cells[:500])])
            sheet.set_column(place, place, min(longest + 2, WIDEST))
        sheet.freeze_panes(1, 0)
        if plain.height:
            sheet.autofilter(0, 0, plain.height, plain.width - 1)
        read_me = book.add_worksheet("read me")
        read_me.set_column(0, 0, 18)
        read_me.set_column(1, 1, 100)
        for line, (key, value) in enumerate(notes.items()):
            read_me.write_string(line, 0, key, bold)
            read_me.write_string(line, 1, value if isinstance(value, str) else json.dumps(value, sort_keys=True))
    return out.getvalue()


def notes(
    name: str,
    frame: pl.DataFrame,
    *,
    question: str,
    metrics: Sequence[Mapping[str, Any]],
    tables: Mapping[str, int],
    filters: Mapping[str, str],
    gates: Mapping[str, Any],
    as_of: str,
    provenance: str,
    cap: int,
) -> dict[str, Any]:
    """What the rows are, without the hashes of the files."""
    return {
        "name": name,
        "question": question,
        "metrics": list(metrics),
        "filters": dict(filters),
        "viewer_role": "local",
        "rows": frame.height,
        "row_cap": cap,
        "capped": frame.height >= cap,
        "columns": {column: str(kind) for column, kind in frame.schema.items()},
        "tables": dict(sorted(tables.items())),
        "data_as_of": as_of,
        "provenance": provenance,
        "gates": dict(gates),
        "code_version": version("guelta"),
        "amounts": "text columns are authoritative; columns named …_display are rounded for the eye",
    }


def meta(frame: pl.DataFrame, about: Mapping[str, Any]) -> bytes:
    """``NAME.meta.json``: the notes and the size and sha256 of each file, which the downloads match byte for byte."""
    files = {"csv": csv(frame), "parquet": parquet(frame), "xlsx": xlsx(frame, about)}
    hashes = {
        f"{about['name']}.{kind}": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for kind, data in files.items()
    }
    return (json.dumps({**about, "files": hashes}, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns a text file can hold: bytes as 0x text, decimals as exact text, lists as JSON."""
    out = frame
    for name, kind in frame.schema.items():
        if kind == pl.Binary:
            out = out.with_columns((pl.lit("0x") + pl.col(name).bin.encode("hex")).alias(name))
        elif isinstance(kind, pl.Decimal):
            out = out.with_columns(pl.col(name).cast(pl.String))
        elif isinstance(kind, pl.List):
            out = out.with_columns(
                pl.Series(
                    name, [None if cell is None else json.dumps(cell) for cell in frame[name].to_list()], pl.String
                )
            )
    return out
