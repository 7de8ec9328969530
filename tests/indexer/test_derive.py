"""Event tables follow raw.logs through growth, reorgs, crashes and changed ABIs, and always equal a rebuild."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import eth_abi
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guelta.errors import BadSetting
from guelta.lake import Cursor, Lake, Table, eq, gt
from indexer import protocols, tables
from indexer.abi import Event, event, keccak
from indexer.derive import derive
from indexer.protocols import Protocol

CHAIN = 1337
SHOP, PROXY, STRANGER = (bytes([n]) * 20 for n in (0xA1, 0xB2, 0xC3))
ALICE, BOB = "0x" + "01" * 20, "0x" + "02" * 20


def declared(text: str) -> dict:
    """An ABI entry from ``Sold(address* buyer, uint256 price)``; ``*`` marks what is indexed."""
    name, _, inputs = text.rstrip(")").partition("(")
    parts = [part.split() for part in inputs.split(",") if part]
    return {
        "type": "event",
        "name": name,
        "inputs": [{"type": kind.rstrip("*"), "name": label, "indexed": kind.endswith("*")} for kind, label in parts],
    }


SOLD = "Sold(address* buyer, uint256 price, string note)"
MOVED = "Transfer(address* from, address* to, uint256 value)"
UPGRADED = "Upgraded(address* implementation)"


def folder(root: Path, name: str, toml: str, **abis: list[str]) -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "protocol.toml").write_text(f'title = "{name}"\n{toml}')
    for file, events in abis.items():
        (root / name / f"{file}.json").write_text(json.dumps([declared(text) for text in events]))


@pytest.fixture
def a_shop(tmp_path) -> tuple[Protocol, ...]:
    root = tmp_path / "protocols"
    folder(root, "erc20", '[contracts.token]\nabi = "t.json"\nscope = "any"', t=[MOVED])
    shop = (
        f'[contracts.shop]\nabi = "s.json"\n[contracts.shop.deployments.devnet]\naddress = "0x{SHOP.hex()}"\nstart = 2'
    )
    folder(root, "shop", shop, s=[SOLD, "Closed()"])
    return protocols.load(root)


def log(kind: str, values: list, address: bytes = SHOP, **changes: object) -> dict:
    """A raw log of an event, without its place."""
    what: Event = event(declared(kind), kind)
    pairs = list(zip(what.inputs, values, strict=True))
    topics = [what.topic0, *(eth_abi.encode([str(i.type)], [v]) for i, v in pairs if i.indexed)]
    data = eth_abi.encode([str(i.type) for i, _ in pairs if not i.indexed], [v for i, v in pairs if not i.indexed])
    return {"address": address, **{f"topic{n}": t for n, t in enumerate(topics)}, "data": data, **changes}


def sold(price: int, note: str = "tea") -> dict:
    return log(SOLD, [ALICE, price, note])


def moved(value: int, address: bytes = STRANGER) -> dict:
    return log(MOVED, [ALICE, BOB, value], address)


def block(number: int, logs: list[dict], branch: str = "", chain_id: int = CHAIN) -> list[dict]:
    at = datetime(2026, 8, 30, tzinfo=UTC) + timedelta(hours=9 * number)
    place = {
        "chain_id": chain_id,
        "block_number": number,
        "block_hash": keccak(f"{chain_id} {branch} {number}".encode()),
        "block_time": at,
        "day": at.date(),
    }
    return [
        {**place, "tx_hash": keccak(b"%d.%d" % (number, i)), "tx_index": i, "log_index": i, **entry}
        for i, entry in enumerate(logs)
    ]


def rows_of(*blocks: list[dict]) -> pa.Table:
    schema = pa.schema([f for f in tables.LOGS.schema if f.name != "month"])
    return pa.Table.from_pylist([row for some in blocks for row in some], schema=schema)


@pytest.fixture
def lake(tmp_path) -> Lake:
    return a_lake(tmp_path / "lake")


def a_lake(root: Path) -> Lake:
    lake = Lake(root, world="demo")
    chain = {
        "chain_id": CHAIN,
        "name": "devnet",
        "caip2": f"eip155:{CHAIN}",
        "native_symbol": "T",
        "native_decimals": 18,
    }
    row = {**chain, "finality_kind": "instant", "source": "devnet"}
    lake.create(tables.CHAINS).append(pa.Table.from_pylist([row], schema=tables.CHAINS.schema))
    lake.create(tables.LOGS)
    return lake


def grow(lake: Lake, *blocks: list[dict]) -> None:
    lake.table("raw.logs").append(rows_of(*blocks))


def reorg(lake: Lake, fork: int, *blocks: list[dict]) -> None:
    lake.table("raw.logs").replace(rows_of(*blocks), eq("chain_id", CHAIN) & gt("block_number", fork))


def derived(lake: Lake) -> dict[str, list[dict]]:
    """Everything derive wrote, by table."""
    kept = {"raw.logs", "raw.chains"}
    return {name: lake.table(name).read().to_pylist() for name in lake.tables() if name not in kept}


def rebuilt(lake: Lake, known, root: Path) -> dict[str, list[dict]]:
    fresh = a_lake(root)
    fresh.table("raw.logs").append(lake.table("raw.logs").read().drop_columns(["month"]))
    derive(fresh, protocols=known)
    return derived(fresh)


def versions(lake: Lake) -> dict[str, int]:
    return {name: version for name, version in lake.pin().items() if name != "raw.logs"}


def test_logs_become_rows_of_their_events_and_every_log_is_accounted_for(lake, a_shop):
    broken = {**sold(1), "data": b"\1" * 40}
    grow(
        lake, block(1, [sold(5)]), block(2, [sold(7), moved(10**38), broken, log("Other()", [])]), block(3, [moved(3)])
    )
    (result,) = derive(lake, protocols=a_shop)

    found = derived(lake)
    assert (result.logs, result.decoded, result.quarantined, result.not_ours) == (
        6,
        3,
        2,
        1,
    )  # the shop opens at block 2
    assert result.tables == {"raw.erc20_transfer": 2, "raw.shop_sold": 1}
    assert found["raw.shop_closed"] == []
    (sale,) = found["raw.shop_sold"]
    assert {k: sale[k] for k in ("block_number", "log_index", "address", "buyer", "price", "note", "decode")} == {
        "block_number": 2,
        "log_index": 0,
        "address": SHOP,
        "buyer": b"\1" * 20,
        "price": 7,
        "note": "tea",
        "decode": "fast",
    }
    assert [(t["value"], int.from_bytes(t["value_raw"], "big")) for t in found["raw.erc20_transfer"]] == [
        (None, 10**38),
        (3, 3),
    ]
    assert [(q["log_index"], q["table_name"], q["reason"]) for q in found["raw.quarantine"]] == [
        (2, "raw.shop_sold", "short"),
        (3, "raw.logs", "no_abi"),
    ]
    assert [
        (c["address"], c["from_block"], c["to_block"], c["protocol"], c["role"]) for c in found["raw.contracts"]
    ] == [(SHOP, 2, None, "shop", "shop")]
    assert [(t["address"], t["standard"], t["decimals"]) for t in found["raw.tokens"]] == [(STRANGER, "erc20", None)]


def test_a_run_without_new_logs_commits_nothing(lake, a_shop):
    grow(lake, block(2, [sold(7)]))
    derive(lake, protocols=a_shop)
    before = versions(lake)
    (again,) = derive(lake, protocols=a_shop)
    grow(lake, block(9, [moved(1)], chain_id=5))
    mine, other = sorted(derive(lake, protocols=a_shop), key=lambda result: -result.chain_id)
    after = versions(lake)

    assert (again.logs, again.first, again.last) == (0, 3, 2)
    assert (mine.chain_id, mine.logs, other.chain_id, other.decoded) == (CHAIN, 0, 5, 1)
    assert {name for name in after if after[name] != before[name]} == {
        "raw.erc20_transfer",
        "raw.tokens",
        "raw.quarantine",  # carries the other chain's cursor
    }


def test_growth_appends_only_the_new_blocks(lake, a_shop):
    grow(lake, block(2, [sold(7)]), block(3, [moved(1)]))
    derive(lake, protocols=a_shop)
    grow(lake, block(4, [sold(8)]))
    (result,) = derive(lake, protocols=a_shop)
    assert (result.first, result.last, result.logs, result.rewritten, result.tables) == (
        4,
        4,
        1,
        (),
        {"raw.shop_sold": 1},
    )
    cursor = lake.table("raw.shop_sold").cursor(f"derive:{CHAIN}:raw.shop_sold")
    assert (cursor.n, cursor.meta["to"]) == (2, 4)


def test_a_reorg_replaces_what_lay_above_the_fork_in_one_commit(lake, a_shop, tmp_path):
    grow(lake, *(block(n, [sold(n), moved(n), {**sold(n), "data": b""}]) for n in range(2, 9)))
    derive(lake, protocols=a_shop)
    before = versions(lake)
    reorg(lake, 5, block(6, [sold(60)], "b"), block(7, [], "b"), block(8, [moved(80)], "b"))
    (result,) = derive(lake, protocols=a_shop)

    assert (result.fork, result.first, result.rewritten) == (5, 6, ("raw.erc20_transfer", "raw.shop_sold"))
    assert versions(lake)["raw.shop_sold"] == before["raw.shop_sold"] + 1
    found = derived(lake)
    assert [row["price"] for row in found["raw.shop_sold"]] == [2, 3, 4, 5, 60]
    assert [row["block_number"] for row in found["raw.quarantine"]] == [2, 3, 4, 5]
    assert found == rebuilt(lake, a_shop, tmp_path / "fresh")


def test_a_chain_that_lost_all_its_logs_loses_all_its_rows(lake, a_shop):
    grow(lake, block(2, [sold(7), moved(1), {**sold(1), "data": b""}]))
    derive(lake, protocols=a_shop)
    reorg(lake, 1)
    derive(lake, protocols=a_shop)
    found = derived(lake)
    assert {name: len(rows) for name, rows in found.items() if rows} == {"raw.contracts": 1}


STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 3), st.booleans(), st.integers(0, 7)), min_size=2, max_size=5
)


class Killed(Exception):
    pass


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_history_of_growth_reorgs_and_crashes_equals_a_rebuild(steps, a_shop, tmp_path_factory):
    """Each step: how deep to fork, how many blocks to add, whether derive is killed, and at which commit."""
    root = tmp_path_factory.mktemp("history")
    lake = a_lake(root / "lake")
    head = 1
    for at, (depth, count, killed, commits) in enumerate(steps):
        fork = max(head - depth, 1)
        blocks = [
            block(n, [[sold(n)], [moved(n), {**sold(n), "data": b""}], [], [log("Other()", [])]][(n + at) % 4], str(at))
            for n in range(fork + 1, fork + 1 + count)
        ]
        reorg(lake, fork, *blocks)
        head = fork + count
        with pytest.MonkeyPatch.context() as patch:
            if killed:
                kill_after(commits, patch)
            try:
                derive(lake, protocols=a_shop)
            except Killed:
                continue
    derive(lake, protocols=a_shop)
    assert derived(lake) == rebuilt(lake, a_shop, root / "fresh")


@pytest.mark.parametrize("commits", range(4))
def test_killed_between_two_commits_while_the_chain_went_there_and_back(commits, lake, a_shop, tmp_path):
    first = [block(n, [sold(n), moved(n), {**sold(n), "data": b""}]) for n in range(2, 6)]
    grow(lake, *first)
    derive(lake, protocols=a_shop)
    reorg(lake, 3, block(4, [sold(40), moved(40), {**sold(4), "data": b""}], "b"))
    with pytest.MonkeyPatch.context() as patch:
        kill_after(commits, patch)
        with pytest.raises(Killed):
            derive(lake, protocols=a_shop)
    reorg(lake, 3, *first[2:])
    derive(lake, protocols=a_shop)
    assert derived(lake) == rebuilt(lake, a_shop, tmp_path / "fresh")


def kill_after(commits: int, patch: pytest.MonkeyPatch) -> None:
    left = [commits]
    for name in ("append", "replace"):
        real = getattr(Table, name)

        def counted(self, *args, real=real, **kwargs):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(self, *args, **kwargs)

        patch.setattr(Table, name, counted)


def test_a_changed_declaration_decodes_its_table_again_and_no_other(lake, a_shop, tmp_path):
    grow(lake, block(2, [sold(7), log("Closed()", []), log("Opened(bool twice)", [True])]), block(3, [moved(5)]))
    derive(lake, protocols=a_shop)
    before = versions(lake)
    folder(
        tmp_path / "protocols",
        "shop",
        f'[contracts.shop]\nabi = "s.json"\n[contracts.shop.deployments.devnet]\naddress = "0x{SHOP.hex()}"\nstart = 2',
        s=[SOLD, "Closed()", "Opened(bool twice)"],
    )
    wider = protocols.load(tmp_path / "protocols")
    derive(lake, protocols=wider)
    after, found = versions(lake), derived(lake)

    assert [row["twice"] for row in found["raw.shop_opened"]] == [True]
    assert found["raw.quarantine"] == []
    assert {name for name in before if after[name] != before[name]} == {"raw.quarantine", "raw.contracts"}
    assert found == rebuilt(lake, wider, tmp_path / "fresh")


def test_a_new_deployment_takes_its_address_from_the_standards(lake, a_shop, tmp_path):
    grow(lake, block(2, [moved(7), moved(8, SHOP)]), block(3, [moved(9)]))
    derive(lake, protocols=a_shop)
    stranger = f'[contracts.odd]\nabi = "o.json"\n[contracts.odd.deployments.{CHAIN}]\naddress = "0x{STRANGER.hex()}"\nstart = 3'
    folder(tmp_path / "protocols", "odd", stranger, o=["Transfer(address* giver, address* taker, uint256 amount)"])
    wider = protocols.load(tmp_path / "protocols")
    (result,) = derive(lake, protocols=wider)
    found = derived(lake)
    assert result.rewritten == ("raw.erc20_transfer",)
    assert [row["value"] for row in found["raw.erc20_transfer"]] == [7]
    assert [(row["giver"], row["amount"]) for row in found["raw.odd_transfer"]] == [(b"\1" * 20, 9)]
    assert [(row["table_name"], row["reason"]) for row in found["raw.quarantine"]] == [("raw.logs", "no_abi")]
    assert found == rebuilt(lake, wider, tmp_path / "fresh")


def test_a_filter_that_grew_decodes_its_chain_again(lake, a_shop, tmp_path):
    logs = lake.table("raw.logs")
    logs.append(
        rows_of(block(2, [sold(7)]), block(9, [sold(9)])), cursor=Cursor(f"{CHAIN}:logs", 1, {"filter": "narrow"})
    )
    derive(lake, protocols=a_shop)
    logs.append(rows_of(block(4, [sold(4)])), cursor=Cursor(f"{CHAIN}:logs", 2, {"filter": "wide"}))
    derive(lake, protocols=a_shop)
    assert [row["price"] for row in lake.table("raw.shop_sold").read().to_pylist()] == [7, 4, 9]


def test_an_upgrade_inside_a_block_changes_the_abi_after_its_own_log(lake, tmp_path):
    one, two, unknown = (bytes([n]) * 20 for n in (1, 2, 3))
    root = tmp_path / "protocols"
    folder(root, "eip1967", '[contracts.proxy]\nabi = "p.json"\nscope = "every"', p=[UPGRADED])
    vault = f"""[contracts.vault]
