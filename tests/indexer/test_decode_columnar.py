"""The columnar decoder against eth_abi: it may refuse what eth_abi accepts, never the reverse, and never differ."""

import eth_abi
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.abi import AbiType, Event, Input, type_of
from indexer.decode import decode
from indexer.decode.shapes import columns_of
from indexer.decode.slow import columns_from_values


def log_table(event: Event, rows: list[tuple[list[bytes], bytes]]) -> pa.Table:
    """Rows of (indexed topics, data) as raw.logs has them."""
    topics = [([] if event.anonymous else [event.topic0]) + list(indexed) for indexed, _ in rows]
    columns = {f"topic{at}": pa.array([t[at] if at < len(t) else None for t in topics], pa.binary()) for at in range(4)}
    return pa.table({**columns, "data": pa.array([data for _, data in rows], pa.binary())})


ELEMENTARY = ["address", "bool", "bytes", "string", "bytes1", "bytes20", "bytes32"] + [
    f"{sign}int{bits}" for sign in ("u", "") for bits in (8, 16, 48, 56, 64, 72, 96, 128, 136, 192, 248, 256)
]
HASHED = ("bytes", "string", "array", "tuple")


def kinds() -> st.SearchStrategy[AbiType]:
    leaf = st.sampled_from(ELEMENTARY).map(lambda text: type_of(text, None, "test"))
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.builds(lambda item: AbiType("array", item=item), inner),
            st.builds(lambda item, n: AbiType("array", item=item, length=n), inner, st.integers(1, 3)),
            st.lists(inner, min_size=1, max_size=3).map(
                lambda fields: AbiType("tuple", fields=tuple((f"f{at}", f) for at, f in enumerate(fields)))
            ),
        ),
        max_leaves=4,
    )


def value_of(kind: AbiType) -> st.SearchStrategy:
    match kind.kind:
        case "uint":
            return edges(0, 2**kind.size - 1)
        case "int":
            return edges(-(2 ** (kind.size - 1)), 2 ** (kind.size - 1) - 1)
        case "address":
            return st.binary(min_size=20, max_size=20).map(lambda b: "0x" + b.hex())
        case "bool":
            return st.booleans()
        case "fixed_bytes":
            return st.binary(min_size=kind.size, max_size=kind.size)
        case "bytes":
            return st.binary(max_size=70)
        case "string":
            return st.text(max_size=40)
        case "array":
            low, high = (0, 4) if kind.length is None else (kind.length, kind.length)
            return st.lists(value_of(kind.items), min_size=low, max_size=high).map(tuple)
        case "tuple":
            return st.tuples(*(value_of(field) for _, field in kind.fields))


def edges(low: int, high: int) -> st.SearchStrategy[int]:
    near = [0, 1, -1, 10**38 - 1, 10**38, -(10**38) + 1, -(10**38), 2**63, 2**64, 2**127, 2**128, -(2**127), low, high]
    return st.one_of(st.sampled_from([n for n in near if low <= n <= high]), st.integers(low, high))


def word() -> st.SearchStrategy[bytes]:
    return st.binary(min_size=32, max_size=32)


@st.composite
def events(draw) -> Event:
    inputs = []
    for at, kind in enumerate(draw(st.lists(kinds(), min_size=0, max_size=5))):
        room = sum(i.indexed for i in inputs) < 3
        inputs.append(Input(f"p{at}", kind, room and draw(st.booleans())))
    return Event("Something", tuple(inputs), draw(st.booleans()))


@st.composite
def logs(draw, event: Event) -> tuple[list[bytes], bytes]:
    values = [draw(value_of(i.type)) for i in event.data]
    topics = [
        draw(st.binary(min_size=32, max_size=32))
        if i.hashed
        else eth_abi.encode([str(i.type)], [draw(value_of(i.type))])
        for i in event.indexed
    ]
    return topics, eth_abi.encode([str(i.type) for i in event.data], values)


@st.composite
def mutated(draw, log: tuple[list[bytes], bytes]) -> tuple[list[bytes], bytes]:
    topics, data = list(log[0]), bytearray(log[1])
    match draw(st.sampled_from(["none", "word", "word", "flip", "cut", "extend", "topic"])):
        case "word" if len(data) >= 32:
            at = 32 * draw(st.integers(0, len(data) // 32 - 1))
            word = draw(
                st.one_of(
                    st.integers(0, len(data) + 64),
                    st.integers(0, len(data) // 32 + 2).map(lambda n: 32 * n),
                    st.sampled_from([2**63, 2**64 - 32, 2**64, 2**255, 2**256 - 1, 2**59, 2**64 - 1]),
                )
            )
            data[at : at + 32] = word.to_bytes(32, "big")
        case "flip" if data:
            data[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
        case "cut" if data:
            del data[draw(st.integers(0, len(data) - 1)) :]
        case "extend":
            data += draw(st.binary(min_size=1, max_size=64))
        case "topic" if topics:
            at = draw(st.integers(0, len(topics) - 1))
            word = bytearray(topics[at])
            word[draw(st.integers(0, 31))] ^= draw(st.integers(1, 255))
            topics[at] = bytes(word)
    return topics, bytes(data)


def oracle(event: Event, topics: list[bytes], data: bytes):
    """What eth_abi says in strict mode, as one value per input; None where it refuses."""
    try:
        rest = iter(eth_abi.decode([str(i.type) for i in event.data], data))
        words = iter(topics)
        out = []
        for i in event.inputs:
            word = next(words) if i.indexed else None
            out.append(next(rest) if word is None else word if i.hashed else eth_abi.decode([str(i.type)], word)[0])
    except Exception:  # noqa: BLE001  # as the decoder must: OverflowError and UnicodeDecodeError are not eth_abi's
        return None
    return out


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_never_accepts_what_eth_abi_refuses_and_never_differs(data):
    event = data.draw(events())
    rows = [data.draw(mutated(log)) for log in data.draw(st.lists(logs(event), min_size=1, max_size=6))]
    decoded = decode(event, log_table(event, rows))
    modes = dict(zip(decoded.rows.tolist(), decoded.table["decode"].to_pylist(), strict=True))
    expected = [oracle(event, *row) for row in rows]

    assert sorted([*modes, *(r.row for r in decoded.refused)]) == list(range(len(rows)))
    assert {row for row, mode in modes.items() if mode != "lenient"} == {
        r for r, e in enumerate(expected) if e is not None
    }
    sound = [row for row in decoded.rows.tolist() if modes[row] != "lenient"]
    truth = columns_from_values(event, [expected[row] for row in sound])
    at = pa.array([position for position, row in enumerate(decoded.rows.tolist()) if row in set(sound)], pa.int64())
    found = decoded.table.take(at)
    assert {name: found[name].to_pylist() for name in truth} == {name: a.to_pylist() for name, a in truth.items()}
    assert {f.name: f.type for f in decoded.table.schema if f.name != "decode"} == columns_of(event)
    decoded.table.validate(full=True)
