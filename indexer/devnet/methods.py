"""JSON-RPC over a chain in memory: a request's bytes in, an answer's bytes out.

Error codes and texts are those of the execution-apis tests, because clients act on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import eth_abi
import msgspec

from guelta.errors import GueltaError
from indexer import proof
from indexer.devnet.blocks import Block, Source, matching
from indexer.devnet.chain import Devnet
from indexer.devnet.evm import Reverted

BeyondHead = Literal["error", "empty"]
encode = msgspec.json.encode


class RpcError(Exception):
    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.body = {"code": code, "message": message} | ({} if data is None else {"data": data})


class Handler:
    """Answers requests about one chain.

    Args:
        source: the embedded chain or a recording; a recording knows only the reading methods.
        beyond_head: what eth_getLogs says to a range above the head: an error, or ``[]`` as many providers do.
    """

    def __init__(self, source: Source, beyond_head: BeyondHead = "error") -> None:
        self.source = source
        self.beyond_head = beyond_head

    def respond(self, body: bytes) -> bytes:
        """Answer one request or a batch; notifications get no answer."""
        try:
            request = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _failure(None, RpcError(-32700, "parse error"))
        if not isinstance(request, list):
            return self.answer(request) or b""
        if not request:
            return _failure(None, RpcError(-32600, "empty batch"))
        return b"[" + b",".join([reply for one in request if (reply := self.answer(one))]) + b"]"

    def answer(self, request: Any) -> bytes | None:
        """One request as a JSON value; None for a notification."""
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _failure(None, RpcError(-32600, "invalid request"))
        if "id" not in request:
            return None
        try:
            result = self.call(request["method"], request.get("params") or [])
        except RpcError as error:
            return _failure(request["id"], error)
        return b'{"jsonrpc":"2.0","id":' + encode(request["id"]) + b',"result":' + result + b"}"

    def call(self, method: str, params: Sequence[Any]) -> bytes:
        """The JSON of a result. Raises RpcError."""
        reading = _READING.get(method)
        with self.source.lock:
            if method == "eth_getLogs":
                return self._logs(_at(params, 0))
            if reading is not None:
                return reading(self.source, params)
            if self.source.recorded is not None and method == "guelta_recorded":
                return encode(self.source.recorded)
            running = _RUNNING.get(method)
            if running is None or not isinstance(self.source, Devnet) or not self.source.live:
                raise RpcError(-32601, f"the method {method} does not exist/is not available")
            try:
                return running(self.source, params)
            except Reverted as error:
                raise RpcError(3, f"execution reverted{_reason(error.output)}", "0x" + error.output.hex()) from None
            except GueltaError as error:
                raise RpcError(-32000, str(error)) from None

    def _logs(self, query: Any) -> bytes:
        if not isinstance(query, dict):
            raise RpcError(-32602, "invalid argument 0: a filter is an object")
        if "blockHash" in query:
            if "fromBlock" in query or "toBlock" in query:
                raise RpcError(
                    -32602,
                    "invalid argument 0: cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other",
                )
            block = self.source.by_hash(query["blockHash"])
            if block is None:
                raise RpcError(-32000, "unknown block")
            blocks = [block]
        else:
            first = _number(self.source, query.get("fromBlock") or "latest")
            last = _number(self.source, query.get("toBlock") or "latest")
            if first > last:
                raise RpcError(-32602, "invalid block range params")
            if last > self.source.head.number and self.beyond_head == "error":
                raise RpcError(-32602, "block range extends beyond current head block")
            blocks = list(self.source.blocks(first, last))
        for block in blocks:
            if block.receipts is None:  # an empty answer would say that there are none
                raise RpcError(-32000, f"the logs of block {block.number} were not recorded")
        addresses, topics = wanted(query)
        if addresses is None and not topics:
            return b"[" + b",".join([block.joined for block in blocks if block.joined]) + b"]"
        logs = (log for block in blocks for log in block.logs)
        return b"[" + b",".join(matching(logs, addresses, topics)) + b"]"


def wanted(query: dict[str, Any]) -> tuple[frozenset[str] | None, list[frozenset[str] | None]]:
    """A filter's addresses and topics; None, also ``[]``, lets everything pass."""
    return _allowed(query.get("address")), [_allowed(topic) for topic in query.get("topics") or ()]


