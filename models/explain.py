"""From an amount down to the logs, terms and roundings that made it; every step is added up again and must close.

An earning is a sum of accruals; an accrual is a floor, or what floors left, of what an asset kept; what it kept came up
a path from the asset that was called; that came in with a payment, and the payment is a log (40-earnings §4.10).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from guelta.errors import BadSetting, Inexact
from guelta.money import from_raw, mul_div, whole

if TYPE_CHECKING:
    from guelta.lake import Lake

BPS = 10_000
_OWN = "99999"  # five digits an edge in core.flows.place; an asset's own accounts stand after all of its parents
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an explanation. ``amount`` is in base units; ``log`` or ``row`` is where it was read."""

    text: str
    amount: int | None = None
    log: str | None = None  # chain, block, transaction, log index
    row: str | None = None  # table and key of a platform row
    steps: "tuple[Step, ...]" = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    id: str
    steps: tuple[Step, ...]

    def lines(self) -> list[str]:
        """The tree as text for a terminal."""
        found: list[str] = []
        for step in self.steps:
            found.append(_line(step))
            found += _branches(step.steps, "")
        return found

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "steps": [_json(step) for step in self.steps]}


def explain(lake: "Lake", id: str) -> Explanation:  # noqa: A002  # the word of the command
    """What made an amount.

    Args:
        lake: where to look.
        id: an ``earning_id``, a payment or payout (``CHAIN:0xBLOCKHASH:LOG``), a ``recon_key``, or a transaction hash.

    Raises:
        BadSetting: nothing has that id.
        Inexact: a step that does not add up to the unit; the lake is not what the chain said.
    """
    word = id.strip()
    with _Reader(lake) as read:
        steps = _steps(read, word)
    if not steps:
        raise BadSetting(
            f"nothing in the lake is called {word}; expected an earning id, CHAIN:0xHASH:LOG of a payment or payout, a "
            "recon_key (leg:…, tx:…, party:…) or a transaction hash. guelta build brings the newest"
        )
    return Explanation(word, steps)


def _steps(read: "_Reader", word: str) -> tuple[Step, ...]:
    if word.startswith(("leg:", "tx:", "party:")):
        return tuple(_reconciled(read, row) for row in read.rows("core.reconciliation_lines", recon_key=word))
    if word.startswith("0x") and len(word) == 66:
        return _transaction(read, bytes.fromhex(word[2:]))
    payments = read.rows("core.payments", payment_id=word)
    payouts = read.rows("core.payouts", payout_id=word)
    earnings = read.rows("core.earnings", earning_id=word)
    return (
        *(_payment(read, row) for row in payments),
        *(_payout(read, row) for row in payouts),
        *(_earning(read, row) for row in earnings),
    )


def _earning(read: "_Reader", row: Row) -> Step:
    total = _units(row, "amount")
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


def _accruals_of(read: "_Reader", row: Row) -> list[Step]:
    same = {name: row[name] for name in ("day", "chain_id", "token", "party", "account", "terms_id")}
    rows = read.rows("core.accruals", **same, asset_id=row["source_asset"], order="value_id, seq")
    wide = row["amount"] is None
    return [_accrual(read, one) for one in rows if (one["amount"] is None) == wide]


def _accrual(read: "_Reader", row: Row) -> Step:
    """One account's part of one payment: the payment, the hops, the terms, the floor, the log that says so."""
    amount = _units(row, "amount")
    payment, net = _paid_in(read, row["value_id"], row["day"])
    hops, kept = _hops(read, row, net)
    share = _share(read, row, kept, amount)
    said = _emitted(read, row, amount)
    text = f"{read.shown(row, amount)} from payment {row['value_id']} by way of {row['path']}"
    return Step(text, amount, steps=(payment, *hops, share, *said))


def _paid_in(read: "_Reader", value_id: str, day: Any) -> tuple[Step, int]:
    (row,) = read.rows("core.payments", day=day, payment_id=value_id)
    gross, fee = _units(row, "amount"), _units(row, "fee")
    text = (
        f"{row['payer_party']} paid {read.shown(row, gross)} for {row['calls']} calls of asset {row['asset_id']}; "
        f"less the fee of {fee}, {gross - fee} came in"
    )
    return Step(text, gross, log=read.log(row)), gross - fee


