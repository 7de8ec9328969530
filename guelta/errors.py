"""Every way Guelta refuses, as one tree.

GueltaError                     exit code
├── Retryable                   3   may succeed if tried again
│   ├── SourceUnreachable       3   no endpoint, database or folder answered
│   ├── CursorMoved             3   another writer committed first: plan again
│   └── LeaseHeld               3   another process writes this stream now
└── Fatal                       1   trying again changes nothing
    ├── BadSetting              2   a setting, an argument or a name that means nothing
    ├── ForeignLake             2   a folder or a table that Guelta did not make
    ├── ChainMismatch           2   the endpoint serves another chain than configured
    ├── BadAbi                  2   an ABI that does not parse
    ├── BadModel                2   a model file that breaks its own header
    ├── BadRecording            1   recorded blocks that do not verify
    ├── BelowFinality           1   a reorg below a finalized block: an operator decides
    ├── GateRefused             1   a blocking rule failed; nothing was published
    ├── Inexact                 1   money that would not stay exact
    └── OutOfSpace              1   the disk is full; nothing was committed

A message says what was expected, what was found, and what to do next.
"""


class GueltaError(Exception):
    exit_code = 1


class Retryable(GueltaError):
    exit_code = 3


class SourceUnreachable(Retryable):
    pass


class CursorMoved(Retryable):
    pass


class LeaseHeld(Retryable):
    pass


class Fatal(GueltaError):
    pass


class BadSetting(Fatal):
    exit_code = 2


class ForeignLake(Fatal):
    exit_code = 2


class ChainMismatch(Fatal):
    exit_code = 2


class BadAbi(Fatal):
    exit_code = 2


class BadModel(Fatal):
    exit_code = 2


class BadRecording(Fatal):
    pass


class BelowFinality(Fatal):
    pass


class GateRefused(Fatal):
    """A blocking rule failed. ``rule_ids`` names every rule that did."""

    def __init__(self, message: str, rule_ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.rule_ids = rule_ids


class Inexact(Fatal):
    pass


class OutOfSpace(Fatal):
    pass
