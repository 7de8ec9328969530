"""The raw tables of a chain: what each row is, and which columns say where it came from."""

import pyarrow as pa

from guelta.lake.schema import (
    Address,
    Amount,
    Bool,
    Bytes,
    Day,
    Hash,
    Int32,
    Int64,
    TableSpec,
    Text,
    Timestamp,
    spec,
)

_CHAIN_MONTH = ("chain_id", "month")
COORDINATES: dict[str, pa.DataType] = {  # where a log stands
    "chain_id": Int64,
    "block_number": Int64,
    "block_hash": Hash,
    "block_time": Timestamp,
    "day": Day,
    "tx_hash": Hash,
    "tx_index": Int32,
    "log_index": Int32,
    "address": Address,
}

BLOCKS = spec(
    "raw.blocks",
    {
        "chain_id": Int64,
        "block_number": Int64,
        "block_hash": Hash,
        "parent_hash": Hash,
        "block_time": Timestamp,
        "day": Day,
        "logs_bloom": Bytes,
        "receipts_root": Hash,
        "header_rlp": Bytes,  # the hashed fields; null where the header has fields no rule of ours covers
        "tx_count": Int32,
        "log_count": Int32,  # null where the receipts are missing
        "proof_level": Text,  # P0, P1, P2, P2c, P3 (21-chain §3.1)
        "header_ok": Bool,  # keccak of the header is its hash; null: not checked
        "root_ok": Bool,  # the receipts trie has the header's root
        "bloom_ok": Bool,  # the logs give exactly the header's bloom
        "complete": Bool,  # false: no receipts were served; the block has no rows elsewhere
    },
    key=("chain_id", "block_hash"),
    required=("chain_id", "block_number", "block_hash", "parent_hash", "block_time", "day", "proof_level", "complete"),
    partition=_CHAIN_MONTH,
    sort=("block_number",),
)

LOGS = spec(
    "raw.logs",
    {
        **COORDINATES,
        "topic0": Hash,
        "topic1": Hash,
        "topic2": Hash,
        "topic3": Hash,
        "data": Bytes,
    },
    key=("chain_id", "block_hash", "log_index"),
    required=(*COORDINATES, "data"),
    partition=_CHAIN_MONTH,
    sort=("block_number", "log_index"),
)

TRANSACTIONS = spec(
    "raw.transactions",
    {
        "chain_id": Int64,
        "block_number": Int64,
        "block_hash": Hash,
        "block_time": Timestamp,
        "day": Day,
        "tx_hash": Hash,
        "tx_index": Int32,
        "from_address": Address,
        "to_address": Address,  # null: a contract was created
        "value": Amount,  # null: only the receipt was read
        "value_raw": Bytes,
        "status": Int32,  # 1 done, 0 failed; null before Byzantium
        "gas_used": Int64,
        "effective_gas_price": Amount,
        "effective_gas_price_raw": Bytes,
    },
    key=("chain_id", "block_hash", "tx_index"),
    required=("chain_id", "block_number", "block_hash", "block_time", "day", "tx_hash", "tx_index", "from_address"),
    partition=_CHAIN_MONTH,
    sort=("block_number", "tx_index"),
)

CHAINS = spec(
    "raw.chains",
    {
        "chain_id": Int64,
        "name": Text,
        "caip2": Text,
        "native_symbol": Text,
        "native_decimals": Int32,
        "finality_kind": Text,
        "source": Text,  # live, recorded, devnet
        "genesis_hash": Hash,  # block 0, or the lowest block the endpoint served
        "proof_ceiling": Text,
        "waivers": Text,  # JSON list
    },
    key=("chain_id",),
    required=("chain_id", "name", "caip2", "native_symbol", "native_decimals", "finality_kind", "source"),
)

CONTRACTS = spec(
    "raw.contracts",
    {
        "chain_id": Int64,
        "address": Address,
        "from_block": Int64,
        "from_log": Int32,
        "to_block": Int64,
        "to_log": Int32,
        "protocol": Text,
        "role": Text,
        "implementation": Address,
        "abi_digest": Text,
        "source": Text,
    },
    key=("chain_id", "address", "from_block", "from_log"),
)

QUARANTINE = spec(
    "raw.quarantine",
    {
        "chain_id": Int64,
        "block_number": Int64,
        "block_hash": Hash,
        "day": Day,
        "log_index": Int32,
        "table_name": Text,
        "reason": Text,  # topic_count, short, pointer, length, padding, utf8, no_abi, ambiguous_abi
        "error": Text,
        "abi_digest": Text,
    },
    key=("chain_id", "block_hash", "log_index", "table_name"),
    required=("chain_id", "block_number", "block_hash", "day", "log_index", "table_name", "reason"),
    partition=_CHAIN_MONTH,
    sort=("block_number", "log_index"),
)

AUDIT_RANGES = spec(
    "raw.audit_ranges",
    {
        "chain_id": Int64,
        "stream": Text,
        "from_block": Int64,
        "to_block": Int64,
        "checked_at": Timestamp,
        "day": Day,  # of checked_at
        "proof_level": Text,  # the lowest of its blocks
        "header_ok": Bool,
        "links_ok": Bool,
        "bloom_ok": Bool,
        "root_checked": Int32,
        "root_ok": Int32,
        "corroborated_by": Int32,
        "anchor_number": Int64,
        "anchor_hash": Hash,
        "anchor": Text,  # self, finalized
        "endpoints": Text,  # hosts only
        "waivers": Text,  # JSON list of the checks waived in this range
        "block_count": Int32,
        "incomplete": Text,  # JSON list of block numbers without receipts
        "log_count": Int64,
        "logs_digest": Text,
        "filter_digest": Text,
        "filter": Text,  # JSON; empty where nothing was filtered
    },
    key=("chain_id", "stream", "from_block", "to_block", "checked_at"),
    partition=_CHAIN_MONTH,
    sort=("from_block", "checked_at"),
)

HEADS = spec(
    "raw.heads",
    {
        "chain_id": Int64,
        "stream": Text,
        "to_block": Int64,
        "to_hash": Hash,
        "finalized_block": Int64,  # never falls; readers of money stay at or below it
        "finalized_hash": Hash,
        "updated_at": Timestamp,
    },
    key=("chain_id", "stream"),
)

TOKENS = spec(
    "raw.tokens",
    {
        "chain_id": Int64,
        "address": Address,
        "symbol": Text,
        "name": Text,
        "decimals": Int32,
        "standard": Text,  # erc20, erc721, erc1155
        "role": Text,  # payment_token, partner_token
    },
    key=("chain_id", "address"),
)

EVERY: tuple[TableSpec, ...] = (
    BLOCKS,
    LOGS,
    TRANSACTIONS,
    CHAINS,
    CONTRACTS,
    QUARANTINE,
    AUDIT_RANGES,
    HEADS,
    TOKENS,
)