def _hops(read: "_Reader", row: Row, net: int) -> tuple[list[Step], int]:
    """What came up each hop of the path, checked from what the hop below received."""
    steps: list[Step] = []
    below, kept = net, net
    for hop in _way(read, row):
        came = _whole(hop["amount_in"], net)
        expected = mul_div(below, hop["bps"], BPS)
        if came != expected:
            rule = f"floor({below} x {hop['bps']} / {BPS})"
            raise Inexact(f"{row['value_id']}: {hop['path']} received {came}, but {rule} is {expected}")
        if hop["depth"]:
            steps.append(_edge(read, row, hop, below, came))
        kept = _whole(hop["kept"], net)
        tail = f", passes {came - kept} up" if came != kept else ""
        steps.append(Step(f"asset {hop['asset_id']} received {came}{tail}, keeps {kept}", came))
        below = came
    return steps, kept


def _way(read: "_Reader", row: Row) -> list[Row]:
    """The hops from the asset that was called to the one whose terms pay this accrual.

    Two edges between the same assets make two hops of the same path; the accruals stand in the order of the hops.
    """
    hops = read.rows("core.flows", day=row["day"], value_id=row["value_id"])
    emitted = 0
    for hop in sorted(hops, key=lambda one: one["place"] + _OWN):
        payees = read.rows("core.terms_payees", terms_id=hop["terms_id"], order="ord") if hop["terms_id"] else []
        emitted += max(len(payees), 1)
        if row["seq"] <= emitted:
            above = {one["place"]: one for one in hops}
            return [above[hop["place"][:end]] for end in range(0, len(hop["place"]) + 1, len(_OWN))]
    raise Inexact(f"{row['value_id']}: accrual {row['seq']} has no hop in core.flows; rebuild core.accruals")


def _edge(read: "_Reader", row: Row, hop: Row, below: int, came: int) -> Step:
    child, parent = (int(name) for name in hop["path"].split(">")[-2:])
    left = below * hop["bps"] % BPS
    text = f"floor({below} x {hop['bps']} / {BPS}) = {came} goes up from {child} to {parent}"
    text += f"; {left}/{BPS} of a unit stays below" if left else ""
    edges = read.rows("core.edges", chain_id=row["chain_id"], child_id=child, ord=int(hop["place"][-len(_OWN) :]))
    if not edges:
        return Step(text, came)
    return Step(f"{text} ({edges[0]['relation']})", came, log=read.log(edges[0], "raw.reference_edge_added"))


def _share(read: "_Reader", row: Row, kept: int, amount: int) -> Step:
    """The account's part of what the asset kept: a floor, or for the last account what the other floors left."""
    if row["terms_id"] is None:
        return Step(f"nobody can be named: {row['party']} holds {amount}", amount)
    (terms,) = read.rows("core.terms", terms_id=row["terms_id"])
    payees = read.rows("core.terms_payees", terms_id=row["terms_id"], order="ord")
    others = [mul_div(kept, one["bps"], terms["denominator"]) for one in payees if one["ord"] != payees[-1]["ord"]]
    last = row["ord"] == payees[-1]["ord"]
    expected = kept - sum(others) if last else mul_div(kept, row["bps"], terms["denominator"])
    if expected != amount:
        raise Inexact(
            f"{row['value_id']}: account {row['ord']} of {row['terms_id']} has {amount}, its terms give {expected}"
        )
    floor = mul_div(kept, row["bps"], terms["denominator"])
    text = f"account {row['ord']} of {len(payees)} under terms {row['terms_id']}: floor({kept} x {row['bps']} / "
    text += f"{terms['denominator']}) = {floor}"
    text += f", and {amount - floor} that rounding left (the last account takes it)" if last and amount != floor else ""
    position = {"chain_id": row["chain_id"], "block_number": terms["from_block"], "log_index": terms["from_log"]}
    return Step(text, amount, log=read.log(position, "raw.reference_terms_set"))


def _emitted(read: "_Reader", row: Row, amount: int) -> list[Step]:
    """The contract's own EarningAccrued log of this accrual: the seq-th after its settlement."""
    chain, block_hash, log_index = row["value_id"].split(":")
    logs = read.rows(
        "raw.reference_earning_accrued",
        day=row["day"],
        chain_id=int(chain),
        block_hash=bytes.fromhex(block_hash[2:]),
        order="log_index",
    )
    (settled,) = read.rows("core.payments", day=row["day"], payment_id=row["value_id"])
    after = [one for one in logs if one["tx_hash"] == settled["tx_hash"] and one["log_index"] > int(log_index)]
    if len(after) < row["seq"]:
        return []
    log = after[row["seq"] - 1]
    if (_units(log, "amount"), log["account"]) != (amount, row["account"]):
        raise Inexact(
            f"{row['value_id']}: accrual {row['seq']} is {amount}, the contract emitted {_units(log, 'amount')} to "
            f"0x{log['account'].hex()} in log {log['log_index']}"
        )
    return [Step("the contract says the same", amount, log=read.log(log))]