abi = "v1.json"
implementations = {{ "0x{one.hex()}" = "v1.json", "0x{two.hex()}" = "v2.json" }}
[contracts.vault.deployments.devnet]
address = "0x{PROXY.hex()}"
"""
    paid_1, paid_2 = "Paid(uint256 a, uint256 b)", "Paid(uint256 fee, uint256 net)"
    folder(root, "vault", vault, v1=[paid_1], v2=[paid_2])
    known = protocols.load(root)

    def upgraded(to: bytes) -> dict:
        return log(UPGRADED, ["0x" + to.hex()], PROXY)

    def paid(n: int) -> dict:
        return log(paid_1, [n, n], PROXY)

    grow(lake, block(1, [paid(1), upgraded(two), paid(2)]), block(2, [paid(3), upgraded(unknown), paid(4)]))
    derive(lake, protocols=known)
    found = derived(lake)
    topic = event(declared(paid_1), "").topic0.hex()[:8]
    assert [row["a"] for row in found["raw.vault_paid"]] == [1]
    assert [row["fee"] for row in found[f"raw.vault_paid_{topic}"]] == [2, 3]
    assert [(q["block_number"], q["log_index"], q["reason"]) for q in found["raw.quarantine"]] == [(2, 2, "no_abi")]
    assert [row["implementation"] for row in found["raw.eip1967_upgraded"]] == [two, unknown]
    assert [
        (c["from_block"], c["from_log"], c["to_block"], c["to_log"], c["implementation"])
        for c in found["raw.contracts"]
    ] == [
        (0, 0, 1, 1, None),
        (1, 2, 2, 1, two),
        (2, 2, None, None, unknown),
    ]

    reorg(lake, 1, block(2, [paid(5)], "b"))
    derive(lake, protocols=known)
    assert derived(lake) == rebuilt(lake, known, tmp_path / "fresh")


def test_unknown_tokens_are_asked_once_and_described_ones_never(lake, tmp_path):
    root = tmp_path / "protocols"
    folder(root, "erc20", '[contracts.token]\nabi = "t.json"\nscope = "any"', t=[MOVED])
    coin = f"""[contracts.coin]
