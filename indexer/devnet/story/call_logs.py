"""The gateway's call logs: one JSONL file a day, with the dirt that real exports have."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from indexer.devnet.story.calls import Call
from indexer.devnet.story.clock import START, text

Line = dict[str, Any]
EXTRA_DAY = "2026-09-23"  # this day's export has a column more than the others
REPLAY_DAY = "2026-10-14"  # exported a second time by a newer gateway that renamed a column
RENAMED = ("at", "timestamp")


def write(folder: Path, files: Mapping[str, Sequence[str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        target = folder / f"calls-{name}.jsonl"
        draft = target.with_suffix(".new")
        draft.write_text("".join(raw + "\n" for raw in lines), "utf-8")
        draft.rename(target)


def exported(
    calls: Sequence[Call], tokens: Mapping[str, str], names: Mapping[int, str], rng: random.Random, chain_id: int
) -> tuple[dict[str, list[str]], dict[str, int]]:
    """The lines of every day's file, and how many rows of each kind of dirt stand in them."""
    dirt: Counter[str] = Counter(duplicate=0, corrected=0, malformed=0, drifted=0, extra_column=0)
    files: dict[str, list[str]] = defaultdict(list)
    keys = {c: sha256(c.encode()).hexdigest()[:32] for c in {call.client for call in calls}}
    bad_every = max(1, len(calls) // 24)
    # Calls were made in order of their day but not within it.
    for number, call in enumerate(sorted(calls, key=lambda c: (c.at, c.call_id))):
        line = _line(call, tokens, names[call.asset], keys[call.client], chain_id)
        day = line["at"][:10]
        if day == EXTRA_DAY:
            line["region"] = "eu-2"
            dirt["extra_column"] += 1
        if rng.randrange(300) == 0:
            dirt["corrected"] += 1
            files[day].append(_text(_mistaken(line, rng)))
            later = (START + timedelta(microseconds=call.at, days=rng.randrange(3))).strftime("%Y-%m-%d")
            files[later].append(_text(line | {"rev": 2}))
            continue
        files[day].append(_text(line))
        if rng.randrange(200) == 0:
            dirt["duplicate"] += 1
            files[day].append(_text(line))
        if number % bad_every == bad_every // 2:
            dirt["malformed"] += 1
            files[day].append(_damaged(line, dirt["malformed"]))
    if REPLAY_DAY in files:
        replayed = [json.loads(raw) for raw in files[REPLAY_DAY][:200] if _whole(raw)]
        old, new = RENAMED
        renamed = [{new if key == old else key: value for key, value in line.items()} for line in replayed]
        files[f"{REPLAY_DAY}-replay"] = [_text(line) for line in renamed]
        dirt["drifted"] = len(renamed)
    return dict(files), dict(dirt)


def _line(call: Call, tokens: Mapping[str, str], name: str, api_key: str, chain_id: int) -> Line:
    return {
        "call_id": call.call_id,
        "rev": 1,
        "parent_call_id": call.parent,
        "root_call_id": call.root,
        "client_id": call.client,
        "api_key_hash": api_key,
        "origin": call.origin,
        "chain_id": chain_id,
        "asset_id": call.asset,
        "asset_name": name,
        "provider": call.provider,
        "at": text(START + timedelta(microseconds=call.at)),
        "latency_us": call.latency_us,
        "status": call.status,
        "prompt_tokens": call.prompt_tokens,
        "completion_tokens": call.completion_tokens,
        "units": 1 if call.status == "ok" else 0,
        "adapters": call.adapters,
        "price": None if call.price is None else str(call.price),
        "token": tokens[call.token] if call.token else None,
        "batch_root": "0x" + call.batch_root.hex() if call.batch_root else None,
    }


def _mistaken(line: Line, rng: random.Random) -> Line:
    """What the gateway wrote first and corrected later."""
    if line["price"] is not None and rng.randrange(2):
        return line | {"price": line["price"] + "0"}
    return line | {"latency_us": 0, "completion_tokens": None}


def _damaged(line: Line, turn: int) -> str:
    """A broken copy beside the good line, one kind after the other."""
    kind = turn % 6
    if kind == 0:
        return _text(line)[: 40 + turn]
    changes: tuple[Line, ...] = (
        {"prompt_tokens": -5},
        {"latency_us": "soon"},
        {"price": 0.0125},
        {"call_id": None},
        {"at": "yesterday"},
    )
    return _text(line | changes[kind - 1])


def _whole(raw: str) -> bool:
    return raw.endswith("}")


def _text(line: Line) -> str:
    return json.dumps(line, separators=(",", ":"))