def _rewards(read: "_Reader", row: Row) -> list[Step]:
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
    found = []
    for entry in entries:
        if str(entry["rate_version"]) != version or (entry["amount"] is None) != (row["amount"] is None):
            continue
        amount = _units(entry, "amount")
        rate = f"rate of version {version} of {task_id}"
        text = f"{read.shown(entry, amount)} for datapoint {entry['submission_id']}, {rate}"
        found.append(Step(text, amount, steps=_work(read, entry["submission_id"])))
    return found


def _work(read: "_Reader", submission_id: str) -> tuple[Step, ...]:
    steps = []
    for one in read.rows("core.submissions", submission_id=submission_id):
        text = f"{one['annotator']} labelled item {one['item_id']} at {one['submitted_at']:%Y-%m-%d %H:%M}"
        steps.append(Step(f"{text}, {one['status']}", row=f"raw.platform_submissions {submission_id}"))
    for one in read.rows("core.reviews", submission_id=submission_id, order="round, review_id"):
        why = f" ({one['reason']})" if one["reason"] else ""
        text = f"{one['reviewer']} said {one['decision']} in round {one['round']}{why}"
        steps.append(Step(text, row=f"raw.platform_reviews {one['review_id']}"))
    return tuple(steps)


def _payment(read: "_Reader", row: Row) -> Step:
    """A payment and everybody who earned from it; accruals and fee are the whole of it."""
    step, net = _paid_in(read, row["payment_id"], row["day"])
    accruals = read.rows("core.accruals", day=row["day"], value_id=row["payment_id"], order="seq")
    parts = [_accrual(read, one) for one in accruals]
    if parts and sum(part.amount or 0 for part in parts) != net:
        raise Inexact(f"{row['payment_id']}: {net} came in, {sum(part.amount or 0 for part in parts)} were accrued")
    shown = []
    for one, part in zip(accruals, parts, strict=True):
        text = f"{read.shown(one, part.amount or 0)} to {one['party']} by way of {one['path']}"
        shown.append(Step(text, part.amount, steps=part.steps[1:]))  # the payment itself stands above
    fee = _units(row, "fee")
    kept = (Step(f"{read.shown(row, fee)} to the protocol, its fee", fee),) if fee else ()
    return Step(step.text, step.amount, log=step.log, steps=(*kept, *shown))


def _payout(read: "_Reader", row: Row) -> Step:
    amount = _units(row, "amount")
    how = {"push": "pushed by the vault", "claim": "claimed from the vault", "transfer": "sent by the treasury"}
    text = f"{row['party']} received {read.shown(row, amount)} on {row['day']}, {how.get(row['kind'], row['kind'])}"
    return Step(text, amount, log=read.log(row), steps=_discharged(read, payout_id=row["payout_id"], of=amount))


def _discharged(read: "_Reader", of: int | None = None, **which: Any) -> tuple[Step, ...]:
    """What a payout, or a line, pays for; the parts are the whole."""
    steps = []
    for link in read.rows("core.payout_earnings", **which, order="earned_period, earning_id"):
        amount = _units(link, "amount")
        if link["earning_id"]:
            text = f"{read.shown(link, amount)} of earning {link['earning_id']} of {link['earned_period']}"
        else:
            text = f"{read.shown(link, amount)} discharge no earning"
        steps.append(Step(text, amount))
    if of is not None and steps and sum(step.amount or 0 for step in steps) != of:
        raise Inexact(f"{which}: {of} were paid, {sum(step.amount or 0 for step in steps)} are allocated")
    return tuple(steps)


def _reconciled(read: "_Reader", row: Row) -> Step:
    expected, settled, delta = (int(row[f"{name}_raw"]) for name in ("expected", "settled", "delta"))
    if settled - expected != delta:
        raise Inexact(f"{row['recon_key']}: settled {settled} less expected {expected} is not {delta}")
    verdict = " ".join(str(row[name]) for name in ("status", "code", "reason_code") if row[name])
    text = f"expected {expected}, settled {settled}, difference {delta}: {verdict}; evidence {row['evidence']}"
    payouts = {link["payout_id"] for link in read.rows("core.payout_earnings", recon_key=row["recon_key"])}
    paid = [_payout(read, one) for name in sorted(payouts) for one in read.rows("core.payouts", payout_id=name)]
    return Step(text, settled, steps=tuple(paid))


