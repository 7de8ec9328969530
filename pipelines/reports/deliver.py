"""Files with a manifest, written once: the same content to the same place is delivered one time."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guelta import __version__
from pipelines.reports import Report, month_of
from pipelines.reports.page import pdf
from pipelines.reports.write import sheet_csv, workbook

if TYPE_CHECKING:
    from guelta.decisions import Decisions


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was delivered, and from what. ``content_id`` is the digest of all files: equal content, equal id."""

    report: str
    period: str
    versions: Mapping[str, int]
    cutoffs: tuple[tuple[str, str], ...]
    controls: Mapping[str, str]
    demo: bool
    code: str
    files: tuple[tuple[str, int, str], ...]  # name, bytes, sha256
    content_id: str
    target: str
    delivered: bool  # False: this content was at the target already

    def lines(self) -> list[str]:
        told = [f"{self.report} for {self.period}: {self.target}"]
        told += [f"  {sha[:16]}  {size:>9,} bytes  {name}" for name, size, sha in self.files]
        told += [f"  {name}: {value}" for name, value in sorted(self.controls.items())]
        return [
            *told,
            f"content {self.content_id}",
            "delivered" if self.delivered else "already delivered: same content",
        ]


def deliver(book: "Decisions", report: Report, name: str, pin: Mapping[str, int], to: str) -> Manifest:
    """Render and write a report below ``to``; the decision store records sending and sent."""
    _, last = month_of(report.period)
    made = datetime(last.year, last.month, last.day, tzinfo=UTC)
    report = replace(report, sources=tuple((table, str(version)) for table, version in sorted(pin.items())))
    files = render(report, name, made)
    listed = tuple((file, len(data), hashlib.sha256(data).hexdigest()) for file, data in sorted(files.items()))
    content_id = hashlib.sha256("\n".join(sha for _, _, sha in listed).encode()).hexdigest()
    target = f"{to.rstrip('/')}/{name}/{report.period}"
    manifest = Manifest(
        name, report.period, dict(pin), report.cutoffs, report.controls, report.demo, __version__, listed, content_id,
        target, delivered=True,
    )  # fmt: skip
    key = f"{name}|{report.period}|{content_id}|{target}"
    now = datetime.now(UTC)
    if any(event.kind == "sent" for event in book.events("delivery", key)) and _present(target, listed):
        return replace(manifest, delivered=False)
    book.append(
        "delivery", key, "sending", {"files": len(listed)}, actor="guelta report", at=now, idem_key=f"sending|{key}"
    )
    shown = {k: v for k, v in asdict(manifest).items() if k not in {"delivered", "target"}}
    text = json.dumps(shown, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    _write(target, {**files, "manifest.json": text.encode()})
    book.append(
        "delivery", key, "sent", {"content_id": content_id}, actor="guelta report", at=now, idem_key=f"sent|{key}"
    )
    return manifest


def render(report: Report, name: str, made: datetime) -> dict[str, bytes]:
    """Every file of a report, by name."""
    stem = f"{name}-{report.period}"
    files = {f"{stem}.pdf": pdf(report, made), f"{stem}.xlsx": workbook(report, made)}
    return files | {f"{stem}-{sheet.name}.csv": sheet_csv(sheet) for sheet in report.sheets}


def _present(target: str, listed: tuple[tuple[str, int, str], ...]) -> bool:
    fs, root = _filesystem(target)
    return all(fs.exists(f"{root}/{name}") for name, _, _ in listed)


def _write(target: str, files: Mapping[str, bytes]) -> None:
    fs, root = _filesystem(target)
    fs.makedirs(root, exist_ok=True)
    for name, data in files.items():
        draft = f"{root}/.{name}.new"  # a reader sees a whole file or none
        with fs.open(draft, "wb") as out:
            out.write(data)
        fs.mv(draft, f"{root}/{name}")


def _filesystem(target: str) -> tuple[Any, str]:
    import fsspec

    fs, root = fsspec.core.url_to_fs(target if "://" in target else str(Path(target).absolute()))
    return fs, root
