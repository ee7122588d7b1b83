"""What a failed run of Dagster means to whoever typed the command: one line, without the names of classes."""

from collections.abc import Iterator
from typing import NoReturn

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from ml_assets.commands.screen import UnforeseenError, keep, log_path
from ml_assets.errors import MlAssetsError


class RunError(MlAssetsError):
    """A step of the loop failed, or there is no date to run at."""


def fail(result: dg.ExecuteInProcessResult, name: str) -> NoReturn:
    """Say which step failed first and why; the traceback goes to the log.

    Raises:
        RunError: the step says what to do.
        UnforeseenError: it does not.
    """
    for event in result.all_events:
        if event.is_step_failure and (error := event.step_failure_data.error) is not None:
            log = keep(error.to_string())
            step = f"{name}: {str(event.step_key).replace('__', '/').removeprefix(f'{name}/')}"
            if (message := _foreseen(error)) is not None:
                raise RunError(f"{step}: {message}")
            where = f"; the traceback is in {log}" if log else ""
            raise UnforeseenError(f"{step}: {_innermost(error)}{where}")
    raise UnforeseenError(f"{name}: the run failed; `ml-assets up` shows why, and {log_path()}")


def _foreseen(error: SerializableErrorInfo | None) -> str | None:
    """The outermost message of ours, which says what to do."""
    ours = {kind.__name__ for kind in _kinds(MlAssetsError)}
    while error is not None and error.cls_name not in ours:
        error = error.cause
    return None if error is None else _message(error)


def _kinds(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def _innermost(error: SerializableErrorInfo) -> str:
    while error.cause is not None:
        error = error.cause
    return f"{_message(error) or 'no message'} ({error.cls_name})"


def _message(error: SerializableErrorInfo) -> str:
    """The message without the name of its class, and without what Dagster adds."""
    plain = error.message.split("\n\nStack Trace")[0].strip()
    before, _, after = plain.partition(": ")
    has_class_name = bool(error.cls_name) and before.rpartition(".")[2] == error.cls_name
    return " ".join((after if has_class_name else plain).split())