abi = "c.json"
also = "erc20"
role = "payment_token"
symbol = "TUSD"
name = "Test Dollar"
decimals = 6
[contracts.coin.deployments.devnet]
address = "0x{SHOP.hex()}"
"""
    folder(root, "coins", coin, c=[])
    asked: Counter[bytes] = Counter()

    def call(to: bytes, data: bytes) -> bytes:
        asked[to] += 1
        if to == PROXY:
            return b""  # reverts
        return {
            "95d89b41": b"MKR".ljust(32, b"\0"),  # a bytes32, as early tokens answer
            "06fdde03": eth_abi.encode(["string"], ["Maker"]),
            "313ce567": (18).to_bytes(32, "big"),
        }[data.hex()]

    grow(lake, block(1, [moved(1), moved(2, SHOP), moved(3, PROXY)]))
    derive(lake, protocols=protocols.load(root), calls={CHAIN: call})
    grow(lake, block(2, [moved(1)]))
    derive(lake, protocols=protocols.load(root), calls={CHAIN: call})
    assert [
        (t["address"], t["symbol"], t["name"], t["decimals"], t["standard"], t["role"])
        for t in lake.table("raw.tokens").read().to_pylist()
    ] == [
        (SHOP, "TUSD", "Test Dollar", 6, "erc20", "payment_token"),
        (PROXY, None, None, None, "erc20", None),
        (STRANGER, "MKR", "Maker", 18, "erc20", None),
    ]
    assert asked[SHOP] == 0
    assert asked[STRANGER] == 3


def test_one_address_deployed_twice_at_a_block_is_refused(lake, a_shop, tmp_path):
    again = (
        f'[contracts.copy]\nabi = "c.json"\n[contracts.copy.deployments.devnet]\naddress = "0x{SHOP.hex()}"\nstart = 2'
    )
    folder(tmp_path / "protocols", "copy", again, c=[SOLD])
    grow(lake, block(2, [sold(1)]))
    with pytest.raises(BadSetting, match=f"0x{SHOP.hex()} on chain {CHAIN} is deployed twice from block 2"):
        derive(lake, protocols=protocols.load(tmp_path / "protocols"))


def test_a_lake_without_logs_gets_the_empty_tables_of_every_protocol(tmp_path):
    lake = Lake(tmp_path / "lake", world="demo")
    assert derive(lake) == []
    wanted = {
        "raw.erc20_transfer",
        "raw.erc721_transfer",
        "raw.erc1155_transfer_batch",
        "raw.reference_earning_accrued",
    }
    assert wanted | {"raw.contracts", "raw.tokens", "raw.quarantine"} <= set(lake.tables())
    assert all(lake.table(name).read().num_rows == 0 for name in lake.tables())
