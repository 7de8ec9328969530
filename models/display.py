"""The edge of an answer: values asked for become column values, exact numbers become text and a float to look at."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from guelta.errors import BadSetting
from guelta.money import whole
from models import question as questions
from models.header import Metric
from models.histogram import value_of
from models.question import Question
from models.snapshot import Snapshot, Token

if TYPE_CHECKING:
    import polars as pl

_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000}


def values(name: str, given: Sequence[Any], snapshot: Snapshot) -> tuple[Any, ...]:
    """Filter values in the type of their column: a chain by name, a token by symbol, bytes by ``0x`` text.

    Raises:
        BadSetting: a value that cannot be one of the column.
    """
    kinds = {str(spec.schema.field(name).type) for spec in snapshot.specs.values() if name in spec.schema.names}
    kind = next(iter(kinds), "string")
    found: list[Any] = []
    for value in given:
        if value is None or not isinstance(value, str):
            found.append(value)
        elif kind == "binary":
            found += _bytes(name, value, snapshot)
        elif name == "token":  # an address in text
            found += ["0x" + address.hex() for address in _bytes(name, value, snapshot)]
        elif kind.startswith("int"):
            found.append(_integer(name, value, snapshot))
        elif kind == "bool":
            found.append(value.lower() in ("true", "1", "yes"))
        else:
            found.append(value)
    return tuple(dict.fromkeys(found))


def dress(frame: "pl.DataFrame", asked: Question, snapshot: Snapshot) -> tuple["pl.DataFrame", tuple[str, ...]]:
    """The answer as it leaves: money as text with a float beside it, ratios divided, quantiles in their unit."""
    import polars as pl

    money = {m.name for m in asked.metrics if questions.is_money(m, snapshot.specs[m.table])}
    tokens, notes = _tokens_of(frame, asked, snapshot) if money else ([], ())
    columns = [frame[key] for key in asked.keys]
    if tokens:
        columns.append(pl.Series("symbol", [token.symbol for token in tokens], dtype=pl.Utf8))
        columns.append(pl.Series("decimals", [token.decimals for token in tokens], dtype=pl.Int32))
    for metric in asked.metrics:
        for before, suffix in (("", ""), ("__before", "_previous")):
            sources = [f"{name}{before}" for name in questions.outputs(metric)]
            if all(source in frame.columns for source in sources):
                parts = [frame[source] for source in sources]
                columns += _shown(metric, f"{metric.name}{suffix}", parts, tokens if metric.name in money else [])
    return pl.DataFrame(columns), notes


def _shown(metric: Metric, name: str, parts: "list[pl.Series]", tokens: Sequence[Token]) -> "list[pl.Series]":
    import polars as pl

    if metric.kind == "ratio":
        pairs = zip(parts[0].to_list(), parts[1].to_list(), strict=True)
        return [pl.Series(name, [None if n is None or not d else float(n / d) for n, d in pairs], dtype=pl.Float64)]
    if metric.kind == "quantile":
        scale = _UNITS.get(metric.unit, 1)
        found = [None if bucket is None else value_of(bucket) / scale for bucket in parts[0].to_list()]
        return [pl.Series(name, found, dtype=pl.Float64)]
    if not isinstance(parts[0].dtype, pl.Decimal):
        return [parts[0].alias(name)]
    amounts = [None if value is None else int(value) for value in parts[0].to_list()]
    units: list[int | None] = [token.decimals for token in tokens] if tokens else [0] * len(amounts)
    display = [
        None if amount is None or decimals is None else float(whole(amount, decimals))
        for amount, decimals in zip(amounts, units, strict=True)
    ]
    exact = pl.Series(name, [None if amount is None else str(amount) for amount in amounts], dtype=pl.Utf8)
    return [exact, pl.Series(f"{name}_f64", display, dtype=pl.Float64)]


def _tokens_of(frame: "pl.DataFrame", asked: Question, snapshot: Snapshot) -> tuple[list[Token], tuple[str, ...]]:
    """The token of each row, from its keys or from what the question fixed."""
    known = snapshot.tokens()
    fixed = {name: values[0] for name, values in asked.filters if len(values) == 1}
    chains = frame["chain_id"].to_list() if "chain_id" in frame.columns else [fixed.get("chain_id")] * frame.height
    texts = frame["token"].to_list() if "token" in frame.columns else [fixed.get("token")] * frame.height
    found, unknown = [], set()
    for chain, text in zip(chains, texts, strict=True):
        address = bytes.fromhex(text.removeprefix("0x")) if isinstance(text, str) else text
        fits = [token for (at, token_), token in known.items() if token_ == address and chain in (None, at)]
        token = fits[0] if fits and len({one.decimals for one in fits}) == 1 else Token(None, None)
        if token.decimals is None:
            unknown.add("no token" if address is None else "0x" + address.hex())
        found.append(token)
    notes = (f"decimals unknown, so no display value: {', '.join(sorted(unknown))}",) if unknown else ()
    return found, notes


def _bytes(name: str, value: str, snapshot: Snapshot) -> list[bytes]:
    if value.startswith("0x"):
        try:
            return [bytes.fromhex(value[2:])]
        except ValueError:
            raise BadSetting(f"expected {name} as 0x and hex digits, found {value!r}") from None
    named = {token.symbol: address for (_, address), token in snapshot.tokens().items()} if name == "token" else {}
    found = [address for (_, address), token in snapshot.tokens().items() if name == "token" and token.symbol == value]
    if not found:
        known = ", ".join(sorted(filter(None, named))) or "addresses as 0x…"
        raise BadSetting(f"expected {name} as 0x… or one of {known}, found {value!r}")
    return found


def _integer(name: str, value: str, snapshot: Snapshot) -> int:
    try:
        return int(value)
    except ValueError:
        chains = snapshot.chains() if name == "chain_id" else {}
        if value in chains:
            return chains[value]
        known = f" or one of {', '.join(sorted(chains))}" if chains else ""
        raise BadSetting(f"expected {name} as a number{known}, found {value!r}") from None
