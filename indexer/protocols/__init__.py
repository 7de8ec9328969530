"""What is indexed: one folder per protocol, with its deployments and ABIs. The ABI is the tables.

``NAME/protocol.toml``::

    title = "..."
    [contracts.asset_registry]                      # the key is the role where `role` is left out
    abi = "AssetRegistry.json"                      # in this folder; its events are the protocol's tables
    also = "erc20"                                  # standards this contract keeps besides (one name or a list)
    symbol = "TUSD"                                 # with name and decimals: it is a token, and raw.tokens says so
    implementations = { "0x..." = "RegistryV2.json" }   # of an upgradeable proxy, by address
    [contracts.asset_registry.deployments.devnet]   # a chain's name or its id; or a list of such tables
    address = "0x..."
    start = 0

``scope = "any"`` marks a public standard: it applies at addresses no deployment covers. ``scope = "every"`` marks one
that also applies at covered addresses (a proxy's Upgraded log).
"""

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal

from guelta.errors import BadSetting
from indexer import abi
from indexer.abi import Abi

Scope = Literal["any", "every"]

_PROTOCOL_KEYS = frozenset({"title", "contracts"})
_CONTRACT_KEYS = frozenset(
    {"abi", "scope", "role", "also", "symbol", "name", "decimals", "implementations", "deployments"}
)
_DEPLOYMENT_KEYS = frozenset({"address", "start"})
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(frozen=True, slots=True)
class Deployment:
    chain: str  # a chain's name, or its id as text
    address: bytes
    start: int


@dataclass(frozen=True, slots=True)
class Contract:
    protocol: str
    key: str
    role: str
    abi: Abi
    scope: Scope | None
    also: tuple[str, ...]
    deployments: tuple[Deployment, ...]
    implementations: Mapping[bytes, Abi]
    symbol: str | None = None
    name: str | None = None
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Protocol:
    name: str
    title: str
    contracts: tuple[Contract, ...]


@cache
def shipped() -> tuple[Protocol, ...]:
    """The protocols of this package."""
    return load(resources.files(__name__))


def load(root: Traversable) -> tuple[Protocol, ...]:
    """Every folder of ``root`` that holds a ``protocol.toml``, by name.

    Raises:
        BadSetting: an unknown key or a value that means nothing, with the file and what is expected there.
        BadAbi: an ABI that does not parse.
    """
    folders = sorted((entry for entry in root.iterdir() if entry.is_dir()), key=lambda entry: entry.name)
    found = tuple(_protocol(folder) for folder in folders if (folder / "protocol.toml").is_file())
    standards = {p.name for p in found if any(c.scope for c in p.contracts)}
    for contract in (c for p in found for c in p.contracts):
        if unknown := set(contract.also) - standards:
            raise BadSetting(
                f"{contract.protocol}/protocol.toml, contracts.{contract.key}: expected also to name standards among "
                f"{', '.join(sorted(standards))}, found {', '.join(sorted(unknown))}"
            )
    return found


def _protocol(folder: Traversable) -> Protocol:
    where = f"{folder.name}/protocol.toml"
    try:
        document = tomllib.loads((folder / "protocol.toml").read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{where}: expected TOML, but it does not parse ({error}); correct that line") from error
    _known(document, _PROTOCOL_KEYS, where)
    contracts = document.get("contracts", {})
    if not _NAME.fullmatch(folder.name):
        raise BadSetting(f"{where}: a protocol folder is named in lower case and underscores; rename {folder.name!r}")
    if not isinstance(document.get("title"), str) or not isinstance(contracts, dict) or not contracts:
        raise BadSetting(f"{where}: expected a title and at least one [contracts.ROLE]; add them")
    return Protocol(
        folder.name, document["title"], tuple(_contract(folder, key, table) for key, table in contracts.items())
    )


def _contract(folder: Traversable, key: str, table: Any) -> Contract:
    where = f"{folder.name}/protocol.toml, contracts.{key}"
    if not isinstance(table, dict):
        raise BadSetting(f"{where}: expected a table with an abi, found {table!r}")
    _known(table, _CONTRACT_KEYS, where)
    also = table.get("also", [])
    scope = table.get("scope")
    if scope not in (None, "any", "every"):
        raise BadSetting(f'{where}: expected scope = "any" or "every", found {scope!r}')
    if scope and "deployments" in table:
        raise BadSetting(f"{where}: a standard with a scope has no deployments; remove one of the two")
    for name, kind in (("role", str), ("symbol", str), ("name", str), ("decimals", int)):
        if name in table and (not isinstance(table[name], kind) or isinstance(table[name], bool)):
            raise BadSetting(f"{where}: expected {name} to be of type {kind.__name__}, found {table[name]!r}")
    return Contract(
        folder.name,
        key,
        table.get("role", key),
        _abi(folder, table.get("abi"), where),
        scope,
        (also,) if isinstance(also, str) else tuple(also),
        tuple(_deployments(table.get("deployments", {}), where)),
        {_address(a, where): _abi(folder, file, where) for a, file in table.get("implementations", {}).items()},
        table.get("symbol"),
        table.get("name"),
        table.get("decimals"),
    )


def _deployments(tables: Any, where: str) -> list[Deployment]:
    if not isinstance(tables, dict):
        raise BadSetting(f"{where}.deployments: expected one table per chain, found {tables!r}")
    found = []
    for chain, value in tables.items():
        for table in value if isinstance(value, list) else [value]:
            here = f"{where}.deployments.{chain}"
            if not isinstance(table, dict):
                raise BadSetting(f"{here}: expected address and start, found {table!r}")
            _known(table, _DEPLOYMENT_KEYS, here)
            start = table.get("start", 0)
            if not isinstance(start, int) or isinstance(start, bool) or start < 0:
                raise BadSetting(f"{here}: expected start to be a block number, found {start!r}")
            found.append(Deployment(chain, _address(table.get("address"), here), start))
    return found


def _abi(folder: Traversable, file: Any, where: str) -> Abi:
    if not isinstance(file, str) or not (folder / file).is_file():
        raise BadSetting(f"{where}: expected abi to name a JSON file in {folder.name}/, found {file!r}")
    return abi.parse((folder / file).read_text("utf-8"), f"{folder.name}/{file}")


def _address(text: Any, where: str) -> bytes:
    if not isinstance(text, str) or not _ADDRESS.fullmatch(text):
        raise BadSetting(f"{where}: expected an address of 0x and 40 hex digits, found {text!r}")
    return bytes.fromhex(text[2:])


def _known(table: Mapping[str, Any], keys: Collection[str], where: str) -> None:
    if unknown := sorted(set(table) - set(keys)):
        raise BadSetting(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(keys))}")
