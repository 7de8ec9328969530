"""The raw tables of what happens off chain, one contract each. Every version received is a row."""

from indexer.sources.contract import Contract, Field

_UPDATED = Field("updated_at", "time")


def _platform(name: str, key: tuple[str, ...], *fields: Field) -> Contract:
    return Contract(f"raw.platform_{name}", (*fields, _UPDATED), (*key, "updated_at"), "updated_at")


def _optional(name: str, kind: str = "text", **rest: object) -> Field:
    return Field(name, kind, required=False, **rest)  # type: ignore[arg-type]  # passed through as written


PARTIES = _platform(
    "parties",
    ("party_id",),
    Field("party_id"),
    Field("kind", values=("person", "org", "agent", "contract", "pool", "protocol")),
    Field("roles"),
    _optional("name"),
    _optional("wallet", "address"),
    _optional("country"),
    _optional("client_tier"),
    _optional("waitlisted_at", "time"),
    _optional("joined_at", "time"),
    _optional("activated_at", "time"),
)
ASSETS = _platform(
    "assets",
    ("chain_id", "asset_id"),
    Field("chain_id", "int64"),
    Field("asset_id", "int64"),
    Field("name"),
    _optional("description"),
    _optional("language"),
)
TASKS = _platform(
    "tasks",
    ("task_id", "version"),
    Field("task_id"),
    Field("version", "int32"),
    Field("title"),
    Field("data_type"),
    _optional("language"),
    _optional("difficulty"),
    _optional("chain_id", "int64"),
    _optional("dataset_id", "int64"),
    _optional("label_count", "int32"),
    _optional("reward_kind", values=("enterprise", "dual", "community")),
    _optional("base_points", "int32"),
    _optional("bonus_pct", "int32"),
    _optional("reward_token", "address"),
    _optional("reward_amount", "amount"),
    _optional("review_quorum", "int32"),
    Field("valid_from", "time"),
)
GOLD = _platform(
    "gold", ("task_id", "item_id"), Field("task_id"), Field("item_id"), Field("label", "int32", low=-(2**31))
)
SUBMISSIONS = _platform(
    "submissions",
    ("submission_id",),
    Field("submission_id"),
    Field("task_id"),
    Field("item_id"),
    Field("annotator_id"),
    _optional("label", "int32", low=-(2**31)),
    _optional("value_f64", "f64"),
    _optional("seconds", "int32"),
    _optional("content_hash", "bytes"),
    _optional("language"),
    Field("submitted_at", "time"),
    Field("status", values=("submitted", "approved", "rejected", "rework")),
    _optional("decided_at", "time"),
)
REVIEWS = _platform(
    "reviews",
    ("review_id",),
    Field("review_id"),
    Field("submission_id"),
    Field("reviewer_id"),
    Field("round", "int32"),
    Field("decision", values=("approve", "disapprove")),
    _optional("reason"),
    Field("reviewed_at", "time"),
)
CREDITS = _platform(
    "credits",
    ("entry_id",),
    Field("entry_id"),
    Field("client_id"),
    Field("kind", values=("topup", "coupon", "usage", "refund", "expiry")),
    Field("chain_id", "int64"),
    Field("token", "address"),
    Field("amount", "amount"),
    _optional("batch_root", "bytes"),
    Field("at", "time"),
)
PAYOUT_LEGS = _platform(
    "payout_legs",
    ("run_id", "leg_no"),
    Field("run_id"),
    Field("leg_no", "int32"),
    Field("party_id"),
    Field("wallet", "address"),
    Field("chain_id", "int64"),
    Field("token", "address"),
    Field("amount", "amount"),
    Field("kind", values=("usage", "task")),
    Field("period"),
    Field("instructed_at", "time"),
    Field("due_at", "time"),
    _optional("sent_tx", "bytes"),
    Field("state", values=("instructed", "sent", "held", "cancelled")),
    Field("idempotency_key"),
)
LEDGER = _platform(
    "ledger",
    ("ledger_id",),
    Field("ledger_id"),
    Field("run_id"),
    Field("leg_no", "int32"),
    Field("party_id"),
    Field("chain_id", "int64"),
    Field("token", "address"),
    Field("amount", "amount"),
    Field("booked_at", "time"),
)
CALLS = Contract(
    "raw.gateway_calls",
    (
        Field("call_id"),
        Field("rev", "int32", low=1),
        _optional("parent_call_id"),
        Field("root_call_id"),
        Field("client_id"),
        _optional("api_key_hash", "bytes"),
        Field("origin", values=("web2", "web3", "agent")),
        _optional("chain_id", "int64"),
        _optional("asset_id", "int64"),
        _optional("asset_name", expected=False),
        _optional("provider", expected=False),
        Field("at", "time"),
        _optional("latency_us", "int64"),
        Field("status"),  # open: a status nobody has seen yet is kept as it is
        _optional("prompt_tokens", "int64"),
        _optional("completion_tokens", "int64"),
        _optional("units", "int64", expected=False),
        _optional("adapters", "int32", expected=False),
        _optional("price", "amount"),
        _optional("token", "address"),
        _optional("batch_root", "bytes"),
        Field("source"),
        Field("file"),
        Field("line", "int64"),
    ),
    ("call_id", "rev"),
    "at",
)

PLATFORM = (PARTIES, ASSETS, TASKS, GOLD, SUBMISSIONS, REVIEWS, CREDITS, PAYOUT_LEGS, LEDGER)
ALL = (*PLATFORM, CALLS)
