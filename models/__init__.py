"""What the data means: a file is a table, its path the name, its header the contract.

``models/marts/asset_days.sql`` and ``models/marts/usage/asset_days.sql`` are both ``marts.asset_days``; a file that
begins with ``_`` is code its neighbours share. A *model* here is a table's file; what answers calls is an AI model.
"""

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from guelta.errors import BadModel
from models import lineage
from models.header import Header, Metric, Partition, parse

__all__ = ["Header", "Metric", "Model", "Partition", "load", "select"]

HERE = Path(__file__).parent
_SCHEMAS = ("raw", "core", "marts", "ops")
_COMMENT = re.compile(r"\s*/\*(.*?)\*/(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Model:
    name: str  # schema.table
    path: Path
    folder: str  # "core/earnings": where it stands, for selections
    header: Header
    upstream: tuple[str, ...]
    sql: str | None  # None for a Python model
    build: Callable[[Any], Any] | None  # build(inputs: models.build.Inputs) -> pa.Table | pl.DataFrame
    digest: str  # changes when what it computes may change

    @property
    def title(self) -> str:
        return self.header.title

    @property
    def grain(self) -> tuple[str, ...]:
        return self.header.grain

    @property
    def columns(self) -> dict[str, str]:
        return dict(self.header.columns)

    @property
    def rules(self) -> tuple[str, ...]:
        return self.header.rules

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.header.metrics

    @property
    def partition(self) -> Partition:
        return self.header.partition


def load(also: Sequence[Path | str] = (), *, root: Path | None = None) -> list[Model]:
    """Every model file, each after those it reads.

    Args:
        also: more folders: one named like a schema (``quality/core``), or one that holds such folders.
        root: where the schema folders stand, instead of this package.

    Raises:
        BadModel: a file that breaks its own header, with the file and the reason.
    """
    found = [path for folder in (root or HERE, *map(Path, also)) for path in _files(folder)]
    stamp = tuple((str(schema), str(path), path.stat().st_mtime_ns, path.stat().st_size) for schema, path in found)
    shared = tuple(sorted((str(p), p.stat().st_mtime_ns) for _, path in found for p in path.parent.glob("_*.py")))
    key = (stamp, shared)
    if key not in _LOADED:
        _LOADED.clear()  # one generation: a file that changed makes a new one
        _LOADED[key] = lineage.order(_read(schema, path) for schema, path in found)
    return list(_LOADED[key])


def select(models: Sequence[Model], selection: Iterable[str] = ()) -> list[Model]:
    """The models a selection names, in building order; none named is all.

    A word is a table (``core.earnings``), a folder (``marts``, ``core/earnings``, ``earnings``), or either with a ``+``
    in front: it and everything it is made from.

    Raises:
        BadSetting: a word that names nothing, with the nearest ones.
    """
    from difflib import get_close_matches

    from guelta.errors import BadSetting

    words = list(selection)
    if not words:
        return list(models)
    by_name = {model.name: model for model in models}
    chosen: set[str] = set()
    for word in words:
        bare = word.removeprefix("+").strip("/")
        hits = [bare] if bare in by_name else [m.name for m in models if _stands_in(m.folder, bare)]
        if not hits:
            folders = {part for m in models for part in (m.folder, *m.folder.split("/"))}
            near = get_close_matches(bare, [*by_name, *folders], 3, 0.5)
            hint = f"did you mean {', '.join(near)}?" if near else "`guelta status` lists the tables"
            raise BadSetting(f"expected a table or a folder of models, found {word!r}; {hint}")
        chosen.update(_closure(hits, by_name) if word.startswith("+") else hits)
    return [model for model in models if model.name in chosen]


_LOADED: dict[Any, list[Model]] = {}


def _closure(names: Iterable[str], by_name: dict[str, Model]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in found:
            found.add(name)
            waiting += by_name[name].upstream
    return found


def _stands_in(folder: str, word: str) -> bool:
    return f"/{folder}/".find(f"/{word}/") >= 0


def _files(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Pairs of schema folder and model file."""
    if not folder.is_dir():
        raise BadModel(f"expected a folder of models, found nothing at {folder}")
    schemas = [folder] if folder.name in _SCHEMAS else [folder / s for s in _SCHEMAS if (folder / s).is_dir()]
    for schema in schemas:
        for path in sorted(schema.rglob("*")):
            if path.suffix in (".sql", ".py") and not path.name.startswith("_"):
                yield schema, path


def _read(schema: Path, path: Path) -> Model:
    folder = path.parent.relative_to(schema.parent).as_posix()
    table = f"{schema.name}.{path.stem}"
    where = f"{folder}/{path.name}"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", path.stem):
        raise BadModel(f"{where}: {path.stem!r} is no table name; write it in snake_case")
    return _read_sql(table, where, folder, path) if path.suffix == ".sql" else _read_python(table, where, folder, path)


def _read_sql(table: str, where: str, folder: str, path: Path) -> Model:
    match = _COMMENT.fullmatch(path.read_text("utf-8"))
    if not match:
        raise BadModel(f"{where}: expected the header as YAML in a first /* … */ comment, found none")
    header = parse(table, match[1], where)
    if header.types:
        raise BadModel(f"{where}: types belong to Python models; cast in the SELECT instead")
    sql = match[2].strip().rstrip(";").strip()
    upstream = lineage.upstream(lineage.parse(sql, where), where)
    return Model(table, path, folder, header, upstream, sql, None, _digest(header, [sql]))


def _read_python(table: str, where: str, folder: str, path: Path) -> Model:
    module = _import(path)
    missing = [name for name in ("header", "upstream", "build") if not hasattr(module, name)]
    if missing:
        raise BadModel(f"{where}: a Python model has header, upstream and build(inputs); missing {', '.join(missing)}")
    header = parse(table, module.header, where)
    upstream = module.upstream
    if not isinstance(upstream, tuple | list) or any("." not in str(name) for name in upstream):
        raise BadModel(f"{where}: expected upstream as a tuple of schema.table names, found {upstream!r}")
    roots = {name: Path(file).parent for name in ("guelta", "models", "quality") if (file := _package_file(name))}
    sources = lineage.python_sources(path, roots)
    reads = tuple(sorted(map(str, upstream)))
    return Model(table, path, folder, header, reads, None, module.build, _digest(header, sources))


def _digest(header: Header, sources: Sequence[str]) -> str:
    shape = (header.grain, [name for name, _ in header.columns], header.partition, header.stats, header.types)
    return lineage.code_digest([repr(shape), *sources])


def _package_file(name: str) -> str | None:
    found = importlib.util.find_spec(name)
    return found.origin if found else None


def _import(path: Path) -> ModuleType:
    """The module of a file: by its dotted name inside a package of the house, else by its path."""
    if path.is_relative_to(HERE):
        top: Path | None = HERE
    else:
        packages = [parent for parent in path.parents if (parent / "__init__.py").is_file()]
        top = packages[-1] if packages else None
    try:
        if top and _package_file(top.name) == str(top / "__init__.py"):
            dotted = ".".join((top.name, *path.relative_to(top).with_suffix("").parts))
            return importlib.import_module(dotted)
        found = importlib.util.spec_from_file_location(f"_model_{path.stem}_{abs(hash(str(path)))}", path)
        if found is None or found.loader is None:
            raise BadModel(f"{path}: Python cannot import it")
        module = importlib.util.module_from_spec(found)
        sys.modules[found.name] = module  # dataclasses in it look themselves up
        found.loader.exec_module(module)
    except ImportError as error:
        raise BadModel(f"{path}: {error}; a model imports guelta, models and libraries only") from error
    return module
