"""One small economy with something of everything, for tests that look at finished tables."""

from datetime import timedelta

from .world import CHAIN, STAKING, START, TAI, TPART, TREASURY, TUSD, World, address, digest, pair


def play(world: World) -> World:
    """Two datasets, a model and an agent over them; direct and prepaid payments, claims, a run, rewards, a slash."""
    world.chain()
    for name in ("ann", "bob", "cyd"):
        world.party(name, joined_at=START, activated_at=START)
    for name, roles in (("client", "client"), ("operator", "treasury"), ("treasury", "treasury"), ("dev", "app")):
        world.party(name, roles)
    world.register(1, 0, [("ann", 5000), ("bob", 3000), ("cyd", 2000)], "dev")
    world.register(2, 0, [("cyd", 3333), ("stranger", 6667)], "dev")
    world.register(3, 1, [("dev", 7000), ("bob", 3000)], "dev")
    world.edge(3, 1, 2000)
    world.edge(3, 2, 1111, relation=0)
    world.register(4, 2, [("dev", 10_000)], "dev")
    world.edge(4, 3, 3000, relation=2)
    world.edge(4, 1, 500, relation=2)
    world.put("platform_assets", chain_id=CHAIN, asset_id=4, name="Guide", language="en")
    for version, amount, day in ((1, 2 * 10**18 + 1, 0), (2, 3 * 10**18, 10)):
        world.put(
            "platform_tasks",
            task_id="task-1",
            version=version,
            title="Signs",
            data_type="image",
            chain_id=CHAIN,
            dataset_id=1,
            reward_kind="dual",
            base_points=20,
            bonus_pct=5,
            reward_token=TPART,
            **pair("reward_amount", amount),
            valid_from=START + timedelta(days=day),
        )
    for number, (who, day, status) in enumerate(
        (("ann", 1, "approved"), ("ann", 9, "approved"), ("bob", 11, "approved"), ("bob", 12, "rejected"))
    ):
        first = {
            "submission_id": f"s-{number}",
            "task_id": "task-1",
            "item_id": f"i-{number}",
            "annotator_id": who,
            "label": 1,
            "submitted_at": START + timedelta(days=day),
            "updated_at": START + timedelta(days=day),
        }
        decided = START + timedelta(days=13)
        world.put("platform_submissions", **first, status="submitted")
        world.put("platform_submissions", **{**first, "updated_at": decided}, status=status, decided_at=decided)
    credit = {"client_id": "client", "chain_id": CHAIN, "token": TUSD, "at": START}
    world.put("platform_credits", entry_id="c-1", kind="topup", **credit, **pair("amount", 9_000_000))
    world.put("platform_credits", entry_id="c-2", kind="coupon", **credit, **pair("amount", 2_000_000))
    world.put(
        "platform_credits",
        entry_id="c-3",
        kind="usage",
        **credit,
        **pair("amount", 5_000_003),
        batch_root=digest("prepaid"),
    )
    world.put("platform_credits", entry_id="c-4", kind="refund", **credit, **pair("amount", 1_000_000))
    for day in range(3):
        for number in range(4):
            world.put(
                "gateway_calls",
                call_id=f"k-{day}-{number}",
                rev=1,
                root_call_id=f"k-{day}-{number}",
                client_id=("client", "other")[number % 2],
                origin="web3",
                chain_id=CHAIN,
                asset_id=4,
                asset_name="Guide",
                at=START + timedelta(days=day, hours=number),
                latency_us=(0, 1_003, 1_004, 90_000_000)[number],
                status=("ok", "SUCCEED", "timeout", "PENDING")[number],
                prompt_tokens=100,
                completion_tokens=number,
                batch_root=digest("direct") if number < 2 else None,
                source="gateway",
            )
    world.mine(hours=30)
    world.settle(4, 1_000_003, root="direct")
    world.mine(hours=24)
    world.settle(4, 5_000_003, payer="operator", root="prepaid")
    world.settle(1, 10**18 + 7, token=TAI)
    world.set_terms(3, [("bob", 9999), ("dev", 1)])
    world.settle(3, 999, fee_bps=0)
    world.mine(hours=24 * 30)
    world.claim("ann", 1000)
    world.push("2026-08-usage", "bob", 777)
    world.transaction()
    world.transfer(TREASURY, address("ann"), 2 * 10**18 + 1, TPART)
    world.transaction()
    world.transfer(TREASURY, STAKING, 10**18, TAI)
    world.emit("reference_slashed", STAKING, user=address("cyd"), **pair("amount", 5))
    world.put(
        "platform_payout_legs",
        run_id="2026-08-usage",
        leg_no=1,
        party_id="bob",
        wallet=address("bob"),
        chain_id=CHAIN,
        token=TUSD,
        **pair("amount", 777),
        kind="usage",
        period="2026-08",
        instructed_at=world.at,
        due_at=world.at,
        state="sent",
        idempotency_key="x",
    )
    world.finalize()
    return world
