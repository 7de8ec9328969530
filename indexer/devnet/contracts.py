"""The reference contracts from their committed artifacts: code, calls and results, without web3."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import eth_abi

from guelta.errors import BadSetting
from indexer.proof import keccak

if TYPE_CHECKING:
    from indexer.devnet.chain import Devnet

ARTIFACTS = Path(__file__).parent.parent / "protocols/reference/contracts/artifacts.json"


class Signature(NamedTuple):
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Contract(NamedTuple):
    """A deployed contract: ``encode`` for a transaction's data, ``send`` to queue it, ``read`` for a view."""

    chain: Devnet
    name: str
    address: str

    def encode(self, function: str, *args: Any) -> bytes:
        signature = functions(self.name).get(function)
        if signature is None:
            names = ", ".join(sorted(functions(self.name)))
            raise BadSetting(f"{self.name} has no function {function!r}; it has {names}")
        arguments: bytes = eth_abi.encode(signature.inputs, args)
        return signature.selector + arguments

    def send(self, sender: str, function: str, *args: Any) -> str:
        return self.chain.submit(sender, self.address, self.encode(function, *args))

    def read(self, function: str, *args: Any) -> Any:
        """The value of a view at the latest block; a tuple where there are several."""
        answer = self.chain.call(self.address, self.encode(function, *args))
        values = eth_abi.decode(functions(self.name)[function].outputs, answer)
        return values[0] if len(values) == 1 else values


def creation_code(name: str, *args: Any) -> bytes:
    artifact = _artifact(name)
    inputs = [_type(item) for entry in artifact["abi"] if entry["type"] == "constructor" for item in entry["inputs"]]
    arguments: bytes = eth_abi.encode(inputs, args)
    return bytes.fromhex(artifact["bytecode"][2:]) + arguments


@cache
def functions(name: str) -> dict[str, Signature]:
    found = {}
    for entry in _artifact(name)["abi"]:
        if entry["type"] == "function":
            inputs = tuple(_type(item) for item in entry["inputs"])
            selector = keccak(f"{entry['name']}({','.join(inputs)})".encode())[:4]
            found[entry["name"]] = Signature(selector, inputs, tuple(_type(item) for item in entry["outputs"]))
    return found


@cache
def events(name: str) -> dict[str, str]:
    """topic0 of every event, by name."""
    return {
        entry["name"]: "0x" + keccak(f"{entry['name']}({','.join(map(_type, entry['inputs']))})".encode()).hex()
        for entry in _artifact(name)["abi"]
        if entry["type"] == "event"
    }


def _type(entry: dict[str, Any]) -> str:
    return str(entry["type"])  # no contract of ours takes a struct


def _artifact(name: str) -> dict[str, Any]:
    contracts = _artifacts()
    if name not in contracts:
        raise BadSetting(f"no reference contract {name!r}; there are {', '.join(sorted(contracts))}")
    found: dict[str, Any] = contracts[name]
    return found


@cache
def _artifacts() -> dict[str, Any]:
    contracts: dict[str, Any] = json.loads(ARTIFACTS.read_text())["contracts"]
    return contracts
