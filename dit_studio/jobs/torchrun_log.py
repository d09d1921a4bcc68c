"""What torchrun writes of the process that failed first, when it gives up."""

import re

import msgspec

_START = " preparing at step "  # the first process's first words, of each start
_FIRST = re.compile(
    r"Root Cause \(first observed failure\):.*?"
    r"^\s*host\s*: (?P<host>\S+).*?^\s*rank\s*: (?P<rank>\d+).*?^\s*exitcode\s*: (?P<code>-?\d+)",
    re.DOTALL | re.MULTILINE,
)


class FirstFailure(msgspec.Struct, frozen=True):
    rank: int
    host: str
    exit_code: int  # below 0: the signal that killed it


def first_failure(log: str) -> FirstFailure | None:
    """The last start's, from the end of its log; None if that does not say."""
    found = list(_FIRST.finditer(log, max(0, log.rfind(_START))))
    if not found:
        return None
    return FirstFailure(int(found[-1]["rank"]), found[-1]["host"], int(found[-1]["code"]))
