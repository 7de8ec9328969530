"""Which tokens a chain has and how many decimals they count: from protocol folders, else from the token itself."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import eth_abi
import pyarrow as pa

from guelta.lake import Lake, eq
from indexer import tables
from indexer.protocols import Protocol

Call = Callable[[bytes, bytes], bytes]  # (to, data) -> answer; empty where the call reverts

# A transfer at an address makes it a token of that standard; the first that finds it says so.
_TRANSFERS = (
    ("erc20", "raw.erc20_transfer"),
    ("erc721", "raw.erc721_transfer"),
    ("erc1155", "raw.erc1155_transfer_single"),
    ("erc1155", "raw.erc1155_transfer_batch"),
)
_NAME, _SYMBOL, _DECIMALS = (bytes.fromhex(selector) for selector in ("06fdde03", "95d89b41", "313ce567"))


def rows(
    lake: Lake, protocols: Sequence[Protocol], chain_id: int, names: Collection[str], call: Call | None
) -> pa.Table:
    """The rows of raw.tokens of one chain: every described token, and every address that moved tokens.

    What a token once answered is kept; nothing is asked where ``call`` is None, and symbol and decimals stay null.
    """
    held = {row["address"]: row for row in lake.table(tables.TOKENS.name).read(eq("chain_id", chain_id)).to_pylist()}
    found = described(protocols, chain_id, names)
    for standard, table in _TRANSFERS:
        for address in _emitters(lake, table, chain_id):
            if address in found:
                continue
            before = held.get(address, {})
            known: Mapping[str, Any] = {key: before.get(key) for key in ("symbol", "name", "decimals")}
            if call is not None and not any(value is not None for value in known.values()):
                known = read(call, address)
            found[address] = {"chain_id": chain_id, "address": address, **known, "standard": standard, "role": None}
    return pa.Table.from_pylist([row for _, row in sorted(found.items())], schema=tables.TOKENS.schema)


def described(protocols: Sequence[Protocol], chain_id: int, names: Collection[str]) -> dict[bytes, dict[str, Any]]:
    """The tokens that protocol folders describe, by address."""
    chain = {str(chain_id), *names}
    return {
        deployment.address: {
            "chain_id": chain_id,
            "address": deployment.address,
            "symbol": contract.symbol,
            "name": contract.name,
            "decimals": contract.decimals,
            "standard": contract.also[0] if contract.also else None,
            "role": contract.role,
        }
        for protocol in protocols
        for contract in protocol.contracts
        if contract.symbol is not None
        for deployment in contract.deployments
        if deployment.chain in chain
    }


def read(call: Call, address: bytes) -> Mapping[str, Any]:
    """Symbol, name and decimals as the token says them; null where it answers with nothing that can be read."""
    return {
        "symbol": _text(call(address, _SYMBOL)),
        "name": _text(call(address, _NAME)),
        "decimals": _decimals(call(address, _DECIMALS)),
    }


def _emitters(lake: Lake, table: str, chain_id: int) -> list[bytes]:
    if not lake.exists(table):
        return []
    with lake.duck([table]) as con:
        found = con.sql(f"select distinct address from {table} where chain_id = {chain_id}").fetchall()
    return [address for (address,) in found]


def _text(answer: bytes) -> str | None:
    """A string, or a bytes32 as early tokens answer."""
    try:
        if len(answer) == 32:
            return answer.rstrip(b"\0").decode() or None
        (text,) = eth_abi.decode(["string"], answer)
    except Exception:  # noqa: BLE001  # a token may answer anything; eth_abi raises classes of its own and others
        return None
    return str(text).replace("\0", "") or None


def _decimals(answer: bytes) -> int | None:
    value = int.from_bytes(answer, "big") if len(answer) == 32 else 256
    return value if value < 256 else None
