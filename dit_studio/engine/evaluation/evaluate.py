"""The job of one comparison, for a command that writes its result into a file."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

from dit_studio.engine.evaluation.one_evaluation import Shared, evaluate_one, parse_request
from dit_studio.errors import ConfigError, RunError
from dit_studio.evaluation_request import encode_result
from dit_studio.events import EvaluationDone, Event, SettingsRefused, Written
from dit_studio.files import naming_disk_errors, why_not_writable, write_atomically


def evaluate(request: dict[str, Any], out: str = "", device: str = "auto") -> Generator[Event]:
    """Progress…, then EvaluationDone; and Written, if `out` names a file for the result.

    Closed at any event it keeps the images and features so far, and the same request goes on there. A request that
    cannot be served is answered with SettingsRefused. Raises: DataError, CheckpointError, DiskFullError or RunError.
    """
    _check_target(out)
    try:
        evaluated = yield from evaluate_one(parse_request(request), Shared(device=device))
    except ConfigError as error:
        yield SettingsRefused(problems=tuple((problem.field, problem.message) for problem in error.problems))
        return
    text = encode_result(evaluated.result)
    yield EvaluationDone(result=text.decode())  # before it is written: a full disk takes no figure away
    if out:
        with naming_disk_errors(Path(out)):
            Path(out).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(Path(out), text)
        yield Written(file=out, size_bytes=len(text))


def _check_target(out: str) -> None:
    """Before the work, not after it. Raises: RunError."""
    if out and Path(out).is_dir():
        raise RunError(f"{out} is a folder, and the result goes into a file.", remedy="Name a file, as result.json.")
    if out and (why := why_not_writable(Path(out).parent)):
        raise RunError(why, remedy="Choose a folder that you may write to.")
