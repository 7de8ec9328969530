"""Who reads whom: upstreams from DuckDB's parse of the SQL, the order of building, the digest of the code.

The parser alone answers; nothing is bound, so a table need not exist to be named.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guelta.errors import BadModel

if TYPE_CHECKING:
    from models import Model

Tree = dict[str, Any]
_OWN = ("models", "quality", "guelta.money")  # code of these packages is part of a Python model


def parse(sql: str, where: str) -> Tree:
    """The syntax tree of exactly one SELECT.

    Raises:
        BadModel: what does not parse, is no SELECT, or is more than one statement.
    """
    answer = _parser().execute("select json_serialize_sql(?)", [sql]).fetchone()
    tree: Tree = json.loads(answer[0]) if answer else {}
    if tree.get("error", True):
        line = sql.count("\n", 0, int(tree.get("position") or 0)) + 1
        reason = tree.get("error_message", "no answer of the parser")
        raise BadModel(f"{where}: {reason} (line {line} after the header)")
    statements = tree["statements"]
    if len(statements) != 1:
        raise BadModel(f"{where}: expected exactly one SELECT after the header, found {len(statements)} statements")
    node: Tree = statements[0]["node"]
    return node


def walk(tree: Any) -> Iterator[Tree]:
    """Every node of a syntax tree, parents first, in the order of the text."""
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            stack.extend(reversed(item))


def upstream(tree: Tree, where: str) -> tuple[str, ...]:
    """The lake's tables that a SELECT reads, sorted: a qualified name is a table, a bare name must be a CTE."""
    nodes = list(walk(tree))
    named = {entry["key"] for node in nodes for entry in node.get("cte_map", {}).get("map", [])}
    found = set()
    for node in nodes:
        if node.get("type") == "TABLE_FUNCTION":
            name = node.get("function", {}).get("function_name", "a function")
            raise BadModel(f"{where}: reads from {name}(); a model reads tables of the lake and its own CTEs only")
        if node.get("type") != "BASE_TABLE":
            continue
        table = node["table_name"]
        if node.get("catalog_name"):
            name = f"{node['catalog_name']}.{node['schema_name']}.{table}"
            raise BadModel(f"{where}: {name} has three parts; write schema.table")
        if node["schema_name"]:
            found.add(f"{node['schema_name']}.{table}")
        elif table not in named:
            raise BadModel(f"{where}: {table} is neither a CTE nor a table; write schema.{table} for a table")
    return tuple(sorted(found))


def order(models: Iterable["Model"]) -> list["Model"]:
    """The models so that each stands after what it reads; equals in the order of their names.

    Raises:
        BadModel: two files for one name, or tables that read each other in a circle.
    """
    by_name: dict[str, Model] = {}
    for model in models:
        if model.name in by_name:
            raise BadModel(
                f"{model.name} is made by two files, {by_name[model.name].path} and {model.path}; rename one"
            )
        by_name[model.name] = model
    placed: dict[str, Model] = {}
    walking: list[str] = []

    def place(name: str) -> None:
        if name in placed or name not in by_name:
            return
        if name in walking:
            circle = " -> ".join([*walking[walking.index(name) :], name])
            raise BadModel(f"tables read each other in a circle: {circle}; break it at one of them")
        walking.append(name)
        for above in by_name[name].upstream:
            place(above)
        walking.pop()
        placed[name] = by_name[name]

    for name in sorted(by_name):
        place(name)
    return list(placed.values())


def code_digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def python_sources(path: Path, roots: Mapping[str, Path]) -> list[str]:
    """The text of a Python model and of every file of the house it imports, in a stable order.

    Args:
        path: the model's file.
        roots: package name to its folder, for resolving imports.
    """
    texts: dict[str, str] = {}

    def read(file: Path) -> None:
        if str(file) in texts:
            return
        texts[str(file)] = file.read_text("utf-8")
        for name in _imports(texts[str(file)], file):
            found = _file_of(name, roots)
            if found:
                read(found)

    read(path)
    first = texts.pop(str(path))
    return [first, *(texts[name] for name in sorted(texts, key=lambda name: Path(name).name))]


def _imports(text: str, file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(text, str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file_of(name: str, roots: Mapping[str, Path]) -> Path | None:
    if not any(name == own or name.startswith(own + ".") for own in _OWN):
        return None
    top, *rest = name.split(".")
    if top not in roots or not rest:
        return None
    place = roots[top].joinpath(*rest)
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


@cache
def _parser() -> Any:
    import atexit

    import duckdb

    atexit.register(_forget_parser)
    return duckdb.connect(":memory:", config={"threads": 1})


def _forget_parser() -> None:
    """A connection that is alive when Python ends, open or closed, prints a page of leaks."""
    _parser().close()
    _parser.cache_clear()
