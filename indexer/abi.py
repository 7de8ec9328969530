"""Which events a contract can emit, read from its ABI JSON; a broken ABI is refused by file and entry."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from guelta.errors import BadAbi
from indexer.proof import keccak

Kind = Literal["uint", "int", "address", "bool", "fixed_bytes", "bytes", "string", "array", "tuple"]

_ARRAY = re.compile(r"^(.*)\[(\d*)\]$", re.DOTALL)
_INTEGER = re.compile(r"^(u?int)(\d*)$")
_FIXED_BYTES = re.compile(r"^bytes(\d+)$")


@dataclass(frozen=True, slots=True)
class AbiType:
    """One ABI type. ``size`` is bits for integers and bytes for ``bytesN``; ``length`` is None for ``T[]``."""

    kind: Kind
    size: int = 0
    item: "AbiType | None" = None
    length: int | None = None
    fields: "tuple[tuple[str, AbiType], ...]" = ()

    def __str__(self) -> str:
        match self.kind:
            case "uint" | "int":
                return f"{self.kind}{self.size}"
            case "fixed_bytes":
                return f"bytes{self.size}"
            case "array":
                return f"{self.item}[{'' if self.length is None else self.length}]"
            case "tuple":
                return f"({','.join(str(field) for _, field in self.fields)})"
        return self.kind

    @property
    def dynamic(self) -> bool:
        if self.kind == "array":
            return self.length is None or self.items.dynamic
        return self.kind in ("bytes", "string") or any(field.dynamic for _, field in self.fields)

    @property
    def words(self) -> int:
        """32-byte words this type takes in the head: its whole size when static, one offset when dynamic."""
        if self.dynamic:
            return 1
        if self.kind == "array":
            return (self.length or 0) * self.items.words
        return sum(field.words for _, field in self.fields) if self.kind == "tuple" else 1

    @property
    def items(self) -> "AbiType":
        assert self.item is not None, f"{self.kind} has no items"
        return self.item


@dataclass(frozen=True, slots=True)
class Input:
    name: str
    type: AbiType
    indexed: bool

    @property
    def hashed(self) -> bool:
        """An indexed value of this type is only present as its keccak: the value itself is not in the log."""
        return self.indexed and self.type.kind in ("bytes", "string", "array", "tuple")


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    inputs: tuple[Input, ...]
    anonymous: bool = False

    @property
    def signature(self) -> str:
        return f"{self.name}({','.join(str(i.type) for i in self.inputs)})"

    @property
    def topic0(self) -> bytes:
        return keccak(self.signature.encode())

    @property
    def indexed(self) -> tuple[Input, ...]:
        return tuple(i for i in self.inputs if i.indexed)

    @property
    def data(self) -> tuple[Input, ...]:
        return tuple(i for i in self.inputs if not i.indexed)

    @property
    def topic_count(self) -> int:
        return len(self.indexed) + (not self.anonymous)

    def digest(self) -> str:
        """Names this declaration: signature, parameter names and what is indexed. Changes only when decoding would."""
        declared = [self.name, self.anonymous, [[i.name, _named(i.type), i.indexed] for i in self.inputs]]
        return hashlib.sha256(json.dumps(declared).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Abi:
    events: tuple[Event, ...]

    def digest(self) -> str:
        return hashlib.sha256(json.dumps(sorted(e.digest() for e in self.events)).encode()).hexdigest()[:16]


def parse(text: str | bytes, source: str) -> Abi:
    """The events of an ABI JSON list, or of a build artifact that holds one under ``abi``.

    Raises:
        BadAbi: names ``source``, the entry and what to do.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadAbi(
            f"{source}: expected an ABI as JSON, found text that does not parse ({error}); export it again"
        ) from error
    entries = document.get("abi") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise BadAbi(
            f"{source}: expected a list of ABI entries (or an artifact with a list under 'abi'); export it again"
        )
    events = []
    for at, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise BadAbi(f"{source}, entry {at}: expected an object, found {entry!r}; export the ABI again")
        if entry.get("type") == "event":
            events.append(event(entry, f"{source}, entry {at} ({entry.get('name', 'without a name')})"))
    seen: dict[tuple[str, tuple[bool, ...]], str] = {}
    for found in events:
        place = (found.signature, tuple(i.indexed for i in found.inputs))
        if place in seen:
            raise BadAbi(f"{source}: {found.signature} is declared twice with the same indexed parameters; remove one")
        seen[place] = found.name
    return Abi(tuple(events))


