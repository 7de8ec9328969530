"""A small economy written straight into raw tables, as the indexer and the sources would leave it."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import quality
from guelta.lake import Lake
from guelta.lake.schema import Address, Amount, Bytes, Float64, Hash, Int32, Int64, TableSpec, Text, Timestamp, spec
from guelta.lake.schema import Day as DayType
from guelta.money import DECIMAL_LIMIT, to_raw
from indexer import abi, tables
from indexer.decode import shapes
from models.build import Built, build
from quality import rules

CHAIN = 1337
START = datetime(2026, 8, 1, tzinfo=UTC)
_REFERENCE = Path(abi.__file__).parent / "protocols" / "reference"


def address(name: str) -> bytes:
    return sha256(name.encode()).digest()[:20]


def digest(name: str) -> bytes:
    return sha256(name.encode()).digest()


VAULT, REGISTRY, STAKING, TREASURY = (address(name) for name in ("vault", "registry", "staking", "treasury"))
TUSD, TAI, TPART = (address(name) for name in ("TUSD", "TAI", "TPART"))
ZERO = bytes(20)


def pair(name: str, value: int | None) -> dict[str, Any]:
    fits = value is not None and abs(value) < DECIMAL_LIMIT
    return {name: value if fits else None, f"{name}_raw": None if value is None else to_raw(value)}


def _offchain(name: str, key: str, columns: str) -> TableSpec:
    kinds: dict[str, pa.DataType] = {
        "t": Text,
        "i": Int32,
        "l": Int64,
        "f": Float64,
        "b": Bytes,
        "a": Address,
        "h": Hash,
        "at": Timestamp,
    }
    made: dict[str, pa.DataType] = {}
    for word in columns.split():
        column, _, kind = word.partition(":")
        if kind == "money":
            made |= {column: Amount, f"{column}_raw": Bytes}
        else:
            made[column] = kinds[kind or "t"]
    made["day"] = DayType
    return spec(name, made, key=key.split(), required=["day"], partition=["month"])


OFFCHAIN = [
    _offchain(
        "raw.platform_parties",
        "party_id updated_at",
        "party_id kind roles name wallet:a country client_tier waitlisted_at:at joined_at:at activated_at:at "
        "updated_at:at",
    ),
    _offchain(
        "raw.platform_assets",
        "chain_id asset_id updated_at",
        "chain_id:l asset_id:l name description language updated_at:at",
    ),
    _offchain(
        "raw.platform_tasks",
        "task_id version updated_at",
        "task_id version:i title data_type language difficulty chain_id:l dataset_id:l label_count:i reward_kind "
        "base_points:i bonus_pct:i reward_token:a reward_amount:money review_quorum:i valid_from:at updated_at:at",
    ),
    _offchain("raw.platform_gold", "task_id item_id updated_at", "task_id item_id label:i updated_at:at"),
    _offchain(
        "raw.platform_submissions",
        "submission_id updated_at",
        "submission_id task_id item_id annotator_id label:i value_f64:f seconds:i content_hash:b language "
        "submitted_at:at status decided_at:at updated_at:at",
    ),
    _offchain(
        "raw.platform_reviews",
        "review_id updated_at",
        "review_id submission_id reviewer_id round:i decision reason reviewed_at:at updated_at:at",
    ),
    _offchain(
        "raw.platform_credits",
        "entry_id updated_at",
        "entry_id client_id kind chain_id:l token:a amount:money batch_root:b at:at updated_at:at",
    ),
    _offchain(
        "raw.platform_payout_legs",
        "run_id leg_no updated_at",
        "run_id leg_no:i party_id wallet:a chain_id:l token:a amount:money kind period instructed_at:at due_at:at "
        "sent_tx:b state idempotency_key updated_at:at",
    ),
    _offchain(
        "raw.platform_ledger",
        "ledger_id updated_at",
        "ledger_id run_id leg_no:i party_id chain_id:l token:a amount:money booked_at:at updated_at:at",
    ),
    _offchain(
        "raw.gateway_calls",
        "call_id rev",
        "call_id rev:i parent_call_id root_call_id client_id api_key_hash:b origin chain_id:l asset_id:l asset_name "
        "provider at:at latency_us:l status prompt_tokens:l completion_tokens:l units:l adapters:i price:money token:a "
        "batch_root:b source file line:l",
    ),
]
_PUBLIC = {
    "erc20_transfer": {"from_address": Address, "to_address": Address, "value": Amount, "value_raw": Bytes},
    "erc721_transfer": {"from_address": Address, "to_address": Address, "token_id": Amount, "token_id_raw": Bytes},
    "erc1155_transfer_single": {
        "operator": Address,
        "from_address": Address,
        "to_address": Address,
        "id": Amount,
        "id_raw": Bytes,
        "value": Amount,
        "value_raw": Bytes,
    },
    "erc1155_transfer_batch": {
        "operator": Address,
        "from_address": Address,
        "to_address": Address,
        "ids": pa.list_(Amount),
        "ids_raw": pa.list_(Bytes),
        "values": pa.list_(Amount),
        "values_raw": pa.list_(Bytes),
    },
}


def _event_tables() -> Iterable[TableSpec]:
    found = {f"raw.{name}": columns for name, columns in _PUBLIC.items()}
    for file in sorted(_REFERENCE.glob("*.json")):
        for event in abi.parse(file.read_text(), file.name).events:
            found[f"raw.reference_{shapes.snake_case(event.name)}"] = shapes.columns_of(event)
    for name, columns in found.items():
        yield spec(
            name,
            {**shapes.COORDINATES, **columns, **shapes.PROVENANCE},
            key=("chain_id", "block_hash", "log_index"),
            partition=("chain_id", "month"),
            sort=("block_number", "log_index"),
        )


class World:
    """Emits logs in order, as the contracts would, and keeps what it emitted."""

    address, digest, pair = staticmethod(address), staticmethod(digest), staticmethod(pair)
    VAULT, TREASURY, TUSD, TAI, TPART, ZERO = VAULT, TREASURY, TUSD, TAI, TPART, ZERO

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.specs = {table.name: table for table in (*tables.EVERY, *OFFCHAIN, *_event_tables())}
        for table in self.specs.values():
            lake.create(table)
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.block, self.log, self.tx, self.at = 0, 0, 0, START
        self.edges: dict[int, list[tuple[int, int]]] = {}
        self.terms: dict[int, list[tuple[bytes, int]]] = {}
        self.versions: dict[int, int] = {}
        self.final = False

    def mine(self, hours: int = 1) -> None:
        self.block, self.log, self.tx = self.block + 1, 0, 0
        self.at += timedelta(hours=hours)

    def transaction(self) -> bytes:
        self.tx += 1
        return digest(f"tx {self.block} {self.tx}")

    def emit(self, event: str, emitter: bytes, **columns: Any) -> dict[str, Any]:
        row = {
            "chain_id": CHAIN,
            "block_number": self.block,
            "block_hash": digest(f"block {self.block}"),
            "block_time": self.at,
            "day": self.at.date(),
            "tx_hash": digest(f"tx {self.block} {self.tx}"),
            "tx_index": self.tx,
            "log_index": self.log,
            "address": emitter,
            "abi_digest": "test",
            "decode": "fast",
            **columns,
        }
        self.rows.setdefault(f"raw.{event}", []).append(row)
        self.log += 1
        return row

    def put(self, table: str, **columns: Any) -> None:
        """An off-chain row; every version received is a row."""
        columns.setdefault("updated_at", self.at)
        day = columns["at"] if table == "gateway_calls" else columns["updated_at"]
        self.rows.setdefault(f"raw.{table}", []).append({**columns, "day": day.date()})

    def land(self) -> None:
        """Append everything emitted since the last landing."""
        for name, rows in self.rows.items():
            schema = self.specs[name].schema
            fields = [field for field in schema if field.name != "month"]
            columns = {f.name: pa.array([row.get(f.name) for row in rows], f.type) for f in fields}
            self.lake.table(name).append(pa.table(columns))
        self.rows = {}

    def finalize(self) -> None:
        """Everything up to now is final: a block row and the head above it."""
        self.final = True
        block = {"chain_id": CHAIN, "block_number": self.block, "block_hash": digest(f"block {self.block}")}
        self.rows["raw.blocks"] = [
            {
                **block,
                "parent_hash": digest(f"block {self.block - 1}"),
                "block_time": self.at,
                "day": self.at.date(),
                "log_count": self.log,
                "proof_level": "P3",
                "complete": True,
            }
        ]
        self.rows["raw.heads"] = [
            {
                "chain_id": CHAIN,
                "stream": "logs",
                "to_block": self.block,
                "finalized_block": self.block,
                "finalized_hash": block["block_hash"],
                "updated_at": self.at,
            }
        ]

    # what the reference contracts do

    def chain(self) -> None:
        self.rows["raw.chains"] = [
            {
                "chain_id": CHAIN,
                "name": "devnet",
                "caip2": f"eip155:{CHAIN}",
                "native_symbol": "TEST",
                "native_decimals": 18,
                "finality_kind": "instant",
                "source": "devnet",
            }
        ]
        self.rows["raw.contracts"] = [
            {"chain_id": CHAIN, "address": a, "from_block": 0, "from_log": 0, "protocol": "reference", "role": role}
            for a, role in ((VAULT, "earnings_vault"), (REGISTRY, "asset_registry"), (STAKING, "staking"))
        ]
        self.rows["raw.tokens"] = [
            {"chain_id": CHAIN, "address": a, "symbol": s, "name": s, "decimals": d, "standard": "erc20", "role": role}
            for a, s, d, role in (
                (TUSD, "TUSD", 6, "payment_token"),
                (TAI, "TAI", 18, "payment_token"),
                (TPART, "TPART", 18, "partner_token"),
            )
        ]

    def party(self, name: str, roles: str = "annotator", **columns: Any) -> None:
        wallet = columns.pop("wallet", address(name))
        self.put(
            "platform_parties", party_id=name, kind="person", roles=roles, name=name.title(), wallet=wallet, **columns
        )

    def register(self, asset: int, kind: int, payees: list[tuple[str, int]], owner: str = "owner") -> None:
        self.transaction()
        self.emit(
            "reference_asset_registered",
            REGISTRY,
            **pair("asset_id", asset),
            owner=address(owner),
            kind=kind,
            content_hash=digest(f"content {asset}"),
            uri=f"ipfs://{asset}",
        )
        self.set_terms(asset, payees)

    def set_terms(self, asset: int, payees: list[tuple[str, int]]) -> None:
        self.versions[asset] = self.versions.get(asset, 0) + 1
        self.terms[asset] = [(address(name), bps) for name, bps in payees]
        self.emit(
            "reference_terms_set",
            REGISTRY,
            **pair("asset_id", asset),
            version=self.versions[asset],
            accounts=[address(name) for name, _ in payees],
            bps=[bps for _, bps in payees],
        )

    def edge(self, child: int, parent: int, bps: int, relation: int = 1) -> None:
        self.edges.setdefault(child, []).append((parent, bps))
        self.emit(
            "reference_edge_added",
            REGISTRY,
            **pair("child_id", child),
            **pair("parent_id", parent),
            relation=relation,
            bps=bps,
        )

    def settle(
        self, asset: int, amount: int, *, token: bytes = TUSD, payer: str = "client", fee_bps: int = 250, root: str = ""
    ) -> list[tuple[int, bytes, int]]:
        """One settlement, by the contract's own recursion in plain integers; what was accrued, in order."""
        self.transaction()
        fee = amount * fee_bps // 10_000
        self.transfer(address(payer), VAULT, amount, token)
        self.emit(
            "reference_calls_settled",
            VAULT,
            **pair("asset_id", asset),
            payer=address(payer),
            token=token,
            **pair("amount", amount),
            **pair("fee", fee),
            calls=7,
            batch_root=digest(root or f"root {self.block} {self.log}"),
        )
        if fee:
            self.transfer(VAULT, TREASURY, fee, token)
        accrued = list(self._credit(asset, amount - fee))
        for source, account, share in accrued:
            self.emit(
                "reference_earning_accrued",
                VAULT,
                **pair("called_id", asset),
                **pair("asset_id", source),
                account=account,
                token=token,
                **pair("amount", share),
            )
        return accrued

    def transfer(self, source: bytes, target: bytes, value: int, token: bytes) -> dict[str, Any]:
        return self.emit("erc20_transfer", token, from_address=source, to_address=target, **pair("value", value))

    def claim(self, account: str, amount: int, token: bytes = TUSD) -> None:
        self.transaction()
        self.transfer(VAULT, address(account), amount, token)
        self.emit("reference_earning_claimed", VAULT, account=address(account), token=token, **pair("amount", amount))

    def push(self, run: str, account: str, amount: int, token: bytes = TUSD) -> None:
        self.transaction()
        self.transfer(VAULT, address(account), amount, token)
        self.emit(
            "reference_payout_sent",
            VAULT,
            batch_id=digest(run),
            account=address(account),
            token=token,
            **pair("amount", amount),
        )

    def _credit(self, asset: int, amount: int) -> Iterable[tuple[int, bytes, int]]:
        kept = amount
        for parent, bps in self.edges.get(asset, []):
            up = amount * bps // 10_000
            kept -= up
            yield from self._credit(parent, up)
        left = kept
        *first, (last, _) = self.terms[asset]
        for account, bps in first:
            share = kept * bps // 10_000
            left -= share
            yield asset, account, share
        yield asset, last, left

    # questions

    def build(self, *selection: str) -> dict[str, Built]:
        """Land what was emitted and make the tables; the matching looks at final blocks only."""
        if self.versions and not self.final:
            self.finalize()
        self.land()
        return {built.name: built for built in build(self.lake, quality.tables(), selection=selection)}

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """A query over the tables it names; decimals come as integers."""
        names = sorted(set(re.findall(r"\b(?:raw|core|marts)\.[a-z]\w*", sql)))
        with self.lake.duck(names) as con:
            found = con.execute(sql).fetchall()
        return [tuple(int(v) if isinstance(v, Decimal) else v for v in row) for row in found]

    def broken(self, name: str) -> list[str]:
        """The rules of a table that its rows break."""
        model = next(model for model in quality.tables() if model.name == name)
        found = rules.of_model(model)
        names = {name, *(read for rule in found for read in rule.reads)}
        with self.lake.duck([name for name in names if self.lake.exists(name)]) as con:
            return [rule.id for rule in found if con.execute(rule.failing_rows(name)).fetchall()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Lake(tmp_path / "lake"))


