"""Following a chain that grows, forks, shrinks and lies: the lake always equals the chain that is."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guelta.errors import (
    BadSetting,
    BelowFinality,
    ChainMismatch,
    CursorMoved,
    Fatal,
    ForeignLake,
    GateRefused,
    SourceUnreachable,
)
from guelta.lake import Lake
from guelta.settings import Settings
from indexer.derive import DeriveResult, derive, together
from indexer.devnet.chain import Devnet
from indexer.devnet.contracts import Contract
from indexer.devnet.server import serve
from indexer.follow import FollowResult, Stream, follow
from indexer.news import News
from indexer.rewind import rewind
from indexer.rpc.pool import Policy
from indexer.rpc.wire import LogFilter

OWNER, ALICE = "0x" + "a1" * 20, "0x" + "b2" * 20
NOVEMBER = 1_793_491_200  # 2026-11-01: blocks of an hour cross a month's end on the way
HASTY = Policy(attempts=4, greeting_attempts=2, first_delay_s=0.001, longest_delay_s=0.01, timeout_s=5)
ROWS = ("raw.blocks", "raw.transactions", "raw.logs")


class World:
    """A chain with one token, and what its blocks are worth indexing for: `mints` logs a block."""

    def __init__(self, *, finality_depth: int = 16, genesis_time: int = NOVEMBER - 20 * 3600) -> None:
        self.chain = Devnet(genesis_time=genesis_time, block_time=3600, finality_depth=finality_depth)
        address = self.chain.deploy("PaymentToken", "Test Dollar", "TUSD", 6, sender=OWNER)
        self.chain.seal()
        self.token: Contract = self.chain.contract("PaymentToken", address)

    def grow(self, blocks: int, mints: int = 1, salt: bytes = b"") -> None:
        for _ in range(blocks):
            for i in range(mints):
                self.token.send(OWNER, "mint", ALICE, 10**18 + self.chain.head.number + i)
            self.chain.seal(salt=salt)

    def rewrite(self, depth: int, blocks: int, mints: int = 1, salt: bytes = b"other") -> None:
        """Drop ``depth`` blocks, and their transactions; grow ``blocks`` others."""
        self.chain.reorg(depth)
        self.grow(blocks, mints, salt)


def index(lake: Lake, *urls: str, **options: Any) -> FollowResult:
    (result,) = follow(Settings(rpc={"devnet": urls}), lake, ["devnet"], policy=HASTY, **options)
    return result


def held(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Every row of the three tables, in the tables' own order."""
    return {name: lake.table(name).read().to_pylist() for name in ROWS}


def from_zero(folder: Path, url: str) -> dict[str, list[dict[str, Any]]]:
    lake = Lake(folder)
    index(lake, url)
    return held(lake)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_every_block_log_and_transaction_arrives_once_and_proven(world: World, lake: Lake) -> None:
    world.token.send(ALICE, "mint", ALICE, 1)  # not the owner: fails, and is seen to fail
    world.grow(40, mints=2)
    with serve(world.chain) as server:
        result = index(lake, server.url)
        again = index(lake, server.url)
    rows = held(lake)
    chain = world.chain
    assert [(row["block_number"], "0x" + row["block_hash"].hex()) for row in rows["raw.blocks"]] == [
        (n, chain.block(n).hash) for n in range(chain.head.number + 1)
    ]
    assert [
        ("0x" + row["block_hash"].hex(), row["log_index"], "0x" + row["data"].hex()) for row in rows["raw.logs"]
    ] == [(log["blockHash"], int(log["logIndex"], 16), log["data"]) for log in chain.logs()]
    assert [row["status"] for row in rows["raw.transactions"]].count(0) == 1
    assert {row["proof_level"] for row in rows["raw.blocks"]} == {"P3"}
    assert (result.from_block, result.to_block, result.finalized, result.level) == (0, 41, 25, "P3")
    assert (result.rows, result.blocks, again.rows, again.from_block) == (len(chain.logs()), 42, 0, None)
    (head,) = lake.table("raw.heads").read().to_pylist()
    assert (head["stream"], head["to_block"], head["finalized_block"]) == ("logs", 41, 25)
    (known,) = lake.table("raw.chains").read().to_pylist()
    assert (known["source"], known["caip2"], known["proof_ceiling"]) == ("devnet", "eip155:1337", "P3")


