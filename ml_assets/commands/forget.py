"""`ml-assets reset` and `ml-assets remove`: everything that was made of a model goes, in an order that can be repeated.

What is to go is written down first and crossed out last; killed in between, the same command finishes it, and no run
of the model starts before that. Each part is safe to delete twice.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import typer

from ml_assets.commands import dagster_history
from ml_assets.commands.model_places import ForgetRequest, ModelPlace, parts
from ml_assets.commands.progress import Show, nobody, show_work
from ml_assets.commands.screen import echo
from ml_assets.errors import DataError, MlAssetsError
from ml_assets.settings import Settings
from ml_assets.storage.files import hold_lock, write_whole

_NAME = re.compile(r"""[^/\\._'"\x00-\x1f][^/\\'"\x00-\x1f]*""")
"""What may be left over is called as somebody called a folder; it leads nowhere else."""


class ForgetError(MlAssetsError):
    """A model that cannot be reset or removed."""


def forget(request: ForgetRequest, settings: Settings, defs: Path, *, yes: bool) -> str:
    """Say what goes, ask, and delete it; the sentence that says what came of it.

    Args:
        request: the model, and what of it.
        settings: where everything lies.
        defs: the folder of model folders.
        yes: whether nobody is asked.

    Raises:
        ForgetError: there is nothing of that name, a run is in progress, or nobody can be asked.
    """
    _require_name(request.model)
    with alone(settings, request.model), dg.DagsterInstance.get() as instance:
        dagster_history.require_quiet(instance, request.model)
        with show_work(f"looking for all that is of {request.model}"):
            places = parts(request, settings, defs, instance)
        waiting = pending_command(settings, request.model)
        if waiting not in {None, request.command}:
            require_whole(settings, request.model)
        if not any(part.what for part in places) and waiting is None:
            raise ForgetError(f"there is nothing of a model {request.model!r} here: see `ml-assets status`")
        if not yes:
            _ask(request, places, settings, waiting)
        with show_work(f"deleting {request.model}", "parts", "deleted") as show:
            delete(places, _note(settings, request.model), request.command, show)
    again = f"; `ml-assets run {request.model}` starts anew" if not request.remove else ""
    return f"{request.model} was {'removed' if request.remove else 'reset'}{again}"


def delete(found: Sequence[ModelPlace], note: Path, command: str, show: Show = nobody) -> None:
    """Delete all parts, in their order, with a note of it as long as it is not done.

    Args:
        found: the parts.
        note: the file that stands as long as something is left.
        command: what finishes the work, for the note.
        show: told the part, those done and all of them.
    """
    write_whole(note, json.dumps({"command": command}))
    for number, place in enumerate(found):
        show(place.name, number, len(found))
        place.delete()
    note.unlink()
    with suppress(OSError):  # another model's is there
        note.parent.rmdir()


def pending_command(settings: Settings, model: str) -> str | None:
    """The command that was begun for a model and not finished; None: there is none."""
    try:
        return str(json.loads(_note(settings, model).read_text(encoding="utf-8"))["command"])
    except FileNotFoundError:
        return None


def interrupted_commands(settings: Settings) -> dict[str, str]:
    """Each model that was not wholly forgotten, and the command that finishes it."""
    notes = sorted((settings.state / "forgetting").glob("*.json"))
    return {note.stem: command for note in notes if (command := pending_command(settings, note.stem))}


def require_whole(settings: Settings, model: str) -> None:
    """Refuse to work with what is half deleted.

    Raises:
        ForgetError: a reset of the model was interrupted.
    """
    if command := pending_command(settings, model):
        raise ForgetError(f"`{command}` was interrupted: run it again first, it goes on where it stopped")


@contextmanager
def alone(settings: Settings, model: str) -> Iterator[None]:
    """No `ml-assets run` of the model meanwhile; the lock of a killed process is free."""
    path = settings.dagster / f"{model}.lock"
    busy = ForgetError(f"another process runs the loop of {model}: wait for it, or stop it (lock {path})")
    with hold_lock(path, busy=busy):
        yield


def _ask(request: ForgetRequest, found: Sequence[ModelPlace], settings: Settings, waiting: str | None) -> None:
    if waiting:
        echo(f"`{waiting}` was interrupted; this goes on with it.")
    echo(f"{request.command} deletes, for ever:")
    for part in found:
        if part.what:
            echo(f"  {part.name}: {part.what}")
    files = settings.incoming / request.model
    if not request.remove:
        others = "the raw tables of the other sources, " if request.source else ""
        echo(f"It keeps {others}the model's folder and the files in {files}, which the next run reads anew.")
    if not sys.stdin.isatty():
        raise ForgetError(f"nobody is there to ask: `{request.command} --yes` deletes it without asking")
    if not typer.confirm("Delete?"):
        raise ForgetError("nothing was deleted")


def _require_name(model: str) -> None:
    if not _NAME.fullmatch(model):
        raise DataError(f"{model!r} is not the name of a model: see `ml-assets status`")


def _note(settings: Settings, model: str) -> Path:
    return settings.state / "forgetting" / f"{model}.json"
