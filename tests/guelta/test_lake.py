"""The lake: one commit for data and cursor, exact decimals through every reader, and nothing foreign."""

import datetime as dt
import errno
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from guelta.errors import BadModel, CursorMoved, Fatal, ForeignLake, OutOfSpace
from guelta.lake import ALL, Cursor, Lake, eq, ge, gt, isin
from guelta.lake.schema import Amount, Bytes, Day, Int64, Text, Timestamp, spec

PAYMENTS = spec(
    "raw.payments",
    {"chain_id": Int64, "block_number": Int64, "day": Day, "amount": Amount, "amount_raw": Bytes, "at": Timestamp},
    key=("chain_id", "block_number"),
    partition=("chain_id", "month"),
)


def payments(numbers, chain=1, amount=10**25):
    days = [dt.date(2026, 8, 1) + dt.timedelta(days=n) for n in numbers]
    return pa.table(
        {
            "chain_id": pa.array([chain] * len(numbers), Int64),
            "block_number": pa.array(numbers, Int64),
            "day": pa.array(days, Day),
            "amount": pa.array([amount + n for n in numbers], Amount),
            "amount_raw": pa.array([(amount + n).to_bytes(32, "big") for n in numbers], Bytes),
            "at": pa.array([0] * len(numbers), Timestamp),
        }
    )


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def blocks(lake):
    return lake.table("raw.payments").read()["block_number"].to_pylist()


def test_data_and_cursor_are_one_commit_and_twice_is_once(lake):
    table = lake.create(PAYMENTS)
    first = Cursor("1:payments", 1, {"to": 3})
    done = table.append(payments([1, 2, 3]), cursor=first)
    assert (done.rows, table.cursor("1:payments"), table.cursor("2:payments")) == (3, first, None)
    again = table.append(payments([1, 2, 3]), cursor=first)
    assert (again.already, blocks(lake)) == (True, [1, 2, 3])
    with pytest.raises(CursorMoved):
        table.append(payments([4]), cursor=Cursor("1:payments", 5, {}))
    with pytest.raises(CursorMoved):
        table.append(payments([4]), cursor=Cursor("1:payments", 1, {"to": 4}))
    assert blocks(lake) == [1, 2, 3]


def test_a_reorg_is_one_replace_and_leaves_the_neighbour_alone(lake):
    table = lake.create(PAYMENTS)
    table.append(payments(list(range(60))), cursor=Cursor("1:p", 1, {}))
    table.append(payments([5, 50], chain=2), cursor=Cursor("2:p", 1, {}))
    tail = eq("chain_id", 1) & ge("month", dt.date(2026, 9, 1)) & gt("block_number", 40)
    version = table.version()
    done = table.replace(payments([41, 42], amount=7), tail, cursor=Cursor("1:p", 2, {"fork": 40}))
    rows = table.read().to_pylist()
    assert [r["block_number"] for r in rows if r["chain_id"] == 1] == list(range(43))
    assert [r["block_number"] for r in rows if r["chain_id"] == 2] == [5, 50]
    assert done.version == version + 1
    assert table.changed(version) == {dt.date(2026, 8, 1) + dt.timedelta(days=n) for n in range(41, 60)}
    assert table.changed(done.version) == set()


def test_rows_outside_the_predicate_are_refused_and_nothing_changes(lake):
    table = lake.create(PAYMENTS)
    table.append(payments([1, 2]))
    with pytest.raises(Fatal, match="changed nothing"):
        table.replace(payments([9]), eq("chain_id", 2))
    assert blocks(lake) == [1, 2]


def test_amounts_beyond_64_bits_survive_every_reader_and_filter(lake):
    table = lake.create(PAYMENTS)
    values = [1, 2**63, 10**25, 1779859438293124247192869243185, 10**38 - 1]
    data = payments(range(len(values)))
    data = data.set_column(3, "amount", pa.array(values, Amount))
    table.append(data)
    above = 10**25
    expected = [v for v in values if v > above]
    with lake.duck() as con:
        in_duckdb = con.execute("select amount from raw.payments where amount > ? order by 1", [above]).fetchall()
        assert [int(v) for (v,) in in_duckdb] == expected
        assert int(con.execute("select sum(amount) from raw.payments where amount < 1e30").fetchone()[0]) == sum(
            values[:3]
        )
    limit = pl.lit(str(above)).cast(pl.Decimal(38, 0))
    in_polars = lake.scan("raw.payments").filter(pl.col("amount") > limit).collect()["amount"].sort().to_list()
    assert [int(v) for v in in_polars] == expected
    statistics = [
        name for name in pa.table(DeltaTable(table.uri).get_add_actions(flatten=True)).column_names if "amount" in name
    ]
    assert statistics == []