def _transaction(read: "_Reader", tx_hash: bytes) -> tuple[Step, ...]:
    payments = [_payment(read, row) for row in read.rows("core.payments", tx_hash=tx_hash, order="log_index")]
    payouts = [_payout(read, row) for row in read.rows("core.payouts", tx_hash=tx_hash, order="log_index")]
    logs = read.rows("raw.logs", tx_hash=tx_hash, order="log_index")
    seen = [Step(f"log {log['log_index']} of 0x{log['address'].hex()}", log=read.log(log)) for log in logs]
    whole_ = (Step(f"transaction 0x{tx_hash.hex()} has {len(seen)} logs", steps=tuple(seen)),) if seen else ()
    return (*payments, *payouts, *whole_)


class _Reader:
    """Rows of the lake by key; every value is a bound parameter, a table that is not there has no rows."""

    def __init__(self, lake: "Lake") -> None:
        from contextlib import ExitStack

        self._lake, self._stack = lake, ExitStack()
        self._there: set[str] = set()
        self._tokens: dict[tuple[int, bytes], tuple[str, int]] = {}
        self._kept: dict[Any, list[Row]] = {}

    def __enter__(self) -> Self:
        self._con = self._stack.enter_context(self._lake.duck([]))
        for row in self.rows("core.tokens"):
            if row["decimals"] is not None:
                self._tokens[row["chain_id"], row["token"]] = (row["symbol"] or "tokens", row["decimals"])
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rows(self, table: str, *, order: str | None = None, **where: Any) -> list[Row]:
        key = (table, order, tuple(where.items()))
        if key not in self._kept:
            self._kept[key] = self._read(table, order, where)
        return self._kept[key]

    def _read(self, table: str, order: str | None, where: dict[str, Any]) -> list[Row]:
        if table not in self._there:
            if not self._lake.exists(table):
                return []
            self._lake.attach(self._con, [table])
            self._there.add(table)
        given = {name: value for name, value in where.items() if value is not None}
        clauses = [f"{name} = ?" if name in given else f"{name} is null" for name in where]
        sql = f"select * from {table}" + (f" where {' and '.join(clauses)}" if clauses else "")
        found = self._con.sql(f"{sql} order by {order}" if order else sql, params=list(given.values()) or None)
        rows: list[Row] = found.to_arrow_table().to_pylist()
        return rows

    def log(self, position: Row, table: str | None = None) -> str:
        """Where a log stands: chain, block, transaction, log index, read again from the truth."""
        at = {name: position[name] for name in ("chain_id", "block_number", "log_index")}
        found = position.get("day")
        day = {"month": found.replace(day=1), "day": found} if found else {}
        logs = self.rows("raw.logs", **at, **day) or (self.rows(table, **at) if table else [])
        tx_hash = logs[0]["tx_hash"] if logs else position.get("tx_hash")
        tx = f" tx 0x{tx_hash.hex()}" if tx_hash else ""
        lost = "" if logs else " (not in raw.logs)"
        return f"chain {at['chain_id']} block {at['block_number']}{tx} log {at['log_index']}{lost}"

    def shown(self, row: Row, amount: int) -> str:
        symbol, decimals = self._tokens.get((row["chain_id"], row["token"]), ("", 0))
        return f"{amount} ({whole(amount, decimals)} {symbol})" if symbol else f"{amount}"


def _units(row: Row, name: str) -> int:
    """An amount, from its bytes when it has more than 38 digits."""
    return _whole(row[name], from_raw(row[f"{name}_raw"]) if row.get(f"{name}_raw") else 0)


def _whole(value: Any, otherwise: int) -> int:
    return otherwise if value is None else int(value)


def _line(step: Step) -> str:
    where = step.log or step.row
    return f"{step.text}  [{where}]" if where else step.text


def _branches(steps: Sequence[Step], indent: str) -> list[str]:
    found = []
    for i, step in enumerate(steps):
        last = i == len(steps) - 1
        found.append(f"{indent}{'└─ ' if last else '├─ '}{_line(step)}")
        found += _branches(step.steps, indent + ("   " if last else "│  "))
    return found


def _json(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {"text": step.text}
    if step.amount is not None:
        found["amount"] = str(step.amount)  # beyond 2**53 a JSON number loses digits
    found |= {name: value for name, value in (("log", step.log), ("row", step.row)) if value}
    if step.steps:
        found["steps"] = [_json(one) for one in step.steps]
    return found
