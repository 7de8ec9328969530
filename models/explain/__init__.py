"""From an amount down to the logs, terms and roundings that made it; every step is added up again and must close.

An earning is a sum of accruals; an accrual is a floor, or what floors left, of what an asset kept; what it kept came up
a path from the asset that was called; that came in with a payment, and the payment is a log (40-earnings §4.10).
"""

from typing import TYPE_CHECKING, Any

from guelta.errors import BadSetting, Inexact
from models.explain.accruals import accrual, paid_in
from models.explain.earnings import earning
from models.explain.reader import Reader, Row, units
from models.explain.tree import Explanation, Step

if TYPE_CHECKING:
    from guelta.lake import Lake

__all__ = ["Explanation", "Step", "explain"]


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
    with Reader(lake) as read:
        steps = _steps(read, word)
    if not steps:
        raise BadSetting(
            f"nothing in the lake is called {word}; expected an earning id, CHAIN:0xHASH:LOG of a payment or payout, a "
            "recon_key (leg:…, tx:…, party:…) or a transaction hash. guelta build brings the newest"
        )
    return Explanation(word, steps)


def _steps(read: Reader, word: str) -> tuple[Step, ...]:
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
        *(earning(read, row) for row in earnings),
    )


def _payment(read: Reader, row: Row) -> Step:
    """A payment and everybody who earned from it; accruals and fee are the whole of it."""
    step, net = paid_in(read, row["payment_id"], row["day"])
    accruals = read.rows("core.accruals", day=row["day"], value_id=row["payment_id"], order="seq")
    parts = [accrual(read, one) for one in accruals]
    if parts and sum(part.amount or 0 for part in parts) != net:
        raise Inexact(f"{row['payment_id']}: {net} came in, {sum(part.amount or 0 for part in parts)} were accrued")
    shown = []
    for one, part in zip(accruals, parts, strict=True):
        text = f"{read.shown(one, part.amount or 0)} to {one['party']} by way of {one['path']}"
        shown.append(Step(text, part.amount, steps=part.steps[1:]))  # the payment itself stands above
    fee = units(row, "fee")
    kept = (Step(f"{read.shown(row, fee)} to the protocol, its fee", fee),) if fee else ()
    return Step(step.text, step.amount, log=step.log, steps=(*kept, *shown))


def _payout(read: Reader, row: Row) -> Step:
    amount = units(row, "amount")
    how = {"push": "pushed by the vault", "claim": "claimed from the vault", "transfer": "sent by the treasury"}
    text = f"{row['party']} received {read.shown(row, amount)} on {row['day']}, {how.get(row['kind'], row['kind'])}"
    return Step(text, amount, log=read.log(row), steps=_discharged(read, payout_id=row["payout_id"], of=amount))


def _discharged(read: Reader, of: int | None = None, **which: Any) -> tuple[Step, ...]:
    """What a payout, or a line, pays for; the parts are the whole."""
    steps = []
    for link in read.rows("core.payout_earnings", **which, order="earned_period, earning_id"):
        amount = units(link, "amount")
        if link["earning_id"]:
            text = f"{read.shown(link, amount)} of earning {link['earning_id']} of {link['earned_period']}"
        else:
            text = f"{read.shown(link, amount)} discharge no earning"
        steps.append(Step(text, amount))
    if of is not None and steps and sum(step.amount or 0 for step in steps) != of:
        raise Inexact(f"{which}: {of} were paid, {sum(step.amount or 0 for step in steps)} are allocated")
    return tuple(steps)


def _reconciled(read: Reader, row: Row) -> Step:
    expected, settled, delta = (int(row[f"{name}_raw"]) for name in ("expected", "settled", "delta"))
    if settled - expected != delta:
        raise Inexact(f"{row['recon_key']}: settled {settled} less expected {expected} is not {delta}")
    verdict = " ".join(str(row[name]) for name in ("status", "code", "reason_code") if row[name])
    text = f"expected {expected}, settled {settled}, difference {delta}: {verdict}; evidence {row['evidence']}"
    payouts = {link["payout_id"] for link in read.rows("core.payout_earnings", recon_key=row["recon_key"])}
    paid = [_payout(read, one) for name in sorted(payouts) for one in read.rows("core.payouts", payout_id=name)]
    return Step(text, settled, steps=tuple(paid))


def _transaction(read: Reader, tx_hash: bytes) -> tuple[Step, ...]:
    payments = [_payment(read, row) for row in read.rows("core.payments", tx_hash=tx_hash, order="log_index")]
    payouts = [_payout(read, row) for row in read.rows("core.payouts", tx_hash=tx_hash, order="log_index")]
    logs = read.rows("raw.logs", tx_hash=tx_hash, order="log_index")
    seen = [Step(f"log {log['log_index']} of 0x{log['address'].hex()}", log=read.log(log)) for log in logs]
    whole_ = (Step(f"transaction 0x{tx_hash.hex()} has {len(seen)} logs", steps=tuple(seen)),) if seen else ()
    return (*payments, *payouts, *whole_)
