"""A chain rewritten below finality: the door stops, names the command, and the command makes the lake right again."""

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from guelta.cli import app
from guelta.errors import BadSetting, BelowFinality, ForeignLake
from guelta.lake import Cursor, Lake
from guelta.lake.schema import Day, Int64, Text, spec
from guelta.settings import Settings
from indexer.devnet.chain import Devnet
from indexer.devnet.server import serve
from indexer.rewind import rewind
from models.digest import digest

OWNER, ALICE = "0x" + "a1" * 20, "0x" + "b2" * 20
# When something was checked, and how often, is of the run and not of the chain.
OF_THE_RUN = {"raw.audit_ranges", "raw.heads"}


def grow(chain: Devnet, blocks: int, salt: bytes = b"") -> None:
    token = chain.contract("PaymentToken", grow.address)  # type: ignore[attr-defined]
    for _ in range(blocks):
        token.send(OWNER, "mint", ALICE, 10**18 + chain.head.number)
        chain.seal(salt=salt)


@pytest.fixture
def chain() -> Devnet:
    """Thirty-one blocks with a token; whatever lies three blocks below the head is final."""
    chain = Devnet(genesis_time=1_793_491_200 - 20 * 3600, block_time=3600, finality_depth=3)
    grow.address = chain.deploy("PaymentToken", "Test Dollar", "TUSD", 6, sender=OWNER)  # type: ignore[attr-defined]
    chain.seal()
    grow(chain, 30)
    return chain


def guelta(*words: str, home: Path, url: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"GUELTA_HOME": str(home), "GUELTA_RPC_DEVNET": url})


def content(home: Path) -> dict[str, str]:
    found = digest(Lake(home / "lake"), None)
    return {name: value for name, value in found.items() if name not in OF_THE_RUN}


def test_from_the_refusal_to_a_lake_like_new(chain: Devnet, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serve(chain) as server:
        assert guelta("follow", "devnet", "--once", home=home, url=server.url).exit_code == 0
        before = Lake(home / "lake").pin()
        chain.reorg(10)
        grow(chain, 12, salt=b"other")

        stopped = guelta("follow", "devnet", "--once", home=home, url=server.url)
        assert isinstance(stopped.exception, BelowFinality)
        assert stopped.exception.exit_code == 1
        assert "guelta rewind 1337 --to 21" in str(stopped.exception)
        assert Lake(home / "lake").pin() == before

        asked = guelta("rewind", "1337", "--to", "21", "--json", home=home, url=server.url)
        assert isinstance(asked.exception, BadSetting)
        assert "guelta rewind 1337 --to 21 --yes" in str(asked.exception)
        going = {row["table"]: row["rows"] for row in json.loads(asked.output)}
        assert going == {"raw.logs": 10, "raw.transactions": 10, "raw.blocks": 10}
        assert Lake(home / "lake").pin() == before

        done = guelta("rewind", "devnet", "--to", "21", "--yes", home=home, url=server.url)
        assert (done.exit_code, "next: guelta follow devnet --once" in done.output) == (0, True)
        (head,) = Lake(home / "lake").table("raw.heads").read().to_pylist()
        assert (head["to_block"], head["finalized_block"], head["to_hash"]) == (21, 21, head["finalized_hash"])
        again = guelta("rewind", "devnet", "--to", "21", "--yes", "--json", home=home, url=server.url)
        assert {row["rows"] for row in json.loads(again.output)} == {0}

        assert guelta("follow", "devnet", "--once", home=home, url=server.url).exit_code == 0
        assert guelta("follow", "devnet", "--once", home=tmp_path / "zero", url=server.url).exit_code == 0
    assert content(home) == content(tmp_path / "zero")
    heads = [Lake(place / "lake").table("raw.heads").read().to_pylist()[0] for place in (home, tmp_path / "zero")]
    assert [(h["to_block"], h["to_hash"], h["finalized_block"]) for h in heads[:1]] == [
        (h["to_block"], h["to_hash"], h["finalized_block"]) for h in heads[1:]
    ]


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_killed_at_any_commit_it_is_finished_by_following_or_by_saying_it_again(
    killed_at: int, chain: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guelta.lake import Table
    from indexer.follow import follow

    class Killed(BaseException):
        pass

    with serve(chain) as server:
        settings, lake = Settings(rpc={"devnet": (server.url,)}), Lake(tmp_path / "lake")
        follow(settings, lake)
        chain.reorg(10)
        grow(chain, 12, salt=b"other")
        real, commits = Table.replace, []

        def replace(table, *args, **options):
            if len(commits) == killed_at:
                raise Killed
            commits.append(table.name)
            return real(table, *args, **options)

        with monkeypatch.context() as patched:
            patched.setattr(Table, "replace", replace)
            with pytest.raises(Killed):
                rewind(lake, 1337, 21)
        if "raw.logs" not in commits:
            with pytest.raises(BelowFinality):
                follow(settings, lake)
        if killed_at == 3 or "raw.logs" not in commits:
            rewind(lake, 1337, 21)
        follow(settings, lake)
        zero = Lake(tmp_path / "zero" / "lake")
        follow(settings, zero)
    assert content(tmp_path) == content(tmp_path / "zero")


def test_an_event_table_is_dropped_and_decoded_anew_and_no_other_raw_table(chain: Devnet, tmp_path: Path) -> None:
    home, table = tmp_path / "home", "raw.erc20_transfer"
    with serve(chain) as server:
        assert guelta("follow", "devnet", "--once", home=home, url=server.url).exit_code == 0
    lake, before = Lake(home / "lake"), content(home)
    assert lake.table(table).rows() == 30
    assert guelta("derive", "--anew", table, home=home, url="").exit_code == 0
    assert content(home) == before
    assert lake.table(table).version() < 5  # a new one
    for name in ("raw.logs", "marts.payouts", "raw.nothing"):
        wrong = guelta("derive", "--anew", name, home=home, url="")
        assert f"no protocol declares {name}" in str(wrong.exception)
    for name in lake.tables():
        if name in {"raw.logs", "raw.blocks", "raw.transactions", "raw.chains", "raw.heads", "raw.quarantine"}:
            with pytest.raises(BadSetting, match=f"{name} is raw data and is never dropped"):
                lake.drop(name)
    assert content(home) == before


def test_an_edited_abi_names_the_command_that_helps(tmp_path: Path) -> None:
    lake, table = Lake(tmp_path / "home" / "lake"), "raw.erc20_transfer"
    old = spec(table, {"chain_id": Int64, "wad": Text, "day": Day}, key=("chain_id",), partition=("chain_id", "month"))
    row = pa.table({"chain_id": [1337], "wad": ["1"], "day": pa.array([date(2026, 11, 1)])})
    lake.create(old).append(row, cursor=Cursor(f"derive:1337:{table}", 1, {}))
    refused = guelta("derive", home=tmp_path / "home", url="")
    assert isinstance(refused.exception, ForeignLake)
    assert "wad too many" in str(refused.exception)
    command = str(refused.exception).rpartition("guelta ")[2].split()
    assert guelta(*command, home=tmp_path / "home", url="").exit_code == 0
    assert "wad" not in lake.table(table).spec.schema.names
