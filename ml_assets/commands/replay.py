"""`ml-assets replay`: retraining policies over history, compared.

Models, scores and measurements are always reused where they stand. An interrupted replay leaves what it was asked for
in `<data>/replay/<model>/request.json`; `--resume` finishes exactly that, with the same dates and policies.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.commands.progress import Show, show_work
from ml_assets.commands.project import Project
from ml_assets.commands.screen import echo, plain
from ml_assets.components.monitor import Monitor
from ml_assets.errors import DataError, DeclarationError
from ml_assets.ingest.ingest import ingests
from ml_assets.replay.walk import Replay, ReplayStore, replay, replayable_dates, standard_policies
from ml_assets.spec.cadence import parse_date
from ml_assets.spec.load import parse_policy
from ml_assets.spec.monitor import MonitorSpec, RetrainSpec
from ml_assets.storage.files import hold_lock, write_whole

if TYPE_CHECKING:
    from rich.table import Table

_REQUEST = "request.json"


@dataclass(frozen=True)
class ReplayRequest:
    """What a replay was asked for.

    Args:
        first: the first as-of date, as ISO text; empty = the first possible.
        last: the last one; empty = the last possible.
        metric: what is compared; empty = what the declared policy watches.
        policies: further ones: file name → its text.
    """

    first: str = ""
    last: str = ""
    metric: str = ""
    policies: Mapping[str, str] = field(default_factory=dict)


def run(project: Project, name: str, asked: ReplayRequest, *, resume: bool, as_json: bool) -> None:
    """Replay the policies of a model and print the comparison: a table, or one JSON object.

    Args:
        project: the loaded project.
        name: the model.
        asked: dates, policies and metric.
        resume: whether the interrupted replay is finished, with what was asked then.
        as_json: whether one JSON object is printed in place of a table.

    Raises:
        DataError: a date, a file or the data are not there; another process replays the model.
        DeclarationError: a policy says what it may not.
        TrainingError: there is no date to replay.
    """
    from rich.console import Console

    started, root = time.perf_counter(), project.settings.replays / project.model(name).folder
    store = ReplayStore(root)
    with show_work(f"replay {name}", within=f"the replay of {name}, ") as progress, _alone(name, root):
        from ml_assets.replay.plot import figure

        done = _replayed(project, name, _resumed(store, name, asked) if resume else asked, store, progress)
        picture = write_whole(project.settings.reports / name / "policy_replay.png", figure(done))
    if as_json:
        echo(json.dumps(done.to_json() | {"plot": str(picture)}))
    else:
        console = Console()
        console.print(table(done, time.perf_counter() - started))
        console.print(f"plot: {picture}", soft_wrap=True, highlight=False)


def table(done: Replay, seconds: float) -> "Table":
    """The comparison for people."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    span = f"{len(done.dates)} as-of dates from {done.dates[0]} to {done.dates[-1]}"
    made = Table(
        title=f"{done.model}: retraining policies over {span}", title_justify="left", box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0), caption_justify="left",
        caption=f"{done.metric}, {done.beside}: realised, mean of the dates. lost: {done.metric} × weeks behind the "
        "best policy of each date. seconds: of the retrainings, as measured when they were done. "
        f"{escape(plain(done.best))} lost least. Replayed in {seconds:.1f} s",
    )  # fmt: skip
    rows = done.rows()
    for column in rows[0]:
        words = column in {"policy", "why and when"}
        made.add_column(column, justify="left" if words else "right", no_wrap=column != "why and when")
    for row in rows:
        made.add_row(*(escape(plain(value)) for value in row.values()))
    return made


def read(paths: Sequence[Path]) -> dict[str, str]:
    """The texts of policy files, by path.

    Raises:
        DataError: one cannot be read.
    """
    found = {}
    for path in paths:
        try:
            found[str(path)] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"--policy {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return found


def _replayed(project: Project, name: str, asked: ReplayRequest, store: ReplayStore, progress: Show) -> Replay:
    folder, lake = project.folder(name), project.lake
    found = project.model(name).siblings(project.tree, Monitor)
    monitor = found[0].spec if found else MonitorSpec()
    policies = _policies(standard_policies(folder, monitor), asked.policies)
    for relation in (*folder.population.relations, *folder.labels.relations):
        if not ingests(lake, relation.table):
            raise DataError(f"{relation.table} holds no rows: `ml-assets run {name}` brings its files into the lake")
    dates = replayable_dates(lake, folder, _date("--from", asked.first), _date("--to", asked.last))
    fixed = asdict(asked) | {"first": str(dates[0]), "last": str(dates[-1])}
    store.write(_REQUEST, content=json.dumps(fixed).encode())
    done = replay(
        lake, folder, monitor, policies, dates,
        store=store, metric=asked.metric or None, workers=project.settings.workers,
        say=lambda done, total, what: progress(what, done, total),
    )  # fmt: skip
    store.remove(_REQUEST)
    return done


def _policies(known: dict[str, RetrainSpec], files: Mapping[str, str]) -> dict[str, RetrainSpec]:
    """The standard policies and those of files, which are named after them."""
    for where, text in files.items():
        name = Path(where).stem
        if name in known:
            raise DeclarationError(f"{where}: there is a policy {name!r} already: give the file another name")
        known[name] = parse_policy(text, where)
    return known


def _resumed(store: ReplayStore, name: str, asked: ReplayRequest) -> ReplayRequest:
    if asked != ReplayRequest():
        raise DataError("--resume goes on with the dates and policies of the interrupted replay: leave the others out")
    kept = store.read(_REQUEST)
    if kept is None:
        raise DataError(f"no replay of {name} was interrupted: run it without --resume; what stands is reused anyway")
    return ReplayRequest(**json.loads(kept))


def _date(option: str, text: str) -> date | None:
    return parse_date(text, option) if text else None


@contextmanager
def _alone(name: str, root: Path) -> Iterator[None]:
    """One replay of a model at a time; the lock of a killed process is free."""
    lock = root / "lock"
    with hold_lock(lock, busy=DataError(f"another process replays {name}: wait for it, or stop it (lock {lock})")):
        yield
