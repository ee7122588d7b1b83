"""Every command at a pseudo-terminal: what a person sees there, and what Ctrl-C does."""

import json
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import typer.main
from typer.core import TyperGroup

from ml_assets.cli import app
from ml_assets_tests.modes import open_to_others
from ml_assets_tests.processes import environment
from ml_assets_tests.project_copy import copy_project
from ml_assets_tests.terminal import Session, at_terminal

COMMAND = Path(sys.executable).with_name("ml-assets")
TERMINALS = [(80, "dumb"), (200, "dumb"), (80, "xterm-256color"), (200, "xterm-256color")]

SILENCE = 2.0
"""Seconds."""

BUSY = 6.0
"""How much longer a gap may be where tests run side by side on two cores."""

_CLASS = re.compile(r"^(ml-assets: )?([a-z_]+\.)+[A-Za-z_]*(Error|Exception|Warning)\b", re.MULTILINE)
_NOISE = re.compile(r"Traceback|Warning\b|warnings\.warn|site-packages|\[W:onnx|DeprecationWarning")


@dataclass(frozen=True)
class Place:
    """A copy of the project with one more model, `tiny`, and the data of its first run."""

    root: Path

    def copy(self, to: Path) -> "Place":
        """A data folder of its own; the project is shared."""
        shutil.copytree(self.root / "data", to / "data")
        (to / "project").symlink_to(self.root / "project")
        return Place(to)

    def type(self, *arguments: str, columns: int = 80, term: str = "xterm-256color", **more: object) -> Session:
        """Type a command."""
        project = (self.root / "project").resolve()
        own = environment(self.root / "data", PYTHONPATH=str(project))
        return at_terminal([COMMAND, *arguments], own, columns=columns, term=term, cwd=project, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("terminal")
    copy_project(root / "project")
    return Place(root)


@pytest.fixture(scope="module")
def first(empty: Place) -> Session:
    """The first run of the model: everything is trained."""
    _clean(empty.type("new", "tiny", columns=200))
    return empty.type("run", "tiny")


@pytest.fixture(scope="module")
def place(empty: Place, first: Session) -> Place:
    """The place after it; a test that writes takes a copy."""
    _clean(first)
    return empty


@pytest.mark.slow
def test_nobody_else_may_read_what_a_run_wrote(place: Place) -> None:
    assert open_to_others(place.root / "data") == []


def _clean(session: Session, code: int = 0) -> None:
    """What holds of every command at every terminal."""
    assert session.code == code, session.text
    assert not _CLASS.search(session.text), session.text
    assert not _NOISE.search(session.text), session.text
    assert session.silence < SILENCE + BUSY, (session.silence, session.text)


def _invoices(folder: Path) -> Path:
    """Two lines of Online Retail II."""
    lines = ["Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"]
    lines += [f"48943{day},85048,LIGHTS,12,2011-12-0{day} 08:30:00,6.95,13085,United Kingdom" for day in (4, 9)]
    path = folder / "invoices.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


SOON = str(datetime.now(UTC).date() + timedelta(days=9))

# Each command that ends by itself, as somebody would type it; `{tmp}` is a folder of the test.
TYPED: dict[str, tuple[str, ...]] = {
    "run": ("run", "tiny"),
    "new": ("new", "another"),
    "status": ("status",),
    "doctor": ("doctor",),
    "replay": ("replay", "tiny", "--from", "{replay}"),
    "data simulate": ("data", "simulate", "--customers", "60", "--months", "14"),
    "data online-retail": ("data", "online-retail", "--from", "{tmp}/invoices.csv"),
    "data documents": ("data", "documents", "--documents", "6", "--weeks", "2"),
    "data traffic": ("data", "traffic", "tiny", "--url", "http://127.0.0.1:9", "--minutes", "0.01"),
    "data retry": ("data", "retry", "tiny"),
    "data undo": ("data", "undo", "tiny/events", "sample.parquet", "--yes"),
    "export": ("export", "tiny", "predictions", "--to", "{tmp}/predictions.csv"),
    "explain": ("explain", "nobody"),
    "reset": ("reset", "tiny", "--yes"),
    "remove": ("remove", "gone", "--yes"),
    "rollout": ("rollout", "tiny"),
    "experiment list": ("experiment", "list"),
    "experiment show": ("experiment", "show", "tiny", "price"),
    "experiment stop": ("experiment", "stop", "tiny", "price", "--reason", "a test"),
    "rollback": ("rollback", "tiny", "--reason", "a test"),
    "release show": ("release", "tiny"),
    "release verify": ("release", "verify", "tiny"),
    "release waive": ("release", "waive", "tiny", "alerts", "--until", "{soon}", "--reason", "a test"),
    "key new": ("key", "new"),
    "key show": ("key", "show"),
    "token add": ("token", "add", "app"),
    "token list": ("token", "list"),
    "token remove": ("token", "remove", "app"),
}
REFUSED = {"data retry", "data traffic", "explain", "experiment show", "experiment stop", "rollback", "remove"}
"""Commands that have nothing to do for the model of these tests, and say so in a line: exit code 2."""

LONG = {"run", "replay"}
"""Commands that take longer than the others; `run` is tried in more tests than this one."""

SERVICES = {"up", "serve"}
"""Commands that go on until somebody ends them."""


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if not isinstance(command, TyperGroup):
        yield " ".join(path)
        return
    context = typer.Context(command)
    for name in command.list_commands(context):
        yield from _leaves(command.get_command(context, name), (*path, name))


def test_every_command_is_tried_at_a_terminal() -> None:
    assert set(_leaves(typer.main.get_command(app))) == {*TYPED, *SERVICES}


_WORK = """
import os, sys, time, warnings
from ml_assets.commands.environment import prepare
from ml_assets.commands.progress import show_work
from ml_assets.settings import read_settings
prepare(read_settings())
with show_work("churn 2026-11-29", within="churn/") as show:
    print("noise of a library"); warnings.warn("noise of a library"); os.write(2, b"noise of C")
    for step in range({steps}):
        show("features/purchases: month 3 of 9" if step % 2 else "[labels]", step if step > 2 else 0, 9 if step else 0)
        time.sleep(0.3)
    {more}
print("the end")
"""


@pytest.fixture(scope="module")
def side_by_side() -> Iterator[ThreadPoolExecutor]:
    """Most of a session is waiting for the next step: several go on at a time."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def _work(tmp_path: Path, steps: int, more: str = "", **how: object) -> Session:
    """Work of some steps, as a script; Ctrl-C is what the command line makes of it."""
    code = "import ml_assets.cli as cli, typer\n@cli.app.command()\ndef work():\n" + "".join(
        f"    {line}\n" for line in _WORK.format(steps=steps, more=more).strip().splitlines()
    )
    return at_terminal([sys.executable, "-c", f"{code}\ncli.main()", "work"], environment(tmp_path), **how)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def progress(
    side_by_side: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[int, str], tuple[Path, "Future[Session]"]]:
    """The data folder and the session of each terminal."""
    folders = {terminal: tmp_path_factory.mktemp("progress") for terminal in TERMINALS}
    return {
        (columns, term): (folder, side_by_side.submit(_work, folder, 6, columns=columns, term=term))
        for (columns, term), folder in folders.items()
    }


@pytest.mark.parametrize(("columns", "term"), TERMINALS)
def test_progress_is_shown_and_nothing_else(
    progress: dict[tuple[int, str], tuple[Path, "Future[Session]"]], columns: int, term: str
) -> None:
    folder, future = progress[columns, term]
    session = future.result()
    _clean(session)
    assert "noise" not in session.text
    assert "noise of C" in (folder / "logs" / "ml-assets.log").read_text()
    assert re.search(r"churn 2026-11-29\s.*\[labels\]", session.text)
    assert re.search(
        r"3/9\s.*features/purchases: month 3" + (" of 9" if term == "dumb" or columns > 80 else ""), session.text
    )
    assert session.lines[-1] == "the end"
    if term != "dumb":
        assert session.lines == ["the end"], "what was drawn is gone"


@pytest.fixture(scope="module")
def interrupted(
    side_by_side: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, "Future[Session]"]:
    """A session with Ctrl-C for each kind of terminal."""
    return {
        term: side_by_side.submit(_work, tmp_path_factory.mktemp("interrupted"), 40, term=term, press=r"5/9")
        for term in ("dumb", "xterm-256color")
    }


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
def test_ctrl_c_says_what_is_done_and_how_to_go_on(interrupted: dict[str, "Future[Session]"], term: str) -> None:
    session = interrupted[term].result()
    _clean(session, 130)
    said = "ml-assets: stopped in churn/features/purchases; 5 of 9 steps are done and kept; run `ml-assets work` again"
    assert session.lines[-1].startswith(said)
    assert session.ending < 2


def test_work_that_does_not_listen_is_ended_all_the_same(tmp_path: Path) -> None:
    deaf = "import hashlib; show('deaf', 4, 9); hashlib.pbkdf2_hmac('sha256', b'a', b'b', 60_000_000)"
    session = _work(tmp_path, 1, deaf, press=r"deaf")
    _clean(session, 130)
    assert "4 of 9 steps are done" in session.lines[-1]
    assert session.ending < 9


def test_what_a_library_makes_of_ctrl_c_does_not_matter(tmp_path: Path) -> None:
    swallowed = """
    try:
        show("here", 1, 2); time.sleep(30)
    except KeyboardInterrupt:
        raise ValueError("library.errors.Cancelled: of no use to anybody")"""
    session = _work(tmp_path, 1, swallowed.strip().replace("\n    ", "\n    "), press="here")
    _clean(session, 130)
    assert "1 of 2 steps are done" in session.lines[-1]


@pytest.mark.parametrize("imported", ["ml_assets.errors", "typer", "ml_assets.settings"])
def test_ctrl_c_while_the_command_begins_is_one_line(tmp_path: Path, imported: str) -> None:
    """Python itself says what it imports, so that the moment is the same on every machine."""
    command = [sys.executable, "-X", "importtime", "-m", "ml_assets", "status"]
    session = at_terminal(command, environment(tmp_path), press=rf"\| +{imported}\n?\r")
    assert session.code == 130
    assert session.lines[-1].startswith("ml-assets: stopped")
    assert "Traceback" not in session.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "columns", "term"),
    [(name, 80, "dumb") for name in TYPED]
    + [(name, 200, "xterm-256color") for name in TYPED if name not in LONG | REFUSED],
)
def test_a_command_ends_with_a_clean_screen(place: Place, tmp_path: Path, name: str, columns: int, term: str) -> None:
    own = place.copy(tmp_path)
    _invoices(tmp_path)
    if name == "new":
        shutil.rmtree(tmp_path / "data" / "incoming" / "another", ignore_errors=True)
        shutil.rmtree(place.root / "project" / "ml_assets" / "defs" / "another", ignore_errors=True)
    if name == "token remove":
        own.type("token", "add", "app")
    words = [word.format(tmp=tmp_path, replay=_late(own), soon=SOON) for word in TYPED[name]]
    session = own.type(*words, columns=columns, term=term)
    shutil.rmtree(place.root / "project" / "ml_assets" / "defs" / "another", ignore_errors=True)
    _clean(session, 2 if name in REFUSED else 0)


def _late(place: Place) -> str:
    """A date from which a replay is short."""
    incoming = place.root / "data" / "incoming" / "tiny" / "events" / "sample.parquet"
    last = pc.max(pq.read_table(incoming, columns=["happened_at"])["happened_at"]).as_py().date()
    return str(last - timedelta(days=40))


@pytest.mark.slow
def test_a_run_ends_with_its_table_and_whole_addresses(place: Place, first: Session) -> None:
    answer = json.loads(place.type("run", "tiny", "--json", columns=200).lines[-1])["tiny"]
    for address in (answer["mlflow"], "http://127.0.0.1:3000/locations/ml_assets/asset-groups/tiny"):
        assert any(address in line for line in first.lines), first.screen
    assert any(line.startswith("│champion") for line in first.lines), first.screen


@pytest.mark.slow
def test_up_says_where_everything_is_and_ctrl_c_that_nothing_is_left(place: Place, tmp_path: Path) -> None:
    ports = [word for name in ("--port", "--mlflow-port", "--serve-port") for word in (name, str(_free_port()))]
    session = place.copy(tmp_path).type("up", *ports, press="Ctrl-C stops everything")
    _clean(session, 130)
    for service in ("Dagster", "MLflow", "Predictions"):
        assert any(re.search(rf"^{service}: http://127.0.0.1:\d+ ", line) for line in session.lines), session.screen
    assert "nothing is left running" in session.lines[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_several_models_are_run_and_one_that_fails_stops_no_other(place: Place, tmp_path: Path) -> None:
    own = place.copy(tmp_path)
    _clean(own.type("new", "another"))
    shutil.rmtree(tmp_path / "data" / "incoming" / "another" / "events")
    session = own.type("run", "another", "tiny")
    shutil.rmtree(place.root / "project" / "ml_assets" / "defs" / "another")
    _clean(session, 2)
    assert any(re.match(r"ml-assets: .*another/events has no rows yet", line) for line in session.lines), session.screen
    assert any("tiny as of" in line for line in session.lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "press", "said"),
    [
        (
            "run",
            "features/|labels|training_set",  # a step of a few milliseconds need not be drawn
            r"stopped in tiny/\S+; \d+ of \d+ steps are done and kept; run `ml-assets run tiny` again",
        ),
        ("status", "looking", "stopped .*run `ml-assets status` again"),
        ("doctor", "examining", "stopped .*run `ml-assets doctor` again"),
        ("replay", "replay tiny", "stopped .*run `ml-assets replay tiny .*` again"),
        ("data simulate", "simulating", r"stopped while simulating churn; .*run `ml-assets data simulate .*` again"),
    ],
)
def test_ctrl_c_in_a_command(place: Place, tmp_path: Path, name: str, press: str, said: str) -> None:
    own = place.copy(tmp_path)
    words = [word.format(tmp=tmp_path, replay=_late(own), soon=SOON) for word in TYPED[name]]
    if name == "run":  # else there is nothing to do
        shutil.rmtree(tmp_path / "data" / "lake")
    session = own.type(*words, press=press)
    _clean(session, 130)
    assert re.search(said, " ".join(session.lines)), session.screen
    assert session.ending < 8
