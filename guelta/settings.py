"""What the installation says, read once at the door into one frozen value.

Order: defaults, then ``guelta.toml`` in the working folder (or ``GUELTA_CONFIG``), then ``GUELTA_*`` variables.
A key nobody knows is an error. Secrets stand only in the environment; ``Settings.shown()`` is what may be printed.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from guelta.errors import BadSetting


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything below the door is handed this value; nobody else reads the environment."""

    home: Path = Path("guelta-data")
    lake: str = ""  # folder or s3:// of the lake; default home/lake
    decisions: str = ""  # SQLAlchemy URL of reviews, closes, deliveries and leases; default SQLite in home
    platform: str = ""  # SQLAlchemy URL of the platform's database; default SQLite in home
    calls: str = ""  # folder of the gateway's *.jsonl call logs; default home/calls
    annotations: str | None = None  # folder of label sets (item, worker, label)
    traces: str | None = None  # folder of recorded call traces
    rpc: dict[str, tuple[str, ...]] = {}  # chain name -> JSON-RPC URLs, in order of preference
    shared: Path = Path("../shared")  # recorded real data, for tests and replay
    memory: str = "4GB"  # DuckDB's limit
    threads: int = 2
    storage: dict[str, str] = {}  # options of an object store, from the environment only

    def shown(self) -> dict[str, Any]:
        """The settings as they may be printed: passwords, keys in URLs and storage options masked."""
        plain: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        plain["storage"] = dict.fromkeys(self.storage, "…")
        plain["rpc"] = {name: [masked(url) for url in urls] for name, urls in self.rpc.items()}
        return plain | {name: masked(getattr(self, name)) for name in ("decisions", "platform")}


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read ``guelta.toml`` and ``GUELTA_*``.

    Raises:
        BadSetting: an unknown key, a wrong type, a file that is named but absent or is no TOML.
    """
    env = os.environ if environ is None else environ
    named = path or (Path(env["GUELTA_CONFIG"]) if "GUELTA_CONFIG" in env else None)
    file = named or Path("guelta.toml")
    values: dict[str, Any] = {}
    if file.is_file():
        try:
            values = tomllib.loads(file.read_text("utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise BadSetting(f"{file} is no TOML: {error}; mend the line or remove the file") from error
    elif named:
        raise BadSetting(f"settings file {file} does not exist; create it or unset GUELTA_CONFIG")
    if "storage" in values:
        raise BadSetting(f"{file} holds [storage]; its secrets belong in the environment as GUELTA_STORAGE_NAME=…")
    values |= _from_environment(env, dict(values.get("rpc", {})))
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        known = ", ".join(Settings.__struct_fields__)
        raise BadSetting(f"{file} and GUELTA_*: {error}; known settings are {known}") from error
    return resolved(settings)


def resolved(settings: Settings) -> Settings:
    """The same settings with every default that depends on ``home`` filled in."""
    home = settings.home
    filled = {
        "lake": settings.lake or str(home / "lake"),
        "decisions": settings.decisions or f"sqlite:///{home / 'decisions.db'}",
        "platform": settings.platform or f"sqlite:///{home / 'platform.db'}",
        "calls": settings.calls or str(home / "calls"),
    }
    return msgspec.structs.replace(settings, **filled)


def masked(url: str) -> str:
    """A URL as it may be shown: no user, no password, no query; of the web only the host, for paths hold keys too."""
    scheme, found, rest = url.partition("://")
    if not found or scheme.startswith("sqlite"):
        return url
    user, at, place = rest.rpartition("@")  # a password may hold any character, also an @
    host, slash, path = place.partition("?")[0].partition("/")
    whole = scheme in {"http", "https", "ws", "wss"}
    shown = ("/…" if path or "?" in place else slash) if whole else slash + path
    return f"{scheme}://{'…@' if user or at else ''}{host}{shown}"


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"expected {kind.__name__}, found {value!r}")


def _from_environment(env: Mapping[str, str], rpc: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    storage: dict[str, str] = {}
    for key, value in env.items():
        if not key.startswith("GUELTA_") or key in {"GUELTA_CONFIG", "GUELTA_CHROMIUM", "GUELTA_ANVIL"}:
            continue
        name = key.removeprefix("GUELTA_").lower()
        if name.startswith("rpc_"):
            rpc[name.removeprefix("rpc_").replace("_", "-")] = tuple(value.split())
        elif name.startswith("storage_"):
            storage[name.removeprefix("storage_").upper()] = value
        else:
            found[name] = value
    if rpc:
        found["rpc"] = {name: (urls,) if isinstance(urls, str) else tuple(urls) for name, urls in rpc.items()}
    if storage:
        found["storage"] = storage
    return found
