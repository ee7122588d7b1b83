"""Where something of a model may be, what is there, and how it goes."""

import shlex
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from ml_assets.commands import dagster_history
from ml_assets.settings import Settings
from ml_assets.storage.registry import Registry


class ModelPlace(NamedTuple):
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
class ForgetRequest:
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
        """As it is typed.

        >>> ForgetRequest("churn", remove=True, keep_files=True).command
        'ml-assets remove churn --keep-files'
        """
        words = ["ml-assets", "remove" if self.remove else "reset", self.model]
        source = ["--source", self.source] if self.source else []
        return shlex.join(words + source + ["--keep-files"] * self.keep_files)


def parts(request: ForgetRequest, settings: Settings, defs: Path, instance: dg.DagsterInstance) -> list[ModelPlace]:
    """Where something of the model may be, in the order in which it goes: who answers first, what it stands on last.

    Args:
        request: the model, and what of it.
        settings: where everything lies.
        defs: the folder of model folders.
        instance: Dagster's, for the runs and the event log.
    """
    model = request.model
    remembered = dagster_history.find_history(instance, model)
    places = [
        _versions(request, settings),
        _releases(model, settings),
        _online(model, settings),
        _events(model, settings),
        _tables(request, settings),
        *(_folder(name, path / model) for name, path in _derived(settings).items()),
        ModelPlace(
            "runs",
            dagster_history.describe(remembered),
            lambda: dagster_history.forget(instance, model, remove=request.remove),
        ),
    ]
    if request.remove and not request.keep_files:
        places.append(_folder("delivered files", settings.incoming / model))
    if request.remove:
        places += [_folder("model folder", defs / model)]
    return places


def _derived(settings: Settings) -> dict[str, Path]:
    return {"search index": settings.search, "reports": settings.reports, "replays": settings.replays}


def _versions(request: ForgetRequest, settings: Settings) -> ModelPlace:
    if _not_made(settings.tracking_uri):
        return ModelPlace("versions", "", lambda: None)
    registry = Registry(settings.tracking_uri)
    with registry.rewording_errors():
        versions = [version.number for version in registry.versions(request.model)]
        champion = registry.champion(request.model)
        is_registered = registry.has_model(request.model) if request.remove else bool(versions)
    who = f", version {champion.number} is the champion" if champion else ""
    what = f"{_count(len(versions), 'version')} in the registry{who}" if is_registered or versions else ""

    def delete() -> None:
        registry.forget(request.model, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}", whole=request.remove)
        if settings.mlflow_tracking_uri is None:
            discard(settings.artifacts / request.model)

    return ModelPlace("versions", what, delete)


def _not_made(url: str) -> bool:
    """Whether it is a file of SQLite that is not there; to open it would make it."""
    file = url.removeprefix("sqlite:///")
    return file != url and not Path(file).exists()


def _releases(model: str, settings: Settings) -> ModelPlace:
    from ml_assets.serving.models.releases import Releases

    releases = Releases.at(settings.state)
    return ModelPlace(
        "releases of the server", _listed(len(releases.files(model)), "file"), lambda: releases.forget(model)
    )


def _online(model: str, settings: Settings) -> ModelPlace:
    from ml_assets.features.online.store import open_store

    def delete() -> None:
        with closing(open_store(settings.online_url)) as store:
            store.forget(model)

    if _not_made(settings.online_url):
        return ModelPlace("online features", "", lambda: None)
    with closing(open_store(settings.online_url)) as store:
        sets = store.sets(model)
    return ModelPlace("online features", f"{_listed(len(sets), 'feature set')}", delete)


def _events(model: str, settings: Settings) -> ModelPlace:
    from ml_assets.events.store import EventStore

    def delete() -> None:
        with EventStore(settings.event_store_url) as store:
            if store.exists:
                store.forget(model)

    with EventStore(settings.event_store_url) as store:
        rows = store.count(model) if store.exists else 0
    return ModelPlace(
        "events of the server", f"{rows:,} of predictions, outcomes, searches and traffic" if rows else "", delete
    )


def _tables(request: ForgetRequest, settings: Settings) -> ModelPlace:
    """All tables; where one source is named, the raw tables of the others stay."""
    root = settings.lake / request.model
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

    return ModelPlace("tables", what, delete)


def _owners(tables: Sequence[str]) -> dict[str, str]:
    """Raw table → its source: `orders_files`, `orders_quarantine` and others like them are of `orders`."""
    sources = sorted((name for name in tables if f"{name}_files" in tables), key=len, reverse=True)
    return {
        table: next((name for name in sources if table == name or table.startswith(f"{name}_")), table)
        for table in tables
    }


def _folder(name: str, path: Path) -> ModelPlace:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else []
    what = f"{_count(len(files), 'file')} in {path}" if path.exists() else ""
    return ModelPlace(name, what, lambda: discard(path))


def discard(path: Path) -> None:
    """Delete a folder so that it is there whole or not at all, whatever is killed."""
    trash = path.with_name(f".{path.name}.deleted")
    if trash.exists():
        shutil.rmtree(trash)
    if path.exists():
        path.rename(trash)
        shutil.rmtree(trash)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(number: int, noun: str) -> str:
    return _count(number, noun) if number else ""


def _size(paths: Sequence[Path]) -> str:
    size = sum(file.stat().st_size for path in paths for file in path.rglob("*") if file.is_file())
    return f"{size / 1e6:,.1f} MB"
