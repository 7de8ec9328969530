"""An earning, from what it is the sum of: accruals of payments, or rewards for approved work."""

from guelta.errors import Inexact
from models.explain.accruals import accrual
from models.explain.reader import Reader, Row, units
from models.explain.tree import Step


def earning(read: Reader, row: Row) -> Step:
    total = units(row, "amount")
    made = _rewards(read, row) if row["kind"] == "task" else _accruals_of(read, row)
    found = sum(step.amount or 0 for step in made)
    if found != total or len(made) != row["entries"]:
        raise Inexact(
            f"earning {row['earning_id']} is {total} in {row['entries']} entries, but {len(made)} entries of {found} "
            "make it; rebuild core.earnings"
        )
    what = "work on dataset" if row["kind"] == "task" else "use of asset"
    text = (
        f"{row['party']} earned {read.shown(row, total)} on {row['day']} from {what} {row['source_asset']}, the sum of "
        f"{len(made)} entries ({row['kind']}, {row['provenance']})"
    )
    return Step(text, total, steps=tuple(made))


def _accruals_of(read: Reader, row: Row) -> list[Step]:
    same = {name: row[name] for name in ("day", "chain_id", "token", "party", "account", "terms_id")}
    rows = read.rows("core.accruals", **same, asset_id=row["source_asset"], order="value_id, seq")
    ref = row["earning_id"].partition(":")[2]  # beyond 38 digits an entry is one accrual, which its id names
    return [accrual(read, one) for one in rows if not ref or f"{one['value_id']}:{one['seq']}" == ref]


def _rewards(read: Reader, row: Row) -> list[Step]:
    """Approved datapoints at the rate of the task's version, each with the work and who judged it."""
    task_id, _, version = row["terms_id"].rpartition(":")
    entries = read.rows(
        "core.reward_entries",
        day=row["day"],
        chain_id=row["chain_id"],
        token=row["token"],
        party=row["party"],
        task_id=task_id,
        dataset_id=row["source_asset"],
        order="entry_id",
    )
    ref = row["earning_id"].partition(":")[2]
    found = []
    for entry in entries:
        if str(entry["rate_version"]) != version or (ref and entry["entry_id"] != ref):
            continue
        amount = units(entry, "amount")
        rate = f"rate of version {version} of {task_id}"
        text = f"{read.shown(entry, amount)} for datapoint {entry['submission_id']}, {rate}"
        found.append(Step(text, amount, steps=_work(read, entry["submission_id"])))
    return found


def _work(read: Reader, submission_id: str) -> tuple[Step, ...]:
    steps = []
    for one in read.rows("core.submissions", submission_id=submission_id):
        text = f"{one['annotator']} labelled item {one['item_id']} at {one['submitted_at']:%Y-%m-%d %H:%M}"
        steps.append(Step(f"{text}, {one['status']}", row=f"raw.platform_submissions {submission_id}"))
    for one in read.rows("core.reviews", submission_id=submission_id, order="round, review_id"):
        why = f" ({one['reason']})" if one["reason"] else ""
        text = f"{one['reviewer']} said {one['decision']} in round {one['round']}{why}"
        steps.append(Step(text, row=f"raw.platform_reviews {one['review_id']}"))
    return tuple(steps)