def test_growth_in_small_steps_equals_one_go(world: World, lake: Lake, tmp_path: Path) -> None:
    with serve(world.chain) as server:
        for step in (1, 7, 30, 2):
            world.grow(step)
            index(lake, server.url)
        assert held(lake) == from_zero(tmp_path / "zero", server.url)


@pytest.mark.parametrize("depth", range(1, 13))
def test_a_reorg_of_any_depth_equals_indexing_the_final_chain(depth: int, tmp_path: Path, world: World) -> None:
    lake = Lake(tmp_path / "lake")
    world.grow(30)
    with serve(world.chain) as server:
        index(lake, server.url)
        before = {name: lake.table(name).version() for name in ROWS}
        world.rewrite(depth, depth + 1, mints=2)
        result = index(lake, server.url)
        assert {name: lake.table(name).version() - v for name, v in before.items()} == dict.fromkeys(ROWS, 1)
        assert held(lake) == from_zero(tmp_path / "zero", server.url)
    assert (result.reorgs, result.deepest_reorg) == (1, depth)


def test_a_head_that_moves_back_takes_its_rows_along(world: World, lake: Lake, tmp_path: Path) -> None:
    world.grow(30)
    with serve(world.chain) as server:
        index(lake, server.url)
        world.chain.reorg(4)
        index(lake, server.url)
        assert held(lake) == from_zero(tmp_path / "zero", server.url)


def test_a_to_b_to_a_ends_with_a(world: World, lake: Lake) -> None:
    world.grow(30)
    with serve(world.chain) as server:
        index(lake, server.url)
        first = held(lake)
        transactions = world.chain.reorg(3)
        world.grow(3, mints=3, salt=b"b")
        index(lake, server.url)
        second = held(lake)
        world.chain.reorg(3)
        for block in transactions:
            for transaction in block:
                world.chain.again(transaction)
            world.chain.seal()
        index(lake, server.url)
    assert second != first
    assert held(lake) == first


def test_below_finality_nothing_is_changed_until_an_operator_decides(lake: Lake, tmp_path: Path) -> None:
    world = World(finality_depth=3)
    world.grow(30)
    with serve(world.chain) as server:
        index(lake, server.url)
        before = {name: lake.table(name).version() for name in lake.tables()}
        world.rewrite(10, 12)
        with pytest.raises(BelowFinality, match=r"below the finalized block 28; nothing was changed.*guelta rewind"):
            index(lake, server.url)
        assert {name: lake.table(name).version() for name in lake.tables()} == before
        assert rewind(lake, "devnet", 21) == {"raw.logs": 10, "raw.transactions": 10, "raw.blocks": 10}
        index(lake, server.url)
        assert held(lake) == from_zero(tmp_path / "zero", server.url)


@pytest.mark.parametrize(("to", "said"), [(99, "block 99 of devnet is not in the lake"), (-1, "not in the lake")])
def test_a_rewind_to_nowhere_is_refused(to: int, said: str, world: World, lake: Lake) -> None:
    with pytest.raises(BadSetting, match="was never followed"):
        rewind(lake, "devnet", to)
    with serve(world.chain) as server:
        index(lake, server.url)
    with pytest.raises(BadSetting, match=said):
        rewind(lake, "devnet", to)


def test_another_chain_under_the_same_id_is_refused(world: World, lake: Lake) -> None:
    world.grow(3)
    with serve(world.chain) as server:
        index(lake, server.url)
    other = World(genesis_time=NOVEMBER)
    other.grow(30)
    with serve(other.chain) as server, pytest.raises(ChainMismatch, match="starts with block 0"):
        index(lake, server.url)


def test_a_wrong_chain_id_names_both_and_stores_nothing(lake: Lake) -> None:
    said = r"serves chain 4242, but devnet is chain 1337; correct rpc\.devnet"
    with serve(Devnet(genesis_time=NOVEMBER, chain_id=4242)) as server, pytest.raises(ChainMismatch, match=said):
        index(lake, server.url)
    assert lake.tables() == []


def test_no_url_says_where_to_put_one(lake: Lake) -> None:
    with pytest.raises(BadSetting, match=r"no RPC URL for chain base-goerli: .*GUELTA_RPC_BASE_GOERLI"):
        follow(Settings(), lake, ["base-goerli"])
    with pytest.raises(BadSetting, match="no chain to follow"):
        follow(Settings(), lake)


def test_until_a_block_then_on(world: World, lake: Lake, tmp_path: Path) -> None:
    world.grow(30)
    with serve(world.chain) as server:
        assert index(lake, server.url, until=12).to_block == 12
        assert index(lake, server.url, until=5).to_block == 12  # never back
        assert index(lake, server.url).to_block == 31
        assert held(lake) == from_zero(tmp_path / "zero", server.url)


