"""Text that proves itself: a first line of facts with the digest of the rest, plain or gzip."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from guelta.errors import BadRecording


def text(path: Path) -> bytes:
    """The file's text. Raises BadRecording where there is none or the compression is damaged."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise BadRecording(f"{path} cannot be read as JSON lines, plain or gzip: {error}") from None


def changed(facts: Mapping[str, Any], rest: bytes) -> bool:
    """Whether these are other facts, or another rest, than were written."""
    return _digest(facts, rest) != facts.get("sha256")


def write(path: Path, facts: Mapping[str, Any], rest: bytes) -> None:
    """Write ``{"recording": facts}`` and the lines below it; the same lines give the same file."""
    packed = msgspec.json.encode({"recording": {**facts, "sha256": _digest(facts, rest)}}) + b"\n" + rest
    if path.suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=0) as file:  # no name, no clock
            file.write(packed)
        packed = buffer.getvalue()
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(packed)
    draft.rename(path)


def _digest(facts: Mapping[str, Any], rest: bytes) -> str:
    own = {key: value for key, value in facts.items() if key != "sha256"}
    return hashlib.sha256(msgspec.json.encode(own) + b"\n" + rest).hexdigest()
