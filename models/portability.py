"""What in a model's SQL would not say the same on DuckDB and on Spark, or would not stay exact, by its syntax tree.

The list is measured (30-lake §7.2); each finding names what to write instead.
"""

from collections.abc import Iterator, Sequence

from models import Model, lineage
from models.lineage import Tree

_FUNCTIONS = {
    "arg_max": "max_by; order ties by the grain",
    "arg_min": "min_by; order ties by the grain",
    "sha256": "md5, or a Python model",
    "sha2": "md5, or a Python model",
    "concat": "a || b, with coalesce where null is possible",
    "datediff": "a days column or a calendar table",
    "date_diff": "a days column or a calendar table",
    "date_sub": "a days column or a calendar table",
    "dayofweek": "a calendar table",
    "isodow": "a calendar table",
    "epoch_us": "a Python model",
    "list": "a Python model",
    "array_agg": "a Python model",
    "struct_pack": "columns",
    "list_value": "columns",
    "unnest": "a Python model",
    "random": "nothing: a table must come out the same twice",
    "uuid": "nothing: a table must come out the same twice",
    "gen_random_uuid": "nothing: a table must come out the same twice",
    "now": "nothing: time comes in as a row",
    "today": "nothing: time comes in as a row",
    "get_current_timestamp": "nothing: time comes in as a row",
    "hash": "md5, or a Python model",
}
_DIVISIONS = {
    "/": "a ratio metric",
    "//": "guelta.money in a Python model",
    "div": "guelta.money",
    "divide": "guelta.money",
}
_WIDE = ("HUGEINT", "UHUGEINT", "FLOAT", "DOUBLE", "REAL")
_AVERAGES = ("avg", "mean", "median", "stddev", "stddev_samp", "stddev_pop", "variance")
_DAYPARTS = ("dow", "dayofweek", "isodow", "weekday")


def findings(model: Model) -> list[str]:
    """What to change in a SQL model; nothing for a Python model.

    Raises:
        BadModel: SQL that does not parse.
    """
    if model.sql is None:
        return []
    tree = lineage.parse(model.sql, str(model.path))
    inner = _estimates(tree, tuple(model.columns))
    found = [*_stars(tree), *_select_from(tree)]
    for node in lineage.walk(tree):
        allowed = id(node) in inner
        found += [*_of_function(node, estimate=allowed), *_of_cast(node, estimate=allowed), *_of_order(node)]
    found += _bare_sums(tree)
    return [f"{model.folder}/{model.path.name}: {one}" for one in dict.fromkeys(found)]


def _of_function(node: Tree, *, estimate: bool) -> Iterator[str]:
    """Functions and operators. In a column named ``_f64`` an estimate may divide and average."""
    names = node.get("column_names") or [""]
    if node.get("class") == "COLUMN_REF" and len(names) == 1 and names[0].lower().startswith(("current_", "localtime")):
        yield f"{names[0]} is another one each time; write {_FUNCTIONS['now']}"
    if node.get("class") not in ("FUNCTION", "WINDOW"):
        return
    name = str(node.get("function_name", "")).lower()
    if name in _DIVISIONS and not estimate:
        yield f"divides with {name}; write {_DIVISIONS[name]}, or name the column …_f64"
    if name in _AVERAGES and not estimate:
        yield f"{name} is no integer; keep sum and count, or name the column …_f64"
    if name in _FUNCTIONS:
        yield f"{name} differs between engines; write {_FUNCTIONS[name]}"
    if name.startswith("approx_"):
        yield f"{name} depends on the order of rows; count exactly, or keep a histogram"
    if name in ("date_part", "datepart") and _constants(node) & set(_DAYPARTS):
        yield "the day of the week counts from another day on each engine; write a calendar table"


def _of_cast(node: Tree, *, estimate: bool) -> Iterator[str]:
    if node.get("class") != "CAST":
        return
    kind = str(node.get("type_expr", {}).get("type_name", "")).upper()
    if kind in _WIDE and not estimate:
        yield f"casts to {kind}; write decimal(38,0) or bigint, or name the column …_f64"
    if kind in ("TIMESTAMP", "DATETIME"):
        yield f"casts to {kind}, a local time on one engine; write timestamptz"


def _of_order(node: Tree) -> Iterator[str]:
    for order in node.get("orders") or []:
        if isinstance(order, dict) and order.get("null_order") == "ORDER_DEFAULT":
            yield "orders without saying where nulls go; write nulls last (or first)"


def _bare_sums(tree: Tree) -> Iterator[str]:
    """A sum outside a cast: HUGEINT on one engine, BIGINT or a narrower decimal on the other."""
    wrapped = set()
    for node in lineage.walk(tree):
        if node.get("class") == "CAST":
            wrapped |= {id(inner) for inner in lineage.walk(node.get("child"))}
        elif node.get("class") in ("COMPARISON", "CONJUNCTION", "BETWEEN"):
            wrapped |= {id(inner) for inner in lineage.walk(node)}  # only compared, never stored
    for node in lineage.walk(tree):
        if str(node.get("function_name", "")).lower() == "sum" and id(node) not in wrapped:
            yield "sums without a cast; write cast(sum(n) as bigint) or cast(sum(x) as decimal(38,0))"


def _stars(tree: Tree) -> Iterator[str]:
    """``*`` in the last SELECT: its columns would follow whatever the upstream has."""
    for select in _selects(tree):
        if any(item.get("class") == "STAR" for item in select.get("select_list", [])):
            yield "ends in *; name the columns"


def _select_from(tree: Tree) -> Iterator[str]:
    for node in lineage.walk(tree):
        kind = node.get("type")
        if kind == "PIVOT":
            yield "PIVOT differs between engines; write a case for each column"
        if kind == "JOIN" and node.get("ref_type") == "ASOF":
            yield "ASOF is not on both engines; join with valid_from <= t and t < valid_to"
        if kind == "SET_OPERATION_NODE" and "BY_NAME" in str(node.get("setop_type", "")):
            yield "UNION BY NAME is not on both engines; order the columns"
        if kind == "OPERATOR_TRY" or node.get("class") == "LAMBDA":
            yield "lambdas differ between engines; write a Python model"


def _estimates(tree: Tree, columns: Sequence[str]) -> set[int]:
    """The nodes below an output column that says it is an estimate, in the last SELECT or in a CTE."""
    found: set[int] = set()
    for node in lineage.walk(tree):
        for item in node.get("select_list") or []:
            alias = str(item.get("alias", ""))
            if alias.endswith("_f64"):
                found |= {id(inner) for inner in lineage.walk(item)}
    for select in _selects(tree):
        for name, item in zip(columns, select.get("select_list", []), strict=False):
            if name.endswith("_f64"):
                found |= {id(inner) for inner in lineage.walk(item)}
    return found


def _selects(tree: Tree) -> Iterator[Tree]:
    """The SELECTs whose rows are the table: the last one, or the arms of its union."""
    if tree.get("type") == "SET_OPERATION_NODE":
        for side in (tree.get("left"), tree.get("right"), *(tree.get("children") or [])):
            if isinstance(side, dict):
                yield from _selects(side)
    elif tree.get("type") == "SELECT_NODE":
        yield tree


def _constants(node: Tree) -> set[str]:
    texts = (inner.get("literal") for inner in lineage.walk(node) if inner.get("class") == "CONSTANT")
    return {str(literal.get("text")).lower() for literal in texts if isinstance(literal, dict)}
