"""What a small economy does, written straight into raw tables as the indexer and the sources would leave it."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pyarrow as pa

import quality
from guelta.lake import Lake
from guelta.money import DECIMAL_LIMIT, to_raw
from indexer import protocols, sources, tables
from indexer.protocols.tables import event_routes, event_tables
from models.build import Built, build
from quality import rules

CHAIN = 1337
START = datetime(2026, 8, 1, tzinfo=UTC)


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


class World:
    """Emits logs in order, as the contracts would, and keeps what it emitted."""

    address, digest, pair = staticmethod(address), staticmethod(digest), staticmethod(pair)
    VAULT, TREASURY, TUSD, TAI, TPART, ZERO = VAULT, TREASURY, TUSD, TAI, TPART, ZERO

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        events = event_tables(event_routes(protocols.shipped()))
        offchain = [contract.spec for contract in sources.tables.ALL]
        self.specs = {table.name: table for table in (*tables.EVERY, *offchain, *events.values())}
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
        if table == "gateway_calls":
            columns = {"file": "calls.jsonl", "line": len(self.rows.get("raw.gateway_calls", [])) + 1} | columns
        else:
            columns.setdefault("updated_at", self.at)
        day = columns.get("updated_at") or columns["at"]
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