def event(entry: Mapping[str, Any], where: str) -> Event:
    name = entry.get("name")
    if not isinstance(name, str) or not name.isidentifier():
        raise BadAbi(f"{where}: expected an event name, found {name!r}; export the ABI again")
    inputs = entry.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(i, Mapping) for i in inputs):
        raise BadAbi(f"{where}: expected a list of inputs, found {inputs!r}; export the ABI again")
    anonymous = entry.get("anonymous", False)
    parsed = Event(name, tuple(_input(i, f"{where}, input {at}") for at, i in enumerate(inputs)), bool(anonymous))
    if parsed.topic_count > 4:
        raise BadAbi(
            f"{where}: {len(parsed.indexed)} indexed inputs, a log has room for {3 + parsed.anonymous}; correct the ABI"
        )
    return parsed


def type_of(text: str, components: Sequence[Mapping[str, Any]] | None, where: str) -> AbiType:
    """An ABI type from its text: ``tuple`` names its fields in ``components``, ``(uint256,bool)`` by place."""
    if array := _ARRAY.match(text):
        item = type_of(array[1], components, where)
        length = int(array[2]) if array[2] else None
        if length == 0:
            raise BadAbi(f"{where}: {text} is an array of no elements; correct the ABI")
        return AbiType("array", item=item, length=length)
    if text == "tuple":
        if not components:
            raise BadAbi(f"{where}: a tuple without components; export the ABI again with its components")
        return AbiType("tuple", fields=tuple(_component(c, at, where) for at, c in enumerate(components)))
    if text.startswith("(") and text.endswith(")") and len(text) > 2:
        fields = (type_of(part, None, where) for part in _parts(text[1:-1]))
        return AbiType("tuple", fields=tuple((f"field_{at}", field) for at, field in enumerate(fields)))
    if integer := _INTEGER.match(text):
        bits = int(integer[2] or 256)
        if bits in range(8, 257, 8):
            return AbiType("uint" if integer[1] == "uint" else "int", bits)
    if (fixed := _FIXED_BYTES.match(text)) and 1 <= int(fixed[1]) <= 32:
        return AbiType("fixed_bytes", int(fixed[1]))
    match text:
        case "address" | "bool" | "bytes" | "string":
            return AbiType(text)
    raise BadAbi(
        f"{where}: expected an ABI type such as uint256, address or bytes32[], found {text!r}; correct the ABI"
    )


def _input(entry: Mapping[str, Any], where: str) -> Input:
    name, text = entry.get("name", ""), entry.get("type")
    if not isinstance(name, str) or not isinstance(text, str):
        raise BadAbi(f"{where}: expected a name and a type, found {dict(entry)!r}; export the ABI again")
    indexed = entry.get("indexed", False)
    if not isinstance(indexed, bool):
        raise BadAbi(f"{where}: expected indexed to be true or false, found {indexed!r}; export the ABI again")
    return Input(name, type_of(text, entry.get("components"), f"{where} ({name})"), indexed)


def _component(entry: Mapping[str, Any], at: int, where: str) -> tuple[str, AbiType]:
    inner = _input(entry, f"{where}, component {at}")
    return inner.name or f"field_{at}", inner.type


def _parts(text: str) -> list[str]:
    depth, parts, start = 0, [], 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _named(kind: AbiType) -> Any:
    if kind.kind == "array":
        return [_named(kind.items), kind.length]
    return [[name, _named(field)] for name, field in kind.fields] if kind.kind == "tuple" else str(kind)
