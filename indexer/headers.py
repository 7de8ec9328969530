"""How blocks hang together: parent links, the blocks a stream remembers, and where two chains part."""

from collections.abc import Iterator, Sequence

from guelta.errors import BelowFinality, Retryable
from indexer.cursor import Position
from indexer.rpc.client import ChainClient
from indexer.rpc.wire import Header, number

_AT_ONCE = 16


class Moved(Retryable):
    """The chain changed while it was being read: start the tick again."""


def linked(headers: Sequence[Header], parent: str | None = None) -> None:
    """Every header is the child of the one before it; the first is the child of ``parent``, where one is given.

    Raises:
        Moved: a link does not hold.
    """
    before = parent
    for i, header in enumerate(headers):
        neighbours = i == 0 or number(header["number"]) == number(headers[i - 1]["number"]) + 1
        if before is not None and neighbours and header["parentHash"].lower() != before:
            raise Moved(f"block {number(header['number'])} names parent {header['parentHash']}, expected {before}")
        before = header["hash"].lower()


def runs(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Stretches of consecutive numbers."""
    run: list[int] = []
    for one in numbers:
        if run and one != run[-1] + 1:
            yield run
            run = []
        run.append(one)
    if run:
        yield run


async def agreed(client: ChainClient, position: Position, head: int) -> int:
    """The highest block that this stream and the node's chain share.

    The last block itself on plain growth; a lower one after a reorg, or when the head moved back.

    Raises:
        BelowFinality: they part below the finalized block; nothing may be rewritten without an operator.
    """
    known = [(n, h) for n, h in reversed(position.window) if n <= head]
    for i in range(0, len(known), _AT_ONCE):
        batch = known[i : i + _AT_ONCE] if i else known[:1]  # most ticks: one look is enough
        found = await _highest(client, batch)
        if found is None and i == 0:
            found = await _highest(client, known[1:_AT_ONCE])
        if found is not None:
            return _not_below(position, found)
    lowest = position.window[0][0] if position.window else position.to
    raise BelowFinality(
        f"chain {position.chain_id}: the node's chain shares no block with stream {position.stream} from {lowest} to "
        f"{position.to} (finalized: {position.finalized}); nothing was changed. If the chain really was rewritten or "
        f"restarted, decide with: guelta rewind {position.chain_id} --to BLOCK, or use another lake"
    )


async def _highest(client: ChainClient, batch: Sequence[tuple[int, str]]) -> int | None:
    if not batch:
        return None
    seen = await client.look([n for n, _ in batch])
    return next((n for (n, h), header in zip(batch, seen, strict=True) if header and header["hash"].lower() == h), None)


def _not_below(position: Position, fork: int) -> int:
    if fork < position.finalized:
        raise BelowFinality(
            f"chain {position.chain_id}: the node's chain parts from stream {position.stream} after block {fork}, "
            f"below the finalized block {position.finalized}; nothing was changed. Ask another endpoint; "
            f"if the rewrite is real, decide with: guelta rewind {position.chain_id} --to {fork}"
        )
    return fork