def test_a_filter_keeps_its_logs_and_their_transactions(world: World, lake: Lake) -> None:
    other = world.chain.deploy("PaymentToken", "Other", "OTH", 18, sender=OWNER)
    world.grow(20)
    world.chain.contract("PaymentToken", other).send(OWNER, "mint", ALICE, 5)
    world.grow(1)
    with serve(world.chain) as server:
        index(lake, server.url, streams={"devnet": Stream(LogFilter(addresses=(other,)), start=0)})
        rows = held(lake)
        with pytest.raises(ChainMismatch, match="was followed with filter"):
            index(lake, server.url)
    assert {"0x" + row["address"].hex() for row in rows["raw.logs"]} == {other}
    assert len(rows["raw.blocks"]) == world.chain.head.number + 1
    assert {row["tx_hash"] for row in rows["raw.transactions"]} == {row["tx_hash"] for row in rows["raw.logs"]}
    assert {row["proof_level"] for row in rows["raw.blocks"]} == {"P3"}


def test_the_tail_follows_until_it_is_told_to_stop(world: World, lake: Lake) -> None:
    """SIGTERM, as an operator's supervisor sends it: the commit in hand is finished, the result comes back."""
    import os
    import signal

    world.grow(5)

    def later(_logs: int, blocks: int, _total: int, _note: str) -> None:
        if blocks == 7:
            world.grow(3)
        if blocks >= 10:
            os.kill(os.getpid(), signal.SIGTERM)

    with serve(world.chain) as server:
        result = index(lake, server.url, once=False, progress=later)
    assert result.to_block == world.chain.head.number == 9


def test_progress_ends_with_everything_done(world: World, lake: Lake) -> None:
    world.grow(40)
    seen: list[tuple[int, int, int, str]] = []
    with serve(world.chain) as server:
        index(lake, server.url, progress=lambda *what: seen.append(what))
    assert seen[-1] == (len(world.chain.logs()), 42, 42, "devnet: block 41")


