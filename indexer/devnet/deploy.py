"""The reference economy's contracts on a fresh devnet, at addresses known in advance."""

from __future__ import annotations

from indexer.devnet.chain import Devnet
from indexer.devnet.contracts import Contract
from indexer.proof import keccak

DEPLOYER = "0x" + keccak(b"guelta devnet deployer")[12:].hex()


def deploy_reference(chain: Devnet, treasury: str, fee_bps: int, operator: str) -> dict[str, Contract]:
    """Deploy everything in one block, owned by ``operator``; keys are the contract keys of protocol.toml.

    An address follows from the deployer and the order alone, so protocol.toml can name it before the chain exists.
    The operator mints tokens, sets the vault's fee and pays batches, adds rewards and slashes.
    """
    placed = {
        "payment_token_tusd": _new(chain, "PaymentToken", "Test Dollar", "TUSD", 6),
        "payment_token_tai": _new(chain, "PaymentToken", "Test AI Token", "TAI", 18),
        "partner_token": _new(chain, "PaymentToken", "Test Partner Token", "TPART", 18),
        "asset_registry": _new(chain, "AssetRegistry"),
    }
    registry, staked = placed["asset_registry"].address, placed["payment_token_tai"].address
    placed["earnings_vault"] = _new(chain, "EarningsVault", registry, treasury, fee_bps)
    placed["staking"] = _new(chain, "Staking", staked, treasury)
    for key, contract in placed.items():
        if key != "asset_registry":  # belongs to nobody: each asset has its own owner
            contract.send(DEPLOYER, "transferOwnership", operator)
    chain.seal()
    return placed


def _new(chain: Devnet, name: str, *args: str | int) -> Contract:
    return chain.contract(name, chain.deploy(name, *args, sender=DEPLOYER))