def _allowed(value: str | Sequence[str] | None) -> frozenset[str] | None:
    if not value:
        return None
    return frozenset(item.lower() for item in ([value] if isinstance(value, str) else value))


def _failure(request_id: Any, error: RpcError) -> bytes:
    return encode({"jsonrpc": "2.0", "id": request_id, "error": error.body})


def _at(params: Sequence[Any], index: int, default: Any = None) -> Any:
    if isinstance(params, list) and index < len(params):
        return params[index]
    if default is None:
        raise RpcError(-32602, f"missing value for required argument {index}")
    return default


def _number(source: Source, tag: Any) -> int:
    match tag:
        case "latest" | "pending":
            return source.head.number
        case "safe":
            return source.safe.number
        case "finalized":
            return source.finalized.number
        case "earliest":
            return source.recorded[0] if source.recorded else 0
    return _quantity(tag)


def _quantity(text: Any) -> int:
    if not isinstance(text, str) or not text.startswith("0x"):
        raise RpcError(-32602, "invalid argument 0: hex string without 0x prefix")
    try:
        return int(text, 16)
    except ValueError:
        raise RpcError(-32602, "invalid argument 0: invalid hex string") from None


def _find(source: Source, key: Any) -> Block | None:
    """A block by number, tag, hash, or the object of EIP-1898."""
    if isinstance(key, dict):
        key = key.get("blockHash") or key.get("blockNumber")
    if isinstance(key, str) and len(key) == 66:
        return source.by_hash(key)
    return source.block(_number(source, key))


def _block_json(block: Block | None, full: bool) -> bytes:
    if block is None:
        return b"null"
    return encode(block.body | {"transactions": block.transactions if full else block.transaction_hashes})


def _block_by_number(source: Source, params: Sequence[Any]) -> bytes:
    return _block_json(source.block(_number(source, _at(params, 0))), bool(_at(params, 1, False)))


def _block_by_hash(source: Source, params: Sequence[Any]) -> bytes:
    return _block_json(source.by_hash(_at(params, 0)), bool(_at(params, 1, False)))


def _block_receipts(source: Source, params: Sequence[Any]) -> bytes:
    block = _find(source, _at(params, 0))
    return encode(None if block is None else block.receipts)


def _transaction(source: Source, params: Sequence[Any]) -> bytes:
    found = source.transaction(_at(params, 0))
    if found is None:
        return b"null"
    item = found[0].transactions[found[1]]
    return encode(None if isinstance(item, str) else item)  # recorded by its hash alone


def _receipt(source: Source, params: Sequence[Any]) -> bytes:
    tx_hash = _at(params, 0).lower()
    found = source.transaction(tx_hash)
    receipts = () if found is None else found[0].receipts or ()
    return encode(next((r for r in receipts if r["transactionHash"].lower() == tx_hash), None))


def _raw_header(source: Source, params: Sequence[Any]) -> bytes:
    block = _find(source, _at(params, 0))
    encoded = None if block is None else proof.header_rlp(block.body)
    if encoded is None:
        raise RpcError(-32000, "header not found")
    return encode("0x" + encoded.hex())


def _raw_receipts(source: Source, params: Sequence[Any]) -> bytes:
    block = _find(source, _at(params, 0))
    if block is None or block.receipts is None:
        raise RpcError(-32000, "receipts not found")
    return encode(["0x" + proof.encode_receipt(receipt).hex() for receipt in block.receipts])


def _latest(chain: Devnet, params: Sequence[Any], index: int) -> None:
    if _find(chain, _at(params, index, "latest")) is not chain.head:
        raise RpcError(-32000, "historical state is not kept")


def _message(params: Sequence[Any]) -> tuple[str | None, str | None, bytes, int]:
    call = _at(params, 0)
    data = call.get("input") or call.get("data") or "0x"
    return call.get("from"), call.get("to"), bytes.fromhex(data[2:]), _quantity(call.get("value") or "0x0")


