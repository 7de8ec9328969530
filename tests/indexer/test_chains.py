"""Chains are data: each id once, every waiver with its reason, nothing misspelt."""

import pytest

from guelta.errors import BadSetting
from indexer import chains

ONE = '[{name}]\nid = {id}\ntitle = "x"\nnative = {{ symbol = "X", decimals = 18 }}\nfinality = {{ kind = "tag" }}\nsource = "x"\n'


def test_the_chains_the_house_names() -> None:
    ids = {name: chain.id for name, chain in chains.chains().items()}
    assert ids == {
        "ethereum": 1, "bnb": 56, "base": 8453, "base-goerli": 84531, "optimism": 10, "arbitrum": 42161, "polygon": 137,
        "story": 1514, "sahara": 3132023, "sahara-testnet": 313313, "cronos": 25, "stable": 988, "stable-testnet": 2201,
        "tempo": 4217, "tempo-moderato": 42431, "bittensor-testnet": 945, "hyperliquid": 999, "avalanche": 43114,
        "devnet": 1337, "anvil": 31337,
    }  # fmt: skip


def test_no_chain_of_cosmos_is_ever_called_proven() -> None:
    ceilings = {name: chains.chain(name).proof_ceiling() for name in ("sahara", "sahara-testnet", "cronos", "stable")}
    assert ceilings == {"sahara": "P1", "sahara-testnet": "P1", "cronos": "P1", "stable": "P2c"}
    assert all(waiver.reason and waiver.source for chain in chains.chains().values() for waiver in chain.waivers)


def test_a_waiver_ends_where_it_says() -> None:
    cronos = chains.chain("cronos")
    covered = [cronos.waived("bloom_exact", number) for number in (68216, 2693800, 11446765, 11446766)]
    assert covered == [True, False, True, False]


def test_a_chain_is_found_by_name_id_and_recording() -> None:
    assert chains.chain("base") is chains.chain(8453) is chains.chain("8453") is chains.chain("recorded-8453")
    assert chains.chain("recorded-77").name == "recorded-77"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ONE.format(name="a", id=1) + 'finalty = "tag"\n', "finalty"),
        (ONE.format(name="a", id='"1"'), "Expected `int`"),
        (ONE.format(name="a", id=1) + ONE.format(name="b", id=1), "chains a and b both say id 1"),
        (ONE.format(name="a", id=1) + 'waivers = [{ check = "mood", reason = "x", source = "x" }]\n', "mood"),
    ],
)
def test_a_chain_that_is_misspelt_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadSetting, match=said):
        chains.read(text)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BadSetting, match=r"no chain is named 'etherium'; known: ethereum, bnb"):
        chains.chain("etherium")
