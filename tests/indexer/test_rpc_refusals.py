"""Every row of the provider table, by its own example; and how a request shrinks."""

import pytest

from indexer.rpc import refusals
from indexer.rpc.ranges import Spans
from indexer.rpc.refusals import Advice, advice
from indexer.rpc.wire import WireError


@pytest.mark.parametrize("row", refusals.rows(), ids=lambda row: row.provider)
def test_each_row_is_what_decides_its_own_example(row: refusals.Row) -> None:
    expected = tuple(number - row.less for number in row.expect)
    assert advice(WireError(-32000, row.example)) == Advice(row.action, expected)


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (WireError(-32005, "query returned more than 10000 results"), "halve"),
        (WireError(-32005, "daily request count exceeded"), "rest"),
        (WireError(429, ""), "rest"),
        (WireError(-32601, "nope"), "missing"),
        (WireError(-32000, "upstream exploded"), "fault"),
        (WireError(-32602, "bad", "Max range: 800"), "size"),
        (WireError(-32602, "block range extends beyond current head block"), "wait"),
    ],
)
def test_the_message_decides_before_the_code(error: WireError, action: str) -> None:
    assert advice(error).action == action


@pytest.mark.parametrize(
    ("counsel", "end"),
    [
        (Advice("range", (100, 149)), 149),
        (Advice("range", (149, 100)), 149),  # sent inverted
        (Advice("range", (5000, 6000)), 149),  # outside our request: halved
        (Advice("size", (10,)), 109),
        (Advice("size", (5000,)), 149),  # larger than what was refused: halved
        (Advice("halve"), 149),
    ],
)
def test_a_suggestion_is_used_only_where_it_shrinks_the_request(counsel: Advice, end: int) -> None:
    assert Spans().refused(counsel, 100, 199) == end


def test_a_limit_learnt_once_does_not_pin_small_ranges_for_ever() -> None:
    spans = Spans()
    spans.refused(Advice("size", (10,)), 0, 499)
    spans.took(10, 0)
    assert spans.span == 10
    for _ in range(210):
        spans.took(spans.span, 0)
    assert spans.span > 10


def test_dense_blocks_shrink_the_span_and_sparse_ones_let_it_grow() -> None:
    spans = Spans()
    spans.took(500, 500 * 100)
    assert spans.span == 40
    for _ in range(60):
        spans.took(spans.span, 0)
    assert spans.span > 500