def _call(chain: Devnet, params: Sequence[Any]) -> bytes:
    _latest(chain, params, 1)
    sender, to, data, _ = _message(params)
    return encode("0x" + chain.call(to or "", data, sender).hex())


def _estimate(chain: Devnet, params: Sequence[Any]) -> bytes:
    sender, to, data, value = _message(params)
    return encode(hex(chain.estimate_gas(sender or "0x" + "00" * 20, to, data, value)))


def _send(chain: Devnet, params: Sequence[Any]) -> bytes:
    sender, to, data, value = _message(params)
    tx_hash = chain.submit(sender or "", to, data, value)
    chain.seal()  # at once: nobody else would
    return encode(tx_hash)


def _account(read: Callable[[Devnet, str], str]) -> Callable[[Devnet, Sequence[Any]], bytes]:
    def method(chain: Devnet, params: Sequence[Any]) -> bytes:
        _latest(chain, params, 1)
        return encode(read(chain, _at(params, 0)))

    return method


def _mine(chain: Devnet, params: Sequence[Any]) -> bytes:
    at = _at(params, 0, 0)
    chain.seal((_quantity(at) if isinstance(at, str) else at) or None)
    return encode("0x0")


def _revert(chain: Devnet, params: Sequence[Any]) -> bytes:
    back = chain.head.number - _quantity(_at(params, 0))
    if back > 0:
        chain.reorg(back)
    return encode(back >= 0)


def _reorg(chain: Devnet, params: Sequence[Any]) -> bytes:
    mode = _at(params, 1, "same")
    if mode not in ("same", "drop", "reverse"):
        raise RpcError(-32602, f"invalid argument 1: mode is same, drop or reverse, found {mode}")
    depth = _at(params, 0)
    # The salt must differ from that of the blocks replaced, also when the same depth is reorganised twice.
    salt = bytes.fromhex(chain.head.hash[2:])
    return encode(chain.fork(_quantity(depth) if isinstance(depth, str) else depth, mode, salt).hash)


def _reason(output: bytes) -> str:
    if output[:4] == bytes.fromhex("08c379a0"):  # Error(string)
        return f": {eth_abi.decode(['string'], output[4:])[0]}"
    if output == bytes.fromhex("4e487b71") + (1).to_bytes(32, "big"):  # Panic(uint256) of an assertion
        return ": assert(false)"
    return ""


_READING: dict[str, Callable[[Source, Sequence[Any]], bytes]] = {
    "web3_clientVersion": lambda source, _: encode(source.version),
    "net_version": lambda source, _: encode(str(source.chain_id)),
    "eth_chainId": lambda source, _: encode(hex(source.chain_id)),
    "eth_blockNumber": lambda source, _: encode(hex(source.head.number)),
    "eth_syncing": lambda _, __: b"false",
    "eth_getBlockByNumber": _block_by_number,
    "eth_getBlockByHash": _block_by_hash,
    "eth_getBlockReceipts": _block_receipts,
    "eth_getTransactionByHash": _transaction,
    "eth_getTransactionReceipt": _receipt,
    "debug_getRawHeader": _raw_header,
    "debug_getRawReceipts": _raw_receipts,
}
_RUNNING: dict[str, Callable[[Devnet, Sequence[Any]], bytes]] = {
    "eth_call": _call,
    "eth_estimateGas": _estimate,
    "eth_gasPrice": lambda _, __: encode("0x0"),
    "eth_getBalance": _account(lambda chain, account: hex(chain.balance(account))),
    "eth_getCode": _account(lambda chain, account: "0x" + chain.code(account).hex()),
    "eth_getTransactionCount": _account(lambda chain, account: hex(chain.nonce(account))),
    "eth_sendTransaction": _send,
    "evm_mine": _mine,
    "evm_snapshot": lambda chain, _: encode(hex(chain.head.number)),
    "evm_revert": _revert,
    "guelta_reorg": _reorg,
}