@pytest.fixture
def an_economy(world: World) -> World:
    return _play(world)


@pytest.fixture(scope="session")
def a_built_economy(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Shared by all who only look."""
    world = _play(World(Lake(tmp_path_factory.mktemp("built") / "lake")))
    world.build()
    return world


def _play(world: World) -> World:
    """Two datasets, a model and an agent over them; direct and prepaid payments, claims, a run, rewards, a slash."""
    world.chain()
    for name in ("ann", "bob", "cyd"):
        world.party(name, joined_at=START, activated_at=START)
    for name, roles in (("client", "client"), ("operator", "treasury"), ("treasury", "treasury"), ("dev", "app")):
        world.party(name, roles)
    world.register(1, 0, [("ann", 5000), ("bob", 3000), ("cyd", 2000)], "dev")
    world.register(2, 0, [("cyd", 3333), ("stranger", 6667)], "dev")
    world.register(3, 1, [("dev", 7000), ("bob", 3000)], "dev")
    world.edge(3, 1, 2000)
    world.edge(3, 2, 1111, relation=0)
    world.register(4, 2, [("dev", 10_000)], "dev")
    world.edge(4, 3, 3000, relation=2)
    world.edge(4, 1, 500, relation=2)
    world.put("platform_assets", chain_id=CHAIN, asset_id=4, name="Guide", language="en")
    for version, amount, day in ((1, 2 * 10**18 + 1, 0), (2, 3 * 10**18, 10)):
        world.put(
            "platform_tasks",
            task_id="task-1",
            version=version,
            title="Signs",
            data_type="image",
            chain_id=CHAIN,
            dataset_id=1,
            reward_kind="dual",
            base_points=20,
            bonus_pct=5,
            reward_token=TPART,
            **pair("reward_amount", amount),
            valid_from=START + timedelta(days=day),
        )
    for number, (who, day, status) in enumerate(
        (("ann", 1, "approved"), ("ann", 9, "approved"), ("bob", 11, "approved"), ("bob", 12, "rejected"))
    ):
        first = {
            "submission_id": f"s-{number}",
            "task_id": "task-1",
            "item_id": f"i-{number}",
            "annotator_id": who,
            "label": 1,
            "submitted_at": START + timedelta(days=day),
            "updated_at": START + timedelta(days=day),
        }
        decided = START + timedelta(days=13)
        world.put("platform_submissions", **first, status="submitted")
        world.put("platform_submissions", **{**first, "updated_at": decided}, status=status, decided_at=decided)
    credit = {"client_id": "client", "chain_id": CHAIN, "token": TUSD, "at": START}
    world.put("platform_credits", entry_id="c-1", kind="topup", **credit, **pair("amount", 9_000_000))
    world.put("platform_credits", entry_id="c-2", kind="coupon", **credit, **pair("amount", 2_000_000))
    world.put(
        "platform_credits",
        entry_id="c-3",
        kind="usage",
        **credit,
        **pair("amount", 5_000_003),
        batch_root=digest("prepaid"),
    )
    world.put("platform_credits", entry_id="c-4", kind="refund", **credit, **pair("amount", 1_000_000))
    for day in range(3):
        for number in range(4):
            world.put(
                "gateway_calls",
                call_id=f"k-{day}-{number}",
                rev=1,
                root_call_id=f"k-{day}-{number}",
                client_id=("client", "other")[number % 2],
                origin="web3",
                chain_id=CHAIN,
                asset_id=4,
                asset_name="Guide",
                at=START + timedelta(days=day, hours=number),
                latency_us=(0, 1_003, 1_004, 90_000_000)[number],
                status=("ok", "SUCCEED", "timeout", "PENDING")[number],
                prompt_tokens=100,
                completion_tokens=number,
                batch_root=digest("direct") if number < 2 else None,
                source="gateway",
            )
    world.mine(hours=30)
    world.settle(4, 1_000_003, root="direct")
    world.mine(hours=24)
    world.settle(4, 5_000_003, payer="operator", root="prepaid")
    world.settle(1, 10**18 + 7, token=TAI)
    world.set_terms(3, [("bob", 9999), ("dev", 1)])
    world.settle(3, 999, fee_bps=0)
    world.mine(hours=24 * 30)
    world.claim("ann", 1000)
    world.push("2026-08-usage", "bob", 777)
    world.transaction()
    world.transfer(TREASURY, address("ann"), 2 * 10**18 + 1, TPART)
    world.transaction()
    world.transfer(TREASURY, STAKING, 10**18, TAI)
    world.emit("reference_slashed", STAKING, user=address("cyd"), **pair("amount", 5))
    world.put(
        "platform_payout_legs",
        run_id="2026-08-usage",
        leg_no=1,
        party_id="bob",
        wallet=address("bob"),
        chain_id=CHAIN,
        token=TUSD,
        **pair("amount", 777),
        kind="usage",
        period="2026-08",
        instructed_at=world.at,
        due_at=world.at,
        state="sent",
        idempotency_key="x",
    )
    world.finalize()
    return world
