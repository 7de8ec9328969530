"""JSON-RPC as bytes: requests put together by hand, answers decoded straight into what the next step reads.

Log fields stay ``Raw`` (a slice of the body), because columns are cut from whole joined fields, never value by value.
Headers and receipts become mappings of hex text, which is what ``indexer.proof`` checks.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from guelta.errors import Retryable

Raw = msgspec.Raw
Header = dict[str, Any]
Receipt = dict[str, Any]
Result = TypeVar("Result")


class WireLog(msgspec.Struct, gc=False):
    """One log as the node wrote it. Never ``Raw | None``: msgspec would then refuse every value but null."""

    address: Raw
    topics: Raw
    data: Raw
    blockHash: Raw  # noqa: N815  # the wire's names
    transactionHash: Raw  # noqa: N815
    blockNumber: str  # noqa: N815
    logIndex: str  # noqa: N815
    transactionIndex: str  # noqa: N815
    removed: bool = False


class WireError(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: Any = None


class Reply(msgspec.Struct, Generic[Result]):
    id: Any = None
    result: Result | None = None
    error: WireError | None = None


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    params: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs a stream fetches; no addresses and no topics means every log of every block."""

    addresses: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()  # topic0, any of

    @property
    def everything(self) -> bool:
        return not self.addresses and not self.topics

    def params(self) -> dict[str, Any]:
        wanted: dict[str, Any] = {}
        if self.addresses:
            wanted["address"] = list(self.addresses)
        if self.topics:
            wanted["topics"] = [list(self.topics)]
        return wanted

    def takes(self, address: str, topics: Sequence[str]) -> bool:
        named = not self.addresses or address.lower() in self.addresses
        return named and (not self.topics or (bool(topics) and topics[0].lower() in self.topics))


EVERYTHING = LogFilter()


@dataclass(frozen=True, slots=True)
class BlockRef:
    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """Logs of a range, and for each request behind them the header of its last block from the same backend."""

    logs: list[WireLog]
    anchors: tuple[BlockRef, ...]


@dataclass(slots=True)
class Rejected(Retryable):
    """The endpoint answered with an error object; ``rpc.refusals`` says what to do about it."""

    error: WireError
    method: str
    at: int = field(default=0)  # position in the batch

    def __str__(self) -> str:
        return f"{self.method}: {self.error.code} {self.error.message}"


class Garbled(Retryable):
    """No JSON-RPC answer: HTML, a cut body, wrong ids, the wrong shape."""


LOGS_OR_HEADER = msgspec.json.Decoder(list[Reply[list[WireLog] | Header]])
ANYTHING = msgspec.json.Decoder(list[Reply[Any]])
_ONE = msgspec.json.Decoder(Reply[Any])


def body(calls: Sequence[Call]) -> bytes:
    """A batch; ids are positions."""
    return b"[" + b",".join([_request(i, call) for i, call in enumerate(calls)]) + b"]"


def answers(content: bytes, calls: Sequence[Call], decoder: "msgspec.json.Decoder[list[Reply[Any]]]") -> list[Any]:
    """The results in the order of the calls; ids decide, because a batch may come back in any order.

    Raises:
        Garbled: the body is no complete answer to this batch.
        Rejected: a call was answered by an error object.
    """
    opening = content[:64].lstrip()[:1]
    if opening == b"{":
        content = _refused_or_wrapped(content, calls)
    try:
        replies = decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Garbled(f"expected {len(calls)} JSON-RPC answers, found {_glimpse(content)}: {error}") from error
    by_id = {str(reply.id): reply for reply in replies}
    found = []
    for i, call in enumerate(calls):
        reply = by_id.get(str(i))
        if reply is None:
            raise Garbled(f"expected an answer to {call.method} with id {i}, found ids {sorted(by_id)[:8]}")
        if reply.error is not None:
            raise Rejected(reply.error, call.method, i)
        found.append(reply.result)
    return found


def _request(i: int, call: Call) -> bytes:
    params = json.dumps(call.params, separators=(",", ":"))
    return f'{{"jsonrpc":"2.0","id":{i},"method":"{call.method}","params":{params}}}'.encode()


def _refused_or_wrapped(content: bytes, calls: Sequence[Call]) -> bytes:
    """A batch answered by one object: an error for all of it, or the only answer without its list."""
    try:
        reply = _ONE.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Garbled(f"expected a JSON-RPC answer, found {_glimpse(content)}: {error}") from error
    if reply.error is not None:
        raise Rejected(reply.error, calls[0].method)
    return b"[" + content + b"]"


def _glimpse(content: bytes) -> str:
    return f"{len(content)} bytes beginning {content[:60]!r}"


def quantity(value: int) -> str:
    return hex(value)


def number(text: str) -> int:
    return int(text, 16)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text[2:])