def test_empty_tables_have_their_types_and_pins_read_the_past(lake):
    table = lake.create(PAYMENTS)
    with lake.duck() as con:
        assert con.execute("select count(*), sum(amount) from raw.payments").fetchone() == (0, None)
    table.append(payments([1]))
    pin = lake.pin()
    table.append(payments([2]))
    with lake.duck(pin=pin) as con:
        assert con.execute("select count(*) from raw.payments").fetchone() == (1,)
    assert table.read(isin("block_number", [])).num_rows == 0


def test_a_column_that_does_not_fit_is_named(lake):
    table = lake.create(PAYMENTS)
    lossy = payments([1]).set_column(3, "amount", pa.array([3.5]))
    with pytest.raises(Fatal, match=r"raw.payments.amount: expected decimal128\(38, 0\), found double"):
        table.append(lossy)
    with pytest.raises(Fatal, match=r"missing columns \['at'\]"):
        table.append(payments([1]).drop_columns(["at"]))
    with pytest.raises(Fatal, match="same key"):
        table.append(payments([1, 1]))
    with pytest.raises(BadModel, match="no columns"):
        spec("raw.x", {"a": Int64}, key=("b",))


def test_a_column_may_be_added_and_nothing_else_changed(lake):
    lake.create(PAYMENTS).append(payments([1]))
    columns = {f.name: f.type for f in PAYMENTS.schema if f.name != "month"}
    wider = spec("raw.payments", columns | {"note": Text}, key=PAYMENTS.key, partition=PAYMENTS.partition)
    table = lake.create(wider)
    assert table.read()["note"].to_pylist() == [None]
    table.append(payments([2]).append_column("note", pa.array(["new"])))
    assert table.read()["note"].to_pylist() == [None, "new"]
    other = spec("raw.payments", columns | {"amount": Text}, key=PAYMENTS.key, partition=PAYMENTS.partition)
    with pytest.raises(ForeignLake, match="another version"):
        lake.create(other)


def test_a_folder_that_is_not_ours_is_refused(tmp_path):
    (tmp_path / "photos.txt").write_text("not a lake")
    with pytest.raises(ForeignLake, match="did not make"):
        Lake(tmp_path)
    Lake(tmp_path / "demo", world="demo")
    with pytest.raises(ForeignLake, match="demo data, expected real"):
        Lake(tmp_path / "demo", world="real")
    assert Lake(tmp_path / "demo").world == "demo"


def test_a_table_without_our_whitelist_is_refused(lake):
    from deltalake import write_deltalake

    write_deltalake(f"{lake.root}/raw/foreign", pa.table({"x": [1]}))
    with pytest.raises(ForeignLake, match="statistics whitelist"):
        lake.table("raw.foreign")


def test_a_full_disk_commits_nothing_and_says_so(lake, monkeypatch):
    table = lake.create(PAYMENTS)
    table.append(payments([1]), cursor=Cursor("a", 1, {}))
    import guelta.lake.commit as commit

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(commit, "write_deltalake", full)
    with pytest.raises(OutOfSpace, match="nothing was committed"):
        table.append(payments([2]), cursor=Cursor("a", 2, {}))
    monkeypatch.undo()
    assert (blocks(lake), table.cursor("a").n) == ([1], 1)


def cleaned(table):
    """Let log clean-up take all it may: what is before a checkpoint is gone."""
    DeltaTable(table.uri).alter.set_table_properties({"delta.logRetentionDuration": "interval 0 days"})
    table.append(payments([]))  # a commit of an app without a cursor
    handle = DeltaTable(table.uri)
    handle.create_checkpoint()
    handle.cleanup_metadata()
    left = sorted(path.stem for path in Path(table.uri, "_delta_log").glob("*.json"))
    assert left == [f"{table.version():020}"]


def test_an_app_that_rests_longer_than_the_log_goes_on_where_it_was(lake):
    table = lake.create(PAYMENTS)
    resting = Cursor("1:p", 1, {"to": 1, "window": [[1, "0xab"]]})
    table.append(payments([1]), cursor=resting)
    for n in range(1, 6):
        table.append(payments([n], chain=2), cursor=Cursor("2:p", n, {"to": n}))
    cleaned(table)
    assert table.cursors() == {"1:p": resting, "2:p": Cursor("2:p", 5, {"to": 5})}
    assert table.append(payments([1]), cursor=resting).already
    with pytest.raises(CursorMoved):
        table.append(payments([2]), cursor=Cursor("1:p", 1, {"to": 2}))
    table.append(payments([2]), cursor=Cursor("1:p", 2, {"to": 2}))
    assert [r["block_number"] for r in table.read(eq("chain_id", 1)).to_pylist()] == [1, 2]


