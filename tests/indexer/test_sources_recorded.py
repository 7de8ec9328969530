"""Recorded label sets and call traces enter the same tables as the platform's own rows."""

import gzip
from collections import Counter
from pathlib import Path

import msgspec
import polars as pl
import pytest

from guelta.lake import Lake, eq
from indexer.sources import pull


@pytest.fixture
def lake(home) -> Lake:
    return Lake(home.lake, world="real")


def rows(lake: Lake, name: str) -> pl.DataFrame:
    return pl.from_arrow(lake.table(name).read())


def test_a_label_set_becomes_a_task_its_answers_and_its_gold(home, lake, tmp_path):
    folder = tmp_path / "sets" / "tiny"
    folder.mkdir(parents=True)
    (folder / "label.csv.gz").write_bytes(gzip.compress(b"item,worker,label\n1,ann,0\n1,bob,1\n1,bob,1\n2,ann,x\n"))
    (folder / "truth.csv").write_text("item,truth\n1,0\n")
    (tmp_path / "sets" / "notes").mkdir()
    settings = msgspec.structs.replace(home, annotations=str(tmp_path / "sets"))
    (tmp_path / "sets" / "README.md").write_text("about the sets")
    results = pull(settings, lake, ["annotations"])
    counted = {r.table: (r.rows, r.quarantined) for r in results}
    assert counted == {
        "raw.platform_tasks": (1, 0),
        "raw.platform_submissions": (
            3,
            1,
        ),  # twice the same answer stays twice; a label that is no number does not pass
        "raw.platform_gold": (1, 0),
    }
    answers = rows(lake, "raw.platform_submissions").select("submission_id", "item_id", "annotator_id", "label")
    assert answers.rows() == [
        ("crowd:tiny:2", "crowd:tiny:1", "crowd:tiny:ann", 0),
        ("crowd:tiny:3", "crowd:tiny:1", "crowd:tiny:bob", 1),
        ("crowd:tiny:4", "crowd:tiny:1", "crowd:tiny:bob", 1),
    ]
    assert {note for r in results for note in r.notes} == {
        "notes is not read: it holds neither label.csv.gz nor answer.csv"
    }
    before = {name: lake.table(name).version() for name in lake.tables()}
    pull(settings, lake, ["annotations"])
    assert {name: lake.table(name).version() for name in lake.tables()} == before


def test_a_label_set_that_cannot_be_read_is_named_and_the_others_are_read(home, lake, tmp_path):
    whole = gzip.compress(b"item,worker,label\n1,ann,0\n")
    no_worker = gzip.compress(b"item,label\n1,0\n")
    for name, content in {"cut": whole[:-12], "empty": b"", "good": whole, "other": no_worker}.items():
        folder = tmp_path / "sets" / name
        folder.mkdir(parents=True)
        (folder / "label.csv.gz").write_bytes(content)
    settings = msgspec.structs.replace(home, annotations=str(tmp_path / "sets"))
    results = pull(settings, lake, ["annotations"])
    assert rows(lake, "raw.platform_submissions")["submission_id"].to_list() == ["crowd:good:2"]
    notes = sorted({note for r in results for note in r.notes})
    assert [note.partition(" ")[0] for note in notes] == ["cut", "empty", "other"]
    assert "expected the columns item, worker, label, found item, label" in notes[2]
    (tmp_path / "sets/cut/label.csv.gz").write_bytes(whole)
    assert [r.rows for r in pull(settings, lake, ["annotations"])] == [1, 1, 0]


def test_a_trace_keeps_what_it_says_and_an_unknown_status(home, lake, tmp_path):
    head = "gmt_create,predict_type,predict_status,exec_time_seconds,groupId,prompt_length,num_images_per_prompt"
    lines = [
        f"{head},checkpoint_model_version_id,num_lora",
        "2024-11-15 16:57:50,TXT_2_IMG,SUCCEED,32.5,G0,63.0,1.0,M0,2",
        "2024-11-15 16:57:51,TXT_2_IMG,EVAPORATED,,G1,,2.0,,0",
        "yesterday,TXT_2_IMG,FAILED,1.0,G1,5.0,1.0,M0,0",
    ]
    folder = tmp_path / "traces"
    folder.mkdir()
    (folder / "gentd26_lora_request_trace.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    settings = msgspec.structs.replace(home, traces=str(folder))
    (result,) = pull(settings, lake, ["traces"])
    assert (result.rows, result.quarantined) == (2, 1)
    columns = ("client_id", "asset_name", "status", "latency_us", "prompt_tokens", "units", "adapters", "line")
    assert rows(lake, "raw.gateway_calls").select(columns).rows() == [
        ("trace:gentd26:G0", "M0", "ok", 32_500_000, 63, 1, 2, 1),
        ("trace:gentd26:G1", None, "EVAPORATED", None, None, 2, 0, 2),
    ]
    assert pull(settings, lake, ["traces"])[0].rows == 0


def test_the_recorded_label_sets_arrive_whole(shared: Path, home, lake):
    settings = msgspec.structs.replace(home, annotations=str(shared / "crowd"))
    pull(settings, lake, ["annotations"])
    answers = rows(lake, "raw.platform_submissions")
    counts = dict(answers.group_by("task_id").len().iter_rows())
    # The raw counts of the sets' own README; the three sets in another form are left alone.
    expected = {
        "bluebird": 4_212, "d_jn-product": 24_945, "dog": 8_070, "web": 15_567, "MS": 2_945, "ZenCrowd_us": 12_190,
        "ZenCrowd_in": 11_205, "ZenCrowd_all": 21_855, "s4_Face_Sentiment_Identification": 5_242,
        "s5_AdultContent": 92_721, "f201_Emotion": 7_000,
    }  # fmt: skip
    assert counts == {f"crowd:{name}": count for name, count in expected.items()}
    emotion = answers.filter(task_id="crowd:f201_Emotion")
    assert (emotion["label"].null_count(), emotion["value_f64"].null_count()) == (7_000, 0)
    gold = dict(rows(lake, "raw.platform_gold").group_by("task_id").len().iter_rows())
    assert (gold["crowd:bluebird"], gold["crowd:web"], gold["crowd:s5_AdultContent"]) == (108, 2_653, 333)
    assert rows(lake, "ops.quarantine").is_empty()
    assert all(r.rows == 0 for r in pull(settings, lake, ["annotations"]))


def test_the_recorded_traces_keep_their_sums(shared: Path, home, lake):
    settings = msgspec.structs.replace(home, traces=str(shared / "usage"))
    pull(settings, lake, ["traces"])
    calls = rows(lake, "raw.gateway_calls")
    sums = calls.group_by("source").agg(pl.len(), pl.col("prompt_tokens").sum(), pl.col("completion_tokens").sum())
    found = {name: rest for name, *rest in sums.iter_rows()}
    assert found["trace:azure_code"] == [8_819, 18_059_974, 245_896]
    assert found["trace:mooncake"] == [3_993, 61_194_628, 595_432]
    images = pl.from_arrow(lake.table("raw.gateway_calls").read(eq("source", "trace:gentd26")))
    assert Counter(images["status"]) == {"ok": 12_977, "error": 231, "pending": 9}
    assert (images["client_id"].n_unique(), images["asset_name"].drop_nulls().n_unique()) == (2_246, 75)
    assert Counter(images["adapters"]) == {0: 11_125, 1: 2_005, 2: 52, 3: 28, 4: 1, 6: 6}
    assert rows(lake, "ops.quarantine").is_empty()