Step = tuple[str, int, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("grow"), st.integers(1, 6), st.integers(0, 2)),
        st.tuples(st.just("rewrite"), st.integers(1, 8), st.integers(0, 9)),
        st.tuples(st.just("index"), st.just(0), st.just(0)),
    ),
    min_size=2,
    max_size=9,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_any_history_of_reorgs_ends_as_the_chain_did(steps: Sequence[Step], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("history")
    world = World()
    world.grow(20)
    lake = Lake(folder / "lake")
    with serve(world.chain) as server:
        for i, (what, one, two) in enumerate([*steps, ("index", 0, 0)]):
            if what == "grow":
                world.grow(one, mints=two)
            elif what == "rewrite":
                world.rewrite(one, two, mints=i % 3, salt=bytes([i + 1]))
            else:
                index(lake, server.url)
        assert held(lake) == from_zero(folder / "zero", server.url)


# -- endpoints that fail, lag and lie --------------------------------------------------------------------------------


def spoiling(*bodies: bytes, status: int = 200, only: bytes = b"", headers: dict[str, str] | None = None) -> Any:
    """A middleware that answers with each of ``bodies`` once (forever, where only one is given), then truly."""
    left = list(bodies)
    lock = threading.Lock()

    @web.middleware
    async def spoil(request: web.Request, handler: Any) -> web.StreamResponse:
        content = await request.read()
        with lock:
            if left and only in content:
                body = left[0] if len(bodies) == 1 else left.pop(0)
                return web.Response(body=body, status=status, headers=headers)
        answer: web.StreamResponse = await handler(request)
        return answer

    return spoil


def tampering(change: Any, only: bytes) -> Any:
    """A middleware that changes true answers to requests that hold ``only``."""

    @web.middleware
    async def tamper(request: web.Request, handler: Any) -> web.StreamResponse:
        content = await request.read()
        answer = await handler(request)
        return web.Response(body=change(bytes(answer.body))) if only in content else answer

    return tamper


@pytest.mark.parametrize(
    "spoiled",
    [
        spoiling(b"<html>502 Bad Gateway</html>", status=502, only=b"eth_getLogs"),
        spoiling(b"<html>login</html>", only=b"eth_getLogs"),
        spoiling(b'[{"jsonrpc":"2.0","id":0,"result":[{"addr', only=b"eth_getLogs"),
        spoiling(b'[{"jsonrpc":"2.0","id":7,"result":[]}]', only=b"eth_getLogs"),
        spoiling(
            b'{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"too many requests"}}', only=b"eth_getLogs"
        ),
        spoiling(b"", status=429, only=b"eth_getLogs", headers={"Retry-After": "0"}),
        spoiling(b"", status=404, only=b"eth_getLogs"),
        spoiling(b'[{"id":0,"error":{"code":-32601,"message":"method not found"}}]', only=b"eth_getBlockReceipts"),
        # The head lags: an empty list for a block it does not know is no answer.
        tampering(lambda body: body.replace(b'"id":1,"result":{', b'"id":1,"result":null,"x":{'), b"eth_getLogs"),
        tampering(
            lambda body: b'[{"id":0,"result":[]},' + body[body.index(b'{"jsonrpc":"2.0","id":1') :], b"eth_getLogs"
        ),
        tampering(lambda body: body.replace(b'"data":"0x0', b'"data":"0x1', 1), b"eth_getLogs"),
        tampering(lambda body: body.replace(b'"status":"0x1"', b'"status":"0x0"', 1), b"eth_getBlockReceipts"),
    ],
    ids=["502", "html", "cut", "wrong id", "limited", "429", "404", "no method", "lag", "emptied", "amount", "status"],
)
def test_one_bad_endpoint_of_two_costs_nothing(spoiled: Any, world: World, lake: Lake, tmp_path: Path) -> None:
    world.grow(30)
    with serve(world.chain, middlewares=[spoiled]) as bad, serve(world.chain) as good:
        index(lake, bad.url, good.url)
        assert held(lake) == from_zero(tmp_path / "zero", good.url)


@pytest.mark.parametrize(
    ("spoiled", "error", "said"),
    [
        (tampering(lambda b: b.replace(b'"data":"0x0', b'"data":"0x1', 1), b"eth_getLogs"), GateRefused, "eth_getLogs"),
        (
            tampering(lambda b: b.replace(b'"status":"0x1"', b'"status":"0x0"', 1), b"Receipts"),
            GateRefused,
            "receipts of root",
        ),
        (tampering(lambda b: b.replace(b'"gasLimit":"0x', b'"gasLimit":"0x1', 1), b"ByNumber"), GateRefused, "keccak"),
        (spoiling(b"<html></html>", only=b"eth_getLogs"), SourceUnreachable, "no usable answer to eth_getLogs"),
    ],
    ids=["amount", "status", "header", "html"],
)
def test_an_only_endpoint_that_lies_stops_the_chain(
    spoiled: Any, error: type[Exception], said: str, world: World, lake: Lake
) -> None:
    world.grow(10)
    with serve(world.chain, middlewares=[spoiled]) as server, pytest.raises(error, match=said):
        index(lake, server.url)
    assert {row["block_number"] for row in held(lake)["raw.blocks"]} <= {0}  # final, empty, and true
    assert held(lake)["raw.logs"] == []


def test_a_truncated_answer_once_is_only_a_retry(world: World, lake: Lake, tmp_path: Path) -> None:
    world.grow(30)
    cut = spoiling(b"[{", b'[{"jsonrpc"', only=b"eth_getLogs")
    with serve(world.chain, middlewares=[cut]) as shaky, serve(world.chain) as good:
        result = index(lake, shaky.url)
        assert held(lake) == from_zero(tmp_path / "zero", good.url)
    assert result.retries >= 1


@pytest.fixture
def a_small_provider() -> Any:
    """Serves at most 7 blocks of logs a request, and says so in its own words."""

    @web.middleware
    async def narrow(request: web.Request, handler: Any) -> web.StreamResponse:
        import json

        content = json.loads(await request.read())
        for call in content if isinstance(content, list) else [content]:
            if call["method"] == "eth_getLogs" and "fromBlock" in call["params"][0]:
                span = call["params"][0]
                if int(span["toBlock"], 16) - int(span["fromBlock"], 16) >= 7:
                    error = {"code": -32000, "message": "query exceeds max block range 7"}
                    return web.json_response([{"id": 0, "error": error}, {"id": 1, "result": None}])
        answer: web.StreamResponse = await handler(request)
        return answer

    return narrow


def test_a_provider_with_small_ranges_is_asked_in_small_ranges(
    a_small_provider: Any, world: World, lake: Lake, tmp_path: Path
) -> None:
    world.grow(60)
    with serve(world.chain, middlewares=[a_small_provider]) as narrow, serve(world.chain) as wide:
        index(lake, narrow.url)
        assert held(lake) == from_zero(tmp_path / "zero", wide.url)


def test_nobody_there_says_whom_and_hides_the_key(lake: Lake) -> None:
    with pytest.raises(
        SourceUnreachable, match=r"127\.0\.0\.1:9 gave no usable answer.*settings rpc\.devnet"
    ) as caught:
        index(lake, "http://127.0.0.1:9/v3/secret-key?token=hidden")
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)


