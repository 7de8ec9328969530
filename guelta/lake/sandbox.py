"""Strangers' SQL: one process a query, over a copy that holds only marts, behind locks that do not trust each other.

SQL is code, so the sandbox is the process (50-surface §5). This file is both sides of the pipe: ``query()`` here, and
run as a script it is the child. Above ``query()`` only light imports: the child limits itself before it loads DuckDB.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guelta.errors import BadSetting, Fatal

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from guelta.lake import Lake

BYTES = 64 * 2**20  # the largest answer
_LONGEST = 100_000  # characters of SQL
_ADDRESS_SPACE = 3 * 2**30
_GRACE_S = 2.0  # between the interrupt and SIGKILL
_START_S = 60.0  # a loaded machine imports slowly; no SQL runs in this time
_KEPT_S = 600.0  # an outdated copy may still be opened by a child that was just started
_NOBODY = 65534
_LOCKED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "python_enable_replacements": False,
    "memory_limit": "512MB",
    "threads": 1,
}


@dataclass(frozen=True, slots=True)
class Result:
    table: "pa.Table"
    truncated: bool  # there were more rows than asked for
    seconds: float


def query(
    lake: "Lake", sql: str, *, limit: int = 10_000, seconds: float = 30.0, most_bytes: int = BYTES, log: Path | None
) -> Result:
    """The rows of one SELECT over the lake's marts, and nothing else of this machine.

    Args:
        lake: whose ``marts`` may be read; they are copied once per version.
        sql: one SELECT, or EXPLAIN of one.
        limit: rows at most.
        seconds: it is interrupted after this, and killed two seconds later.
        most_bytes: a larger answer is refused.
        log: a file that gets a line for each query: when, who, what, and how it ended.

    Raises:
        BadSetting: not one SELECT, or SQL that does not run.
        Fatal: it took too long, or too much memory, or answered too much.
    """
    if limit < 1 or seconds <= 0:
        raise BadSetting(f"expected a limit and seconds above zero, found {limit} and {seconds}")
    if len(sql) > _LONGEST:
        raise BadSetting(f"expected at most {_LONGEST:,} characters of SQL, found {len(sql):,}")
    request = {"sql": sql, "limit": limit, "seconds": seconds, "bytes": most_bytes, "database": str(copy(lake))}
    began = time.monotonic()
    head, body = _ask(request)
    took = time.monotonic() - began
    if log:
        _write_down(log, sql, head, took)
    if head["verdict"] != "done":
        raise (BadSetting if head["verdict"] == "refused" else Fatal)(f"the query was {head['verdict']}: {head['why']}")
    import pyarrow as pa

    rows = pa.ipc.open_stream(body).read_all()
    return Result(rows.slice(0, limit), rows.num_rows > limit, head["seconds"])


def copy(lake: "Lake") -> Path:
    """The marts as a file of their own, under a name and in a folder that tell a reader nothing; made once a version.

    Views would not do: a query that may not touch files cannot read through them either.
    """
    marts = [name for name in lake.tables() if name.startswith("marts.")]
    pin = lake.pin(marts)
    # A table that was dropped and rebuilt counts its versions anew; the names of its files never come back.
    content = json.dumps([(name, sorted(lake.table(name).files(version=pin[name]))) for name in marts])
    mine = hashlib.sha256((lake.root if lake.remote else os.path.realpath(lake.root)).encode()).hexdigest()[:12]
    file = _folder() / f"{mine}-{hashlib.sha256(content.encode()).hexdigest()[:12]}.duckdb"
    if not file.is_file():
        draft = file.with_suffix(f".{os.getpid()}")
        draft.unlink(missing_ok=True)
        with lake.duck(marts, pin=pin) as con:
            con.execute(f"attach '{draft}' as copied")
            con.execute("create schema copied.marts")
            for name in marts:
                con.execute(f"create table copied.{name} as select * from {name}")
            con.execute("checkpoint copied")  # all of it in one file, which is all that is renamed
            con.execute("detach copied")
        draft.rename(file)
    for old in file.parent.glob(f"{mine}-*"):
        if old != file and time.time() - old.stat().st_mtime > _KEPT_S:
            old.unlink(missing_ok=True)
    return file


def _folder() -> Path:
    """Ours alone; everybody may write beside it."""
    folder = Path(tempfile.gettempdir(), f"guelta-sql-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Fatal(f"{folder} is not a private folder of this user; remove it, it is made again")
    return folder


def _ask(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The child's verdict and its rows. Whatever happens, the child is dead when this returns."""
    with (
        tempfile.TemporaryDirectory(prefix="sql-") as empty,
        subprocess.Popen(  # noqa: S603  # this very file; the SQL travels through the pipe
            [sys.executable, "-I", "-B", __file__],
            cwd=empty,
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child,
    ):
        assert child.stdin
        assert child.stdout
        try:
            with _killed_after(_START_S, child):
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.write(json.dumps(request).encode())
                    child.stdin.close()
                ready = child.stdout.readline(64)
            if ready != b"ready\n":
                return {
                    "verdict": "stopped",
                    "why": "its process did not start; guelta doctor looks at the machine",
                }, b""
            with _killed_after(request["seconds"] + _GRACE_S, child):
                head, body = child.stdout.readline(2**20), child.stdout.read(2 * request["bytes"])
                if child.stdout.read(1):
                    return {"verdict": "stopped", "why": _too_much(request["bytes"])}, b""
                child.wait()
        finally:
            child.kill()
    if child.returncode or not head.endswith(b"\n"):
        why = f"it took more than {request['seconds']:g} s and did not stop when told, or broke its limits; narrow it"
        return {"verdict": "stopped", "why": why}, b""
    return json.loads(head), body


@contextlib.contextmanager
def _killed_after(seconds: float, child: "subprocess.Popen[bytes]") -> Iterator[None]:
    timer = threading.Timer(seconds, child.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _write_down(log: Path, sql: str, head: dict[str, Any], took: float) -> None:
    import getpass
    from datetime import UTC, datetime

    line = {"at": datetime.now(UTC).isoformat(), "who": getpass.getuser(), "sql": sql, "verdict": head["verdict"]}
    line |= {"rows": head.get("rows"), "why": head.get("why"), "milliseconds": int(took * 1000)}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _too_much(most: int) -> str:
    return f"the answer is larger than {most:,} bytes; aggregate, or select fewer columns"


# -- the child ------------------------------------------------------------------------------------------------------


def _child() -> None:
    request = json.loads(sys.stdin.buffer.read())
    _limit(int(request["seconds"]))
    _leave_the_network()
    sys.modules["numpy"] = None  # type: ignore[assignment]  # neither needs it, and it is half of their start
    import duckdb
    import pyarrow as pa  # noqa: F401  # loaded while files may still be opened

    con = duckdb.connect(request["database"], read_only=True, config=_LOCKED)
    con.execute("set timezone = 'UTC'")
    con.execute("set lock_configuration = true")
    _become_nobody()
    out = sys.stdout.buffer
    out.write(b"ready\n")
    out.flush()
    head, body = _answer(con, request)
    out.write(json.dumps(head).encode() + b"\n" + body)
    out.flush()
    os._exit(0)  # a query that cannot be interrupted would hold up an orderly end


def _limit(seconds: int) -> None:
    for what, most in (
        (resource.RLIMIT_AS, _ADDRESS_SPACE),
        (resource.RLIMIT_CPU, seconds + 10),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of address space
            resource.setrlimit(what, (most, most))


def _leave_the_network() -> None:
    """Where the kernel lets us: a network of our own, with nobody in it."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        if libc.unshare(0x40000000):  # CLONE_NEWNET; without privilege only inside a user namespace of our own
            libc.unshare(0x50000000)


def _become_nobody() -> None:
    """After the file is open, for then nothing is left to be allowed to; and die together with the parent."""
    with contextlib.suppress(OSError):
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL; a change of user would forget it
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS


def _answer(con: "duckdb.DuckDBPyConnection", request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    import duckdb
    import pyarrow as pa

    began = time.monotonic()
    timer = threading.Timer(request["seconds"], con.interrupt)
    timer.daemon = True
    timer.start()
    try:
        text = _gated(con, request["sql"], request["limit"])
        batches, size, rows = [], 0, 0
        reader = con.sql(text).to_arrow_reader(8192)
        for batch in reader:
            batches.append(batch)
            size, rows = size + batch.nbytes, rows + batch.num_rows
            if size > request["bytes"]:
                return {"verdict": "stopped", "why": _too_much(request["bytes"])}, b""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, reader.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        took = time.monotonic() - began
        return {"verdict": "done", "rows": min(rows, request["limit"]), "seconds": took}, sink.getvalue().to_pybytes()
    except (MemoryError, duckdb.OutOfMemoryException, pa.ArrowMemoryError) as error:
        first = str(error).partition("\n")[0]
        return {"verdict": "stopped", "why": f"it needs too much memory; narrow it ({first})"}, b""
    except Exception as error:  # noqa: BLE001  # whatever it is, the other side is told
        if isinstance(error, duckdb.InterruptException) or time.monotonic() - began >= request["seconds"]:
            why = f"it ran longer than {request['seconds']:g} s; narrow it, or give it more seconds"
            return {"verdict": "stopped", "why": why}, b""
        return {"verdict": "refused", "why": "\n".join(line for line in str(error).splitlines()[:6] if line)}, b""


def _gated(con: "duckdb.DuckDBPyConnection", sql: str, limit: int) -> str:
    """What may run: one SELECT, wrapped so that it cannot stand at the top level; or EXPLAIN of one.

    The type of the statement alone says too little: a WITH that inserts, and EXPLAIN ANALYZE of anything, pass for it.
    """
    import duckdb

    kinds = _kinds(con, sql)
    if kinds == ["EXPLAIN"]:
        words = [at for at, kind in duckdb.tokenize(sql) if kind != duckdb.token_type.comment]
        explained = sql.encode()[words[1] :].decode()
        if explained.lower().startswith(("analy", "(")) or _kinds(con, explained) != ["SELECT"]:
            raise duckdb.InvalidInputException("expected EXPLAIN of one SELECT, without ANALYZE and options")
        return f"explain {_wrapped(con, explained, limit)}"
    if kinds != ["SELECT"]:
        found = ", ".join(kinds) or "nothing"
        raise duckdb.InvalidInputException(
            f"expected one SELECT, found {found}"
            + ("; PIVOT needs its values listed with IN here" if "MULTI" in kinds else "")
        )
    return _wrapped(con, sql, limit)


def _kinds(con: "duckdb.DuckDBPyConnection", sql: str) -> list[str]:
    return [str(statement.type).rpartition(".")[2] for statement in con.extract_statements(sql)]


def _wrapped(con: "duckdb.DuckDBPyConnection", sql: str, limit: int) -> str:
    import duckdb

    text = con.extract_statements(sql)[0].query.encode()
    for at, kind in reversed(duckdb.tokenize(text.decode())):  # what follows the statement: comments, semicolons
        if kind != duckdb.token_type.comment and text[at:].strip() != b";":
            break
        text = text[:at]
    return f"select * from ({text.decode()}\n) limit {limit + 1}"


if __name__ == "__main__":
    _child()
