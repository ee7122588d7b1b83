"""`ml-assets reset` and `ml-assets remove`: everything that was made of a model goes, in an order that can be repeated.

What is to go is written down first and crossed out last; killed in between, the same command finishes it, and no run
of the model starts before that. Each part is safe to delete twice.
"""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import typer
from filelock import FileLock, Timeout

from ml_assets.commands import history
from ml_assets.commands.progress import Show, nobody, working
from ml_assets.errors import DataError, MlAssetsError
from ml_assets.registry import Registry
from ml_assets.settings import Settings

_NAME = re.compile(r"""[^/\\._'"\x00-\x1f][^/\\'"\x00-\x1f]*""")
"""What may be left over is called as somebody called a folder; it leads nowhere else."""


class ForgetError(MlAssetsError):
    """A model that cannot be reset or removed."""


class Part(NamedTuple):
    """One place where something of a model is.

    Args:
        name: for people.
        what: what is there; empty where nothing is.
        delete: makes it empty; may be called again.
    """

    name: str
    what: str
    delete: Callable[[], None]


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Args:
        model: the model's name.
        source: the one source whose tables go; None: those of all.
        remove: the folder and the delivered files go as well.
        keep_files: but not the delivered files.
    """

    model: str
    source: str | None = None
    remove: bool = False
    keep_files: bool = False

    @property
    def command(self) -> str:
        """As it is typed."""
        words = ["ml-assets", "remove" if self.remove else "reset", self.model]
        source = ["--source", self.source] if self.source else []
        return shlex.join(words + source + ["--keep-files"] * self.keep_files)


def forget(request: Request, chosen: Settings, defs: Path, *, yes: bool) -> str:
    """Say what goes, ask, and delete it; the sentence that says what came of it.

    Raises:
        ForgetError: there is nothing of that name, a run is in progress, or nobody can be asked.
    """
    _require_name(request.model)
    with alone(chosen, request.model), dg.DagsterInstance.get() as instance:
        history.require_quiet(instance, request.model)
        with working(f"looking for all that is of {request.model}"):
            found = parts(request, chosen, defs, instance)
        waiting = pending(chosen, request.model)
        if waiting not in {None, request.command}:
            require_whole(chosen, request.model)
        if not any(part.what for part in found) and waiting is None:
            raise ForgetError(f"there is nothing of a model {request.model!r} here: see `ml-assets status`")
        if not yes:
            _ask(request, found, chosen, waiting)
        with working(f"deleting {request.model}", "parts", "deleted") as show:
            delete(found, _note(chosen, request.model), request.command, show)
    again = f"; `ml-assets run {request.model}` starts anew" if not request.remove else ""
    return f"{request.model} was {'removed' if request.remove else 'reset'}{again}"


def delete(found: Sequence[Part], note: Path, command: str, show: Show = nobody) -> None:
    """Delete all parts, in their order, with a note of it as long as it is not done."""
    note.parent.mkdir(parents=True, exist_ok=True)
    part = note.with_suffix(".part")
    part.write_text(json.dumps({"command": command}), encoding="utf-8")
    part.replace(note)
    for number, place in enumerate(found):
        show(place.name, number, len(found))
        place.delete()
    note.unlink()
    with suppress(OSError):  # another model's is there
        note.parent.rmdir()


def pending(chosen: Settings, model: str) -> str | None:
    """The command that was begun for a model and not finished; None: there is none."""
    try:
        return str(json.loads(_note(chosen, model).read_text(encoding="utf-8"))["command"])
    except FileNotFoundError:
        return None


def interrupted(chosen: Settings) -> dict[str, str]:
    """Each model that was not wholly forgotten, and the command that finishes it."""
    notes = sorted((chosen.data / "forgetting").glob("*.json"))
    return {note.stem: command for note in notes if (command := pending(chosen, note.stem))}


def require_whole(chosen: Settings, model: str) -> None:
    """Refuse to work with what is half deleted.

    Raises:
        ForgetError: a reset of the model was interrupted.
    """
    if command := pending(chosen, model):
        raise ForgetError(f"`{command}` was interrupted: run it again first, it goes on where it stopped")


@contextmanager
def alone(chosen: Settings, model: str) -> Iterator[None]:
    """No `ml-assets run` of the model meanwhile; the lock of a killed process is free."""
    path = chosen.dagster / f"{model}.lock"
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout as error:
        raise ForgetError(f"another process runs the loop of {model}: wait for it, or stop it (lock {path})") from error


def parts(request: Request, chosen: Settings, defs: Path, instance: dg.DagsterInstance) -> list[Part]:
    """Where something of the model may be, in the order in which it goes: who answers first, what it stands on last."""
    model, data = request.model, chosen.data
    remembered = history.of(instance, model)
    found = [
        _versions(request, chosen),
        _releases(model, data),
        _online(model, chosen),
        _events(model, chosen),
        _tables(request, chosen),
        *(_folder(name, path / model) for name, path in _derived(chosen).items()),
        Part("runs", history.describe(remembered), lambda: history.forget(instance, model, remove=request.remove)),
    ]
    if request.remove and not request.keep_files:
        found.append(_folder("delivered files", chosen.incoming / model))
    if request.remove:
        found += [_folder("model folder", defs / model)]
    return found


def _derived(chosen: Settings) -> dict[str, Path]:
    return {"search index": chosen.search, "reports": chosen.reports, "replays": chosen.replays}


def _versions(request: Request, chosen: Settings) -> Part:
    registry = Registry(chosen.tracking_uri)
    with registry.asked():
        versions = [version.number for version in registry.versions(request.model)]
        champion = registry.champion(request.model)
        known = registry.known(request.model) if request.remove else bool(versions)
    who = f", version {champion.number} is the champion" if champion else ""
    what = f"{_count(len(versions), 'version')} in the registry{who}" if known or versions else ""

    def delete() -> None:
        registry.forget(request.model, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}", whole=request.remove)
        if chosen.mlflow_tracking_uri is None:
            discard(chosen.data / "mlflow" / "artifacts" / request.model)

    return Part("versions", what, delete)


def _releases(model: str, data: Path) -> Part:
    from ml_assets.serving.releases import Releases

    releases = Releases.at(data)
    return Part("releases of the server", _listed(len(releases.files(model)), "file"), lambda: releases.forget(model))


def _online(model: str, chosen: Settings) -> Part:
    from ml_assets.features.online import open_store

    def delete() -> None:
        with closing(open_store(chosen.online_url)) as store:
            store.forget(model)

    file = chosen.online_url.removeprefix("sqlite:///")
    if file != chosen.online_url and not Path(file).exists():  # to open it would make it
        return Part("online features", "", lambda: None)
    with closing(open_store(chosen.online_url)) as store:
        sets = store.sets(model)
    return Part("online features", f"{_listed(len(sets), 'feature set')}", delete)


def _events(model: str, chosen: Settings) -> Part:
    from ml_assets.serving.events import EventStore

    def delete() -> None:
        with EventStore(chosen.event_store_url) as store:
            if store.exists:
                store.forget(model)

    with EventStore(chosen.event_store_url) as store:
        rows = store.count(model) if store.exists else 0
    return Part(
        "events of the server", f"{rows:,} of predictions, outcomes, searches and traffic" if rows else "", delete
    )


def _tables(request: Request, chosen: Settings) -> Part:
    """All tables; where one source is named, the raw tables of the others stay."""
    root = chosen.lake / request.model
    raw = root / "raw"
    going = [root]
    if request.source is not None and root.is_dir():
        owners = _owners([path.name for path in raw.glob("*")])
        going = [path for path in sorted(root.iterdir()) if path != raw]
        going += [path for path in sorted(raw.glob("*")) if owners[path.name] == request.source]
    tables = sum(1 for path in going for _ in path.glob("**/_delta_log"))
    what = f"{_count(tables, 'table')} below {root}, {_size(going)}" if tables else ""

    def delete() -> None:
        for path in going:
            discard(path)

    return Part("tables", what, delete)


def _owners(tables: Sequence[str]) -> dict[str, str]:
    """Raw table → its source: `orders_files`, `orders_quarantine` and others like them are of `orders`."""
    sources = sorted((name for name in tables if f"{name}_files" in tables), key=len, reverse=True)
    return {
        table: next((name for name in sources if table == name or table.startswith(f"{name}_")), table)
        for table in tables
    }


def _folder(name: str, path: Path) -> Part:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else []
    what = f"{_count(len(files), 'file')} in {path}" if path.exists() else ""
    return Part(name, what, lambda: discard(path))


def discard(path: Path) -> None:
    """Delete a folder so that it is there whole or not at all, whatever is killed."""
    trash = path.with_name(f".{path.name}.deleted")
    if trash.exists():
        shutil.rmtree(trash)
    if path.exists():
        path.rename(trash)
        shutil.rmtree(trash)


def _ask(request: Request, found: Sequence[Part], chosen: Settings, waiting: str | None) -> None:
    if waiting:
        typer.echo(f"`{waiting}` was interrupted; this goes on with it.")
    typer.echo(f"{request.command} deletes, for ever:")
    for part in found:
        if part.what:
            typer.echo(f"  {part.name}: {part.what}")
    files = chosen.incoming / request.model
    if not request.remove:
        others = "the raw tables of the other sources, " if request.source else ""
        typer.echo(f"It keeps {others}the model's folder and the files in {files}, which the next run reads anew.")
    if not sys.stdin.isatty():
        raise ForgetError(f"nobody is there to ask: `{request.command} --yes` deletes it without asking")
    if not typer.confirm("Delete?"):
        raise ForgetError("nothing was deleted")


def _require_name(model: str) -> None:
    if not _NAME.fullmatch(model):
        raise DataError(f"{model!r} is not the name of a model: see `ml-assets status`")


def _note(chosen: Settings, model: str) -> Path:
    return chosen.data / "forgetting" / f"{model}.json"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(number: int, noun: str) -> str:
    return _count(number, noun) if number else ""


def _size(paths: Sequence[Path]) -> str:
    size = sum(file.stat().st_size for path in paths for file in path.rglob("*") if file.is_file())
    return f"{size / 1e6:,.1f} MB"