# -- decoding goes on while a chain is followed


def eventually(true: Callable[[], bool], seconds: float = 40) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited for too long"
        time.sleep(0.05)


def transfers(lake: Lake) -> int:
    return lake.table("raw.erc20_transfer").rows() if lake.exists("raw.erc20_transfer") else 0


def test_what_a_tail_commits_is_decoded_while_it_goes_on(world: World, lake: Lake) -> None:
    derived: list[DeriveResult] = []
    with serve(world.chain) as server:
        tail = threading.Thread(
            target=index,
            args=(lake, server.url),
            kwargs={"once": False, "until": 13, "committed": lambda: derived.extend(derive(lake))},
        )
        tail.start()
        world.grow(5)
        eventually(lambda: transfers(lake) == 5)
        assert tail.is_alive()
        world.grow(3, mints=2)
        eventually(lambda: transfers(lake) == 11)
        assert tail.is_alive()
        world.grow(4)
        tail.join(40)
        assert not tail.is_alive()
    assert transfers(lake) == 15
    (whole,) = together(derived)
    assert (whole.first, whole.last, whole.logs) == (0, lake.table("raw.heads").read()["to_block"][0].as_py(), 16)
    assert (whole.decoded + whole.quarantined + whole.not_ours, whole.tables["raw.erc20_transfer"]) == (16, 15)


def test_the_door_decodes_in_tail_mode_and_stops_at_a_signal(world: World, tmp_path: Path) -> None:
    world.grow(4)
    code = "import sys; from guelta.cli import run; sys.exit(run(['follow', 'devnet']))"
    with serve(world.chain) as server:
        env = os.environ | {"GUELTA_HOME": str(tmp_path), "GUELTA_RPC_DEVNET": server.url}
        door = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
        try:
            eventually((tmp_path / "lake/_guelta.json").is_file)
            lake = Lake(tmp_path / "lake")
            eventually(lambda: transfers(lake) == 4)
            world.grow(2)
            eventually(lambda: transfers(lake) == 6)
            door.send_signal(signal.SIGINT)
            said, _ = door.communicate(timeout=40)
        finally:
            door.kill()
    assert (door.returncode, "events decoded" in said) == (0, True)


def test_a_backfill_tells_of_its_commits_now_and_then_and_the_tip_at_once() -> None:
    now, told = [0.0], list[float]()

    async def story() -> None:
        news = News(lambda: told.append(now[0]), lambda: now[0])
        telling = asyncio.create_task(news.tell())
        for at, caught_up in (
            (1, False),
            (59, False),
            (60, False),
            (61, False),
            (62, True),
            (121, False),
            (122, False),
        ):
            now[0] = at
            news.committed(caught_up=caught_up)
            await asyncio.sleep(0.02)
        news.close()
        await telling

    asyncio.run(story())
    assert told == [60, 62, 122]


def test_a_reader_that_met_another_is_told_again_and_one_that_fails_ends_the_run(world: World, lake: Lake) -> None:
    told = []

    def first_met_another() -> None:
        told.append(lake.table("raw.logs").version())
        if len(told) == 1:
            raise CursorMoved("another process decodes this lake")

    def failing() -> None:
        raise Fatal("cannot decode")

    with serve(world.chain) as server:
        index(lake, server.url, committed=first_met_another)
        assert len(told) == 2
        world.grow(1)
        with pytest.raises(Fatal, match="cannot decode"):
            index(lake, server.url, once=False, committed=failing)
        index(lake, server.url, committed=first_met_another)  # nothing new, so nothing is said
    assert len(told) == 2


# -- one world a lake


def test_a_real_chain_never_enters_a_demo_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", world="demo")
    chain = Devnet(genesis_time=NOVEMBER, chain_id=1)
    chain.seal()
    with serve(chain) as server, pytest.raises(ForeignLake, match=r"demo data, chain ethereum is live.*GUELTA_HOME"):
        follow(Settings(rpc={"ethereum": (server.url,)}), lake, ["ethereum"], policy=HASTY)
    assert lake.tables() == []