def test_two_writers_at_once_carry_each_others_newest_cursor(lake):
    from guelta.lake import commit

    table = lake.create(PAYMENTS)
    for chain in (1, 2, 3):
        table.append(payments([1], chain=chain), cursor=Cursor(f"{chain}:p", 1, {"to": 1}))
    handles = [DeltaTable(table.uri) for _ in range(4)]  # all of the same version: each knows only the past
    for handle, chain, n in zip(handles, (1, 2, 4, 3), (2, 2, 1, 2), strict=True):
        rows = table.conform(payments([5], chain=chain))
        commit._commit(handle, PAYMENTS, rows, None, Cursor(f"{chain}:p", n, {"to": 5}), frozenset())
    expected = {f"{chain}:p": Cursor(f"{chain}:p", n, {"to": 5}) for chain, n in ((1, 2), (2, 2), (3, 2), (4, 1))}
    assert table.cursors() == expected
    cleaned(table)
    assert table.cursors() == expected


def test_a_table_from_before_cursors_were_carried_is_read_back_to_its_beginning(lake):
    from deltalake import CommitProperties, Transaction, write_deltalake

    table = lake.create(PAYMENTS)
    for n, app in enumerate(["old", *["busy"] * 30]):
        properties = CommitProperties(
            custom_metadata={f"guelta.cursor:{app}": f'{{"meta": {{}}, "n": {max(n, 1)}}}'},
            app_transactions=[Transaction(app, max(n, 1))],
        )
        rows = table.conform(payments([n]))
        write_deltalake(DeltaTable(table.uri), rows, mode="append", commit_properties=properties)
    table.append(payments([40]))
    cleaned(table)
    assert table.cursors() == {"old": Cursor("old", 1, {}), "busy": Cursor("busy", 30, {})}


def test_a_commit_the_disk_does_not_confirm_is_said_to_be_visible(lake, monkeypatch):
    import os

    table = lake.create(PAYMENTS)

    def refused(_handle):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(Fatal, match=r"raw.payments: version 1 is committed and visible.* may not survive a power loss"):
        table.append(payments([1]), cursor=Cursor("a", 1, {}))
    monkeypatch.undo()
    assert (blocks(lake), table.cursor("a").n) == ([1], 1)
    assert table.append(payments([1]), cursor=Cursor("a", 1, {})).already


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.lists(st.integers(0, 30), max_size=6, unique=True)), min_size=1, max_size=6
    )
)
def test_any_history_of_tail_replacements_equals_the_last_branch(tmp_path_factory, history):
    lake = Lake(tmp_path_factory.mktemp("histories") / "lake")
    table = lake.create(PAYMENTS)
    expected: list[int] = []
    for n, (fork, new) in enumerate(history, start=1):
        branch = sorted(number for number in new if number > fork)
        where = eq("chain_id", 1) & ge("month", dt.date(2026, 8, 1)) & gt("block_number", fork)
        table.replace(payments(branch), where, cursor=Cursor("1:p", n, {"fork": fork}))
        expected = [number for number in expected if number <= fork] + branch
        assert blocks(lake) == expected
    assert table.read(ALL).num_rows == len(expected)


WRITER = """
import sys
from guelta.lake import Cursor, Lake
sys.path.insert(0, {here!r})
from test_lake import PAYMENTS, payments
lake = Lake({root!r})
table = lake.create(PAYMENTS)
while True:
    cursor = table.cursor("1:p")
    n = cursor.n + 1 if cursor else 1
    table.append(payments([n * 2, n * 2 + 1]), cursor=Cursor("1:p", n, {{"to": n * 2 + 1}}))
    print(n, flush=True)
"""


def test_killed_while_committing_loses_and_doubles_nothing(tmp_path):
    root = tmp_path / "lake"
    code = WRITER.format(here=str(Path(__file__).parent), root=str(root))
    for seconds in (3, 5, 8):
        writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(seconds):
            assert writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        table = Lake(root).table("raw.payments")
        cursor = table.cursor("1:p")
        assert blocks(Lake(root)) == list(range(2, cursor.meta["to"] + 1))
