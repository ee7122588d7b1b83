"""Nothing that a stranger named or wrote is obeyed by a terminal: names of files, cells, errors that quote them."""

import ast
import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from rich.console import Console
from rich.markup import escape

from ml_assets.commands import screen
from ml_assets.commands.progress import Work
from ml_assets.commands.screen import echo
from ml_assets.commands.titled_table import print_table
from ml_assets.serving.log import PlainFormatter
from ml_assets.settings import PROJECT
from ml_assets_tests.processes import environment

_HOSTILE = "a\x1b[2J\x1b]0;title\x07\x9b31m\r\b[/]\u202egnp.csv"
_OBEYED = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u202e"} - {"\n"}


def test_what_is_printed_is_obeyed_by_no_terminal() -> None:
    with redirect_stdout(io.StringIO()) as said:
        echo(f"{_HOSTILE}\n{_HOSTILE}")
    assert not _OBEYED & {*said.getvalue()}
    assert said.getvalue().count("\n") == 2


def test_a_table_holds_any_text() -> None:
    screen = io.StringIO()
    print_table(_HOSTILE.replace("[/]", ""), [(escape(_HOSTILE), escape(_HOSTILE))], Console(file=screen, width=70))
    assert not _OBEYED & {*screen.getvalue()}
    assert screen.getvalue().count("\\x1b") >= 2


def test_progress_shows_the_name_of_a_file_in_one_piece() -> None:
    work = Work("churn", "steps", "kept")
    work.show(f"raw: {_HOSTILE}", 1, 2)
    assert not _OBEYED & {*work.now}


def test_an_error_that_quotes_a_name_is_one_plain_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [Path(sys.executable).with_name("ml-assets"), "token", "remove", _HOSTILE],
        env=environment(tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "\\x1b[2J" in ended.stderr
    assert not _OBEYED & {*ended.stderr}


def test_what_is_kept_in_the_log_is_obeyed_by_no_terminal_that_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "ml-assets.log"
    monkeypatch.setattr(screen, "_file", lambda: os.open(log, os.O_WRONLY | os.O_CREAT, 0o600))
    monkeypatch.setattr(screen, "_log", log)
    monkeypatch.setattr(sys, "argv", ["ml-assets", "export", _HOSTILE])
    assert screen.keep(f"Traceback\nValueError: {_HOSTILE}") == log
    assert not _OBEYED & {*log.read_text()}
    assert len(log.read_text().splitlines()) == 3


_MADE_PLAIN = {"screen.py", "titled_table.py", "progress.py", "replay.py"}


def _printed() -> Iterator[tuple[str, str]]:
    """Each call in the commands that prints by itself: the file and what is called."""
    for path in [PROJECT / "ml_assets" / "cli.py", *(PROJECT / "ml_assets" / "commands").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path.name, ast.unparse(node.func)


@pytest.mark.parametrize("call", ["typer.echo", "typer.secho", "click.echo", "print", "Console"])
def test_commands_print_through_one_place(call: str) -> None:
    found = {name for name, called in _printed() if called == call}
    assert found <= (_MADE_PLAIN if call == "Console" else set()), f"{call}: use `echo` of commands/screen.py"


def test_what_a_server_logs_of_a_request_is_one_plain_line_above_the_traceback() -> None:
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(PlainFormatter())
    record = logging.LogRecord("any", logging.ERROR, __file__, 1, "%s %s", ("GET", f"/{_HOSTILE}\nforged"), None)
    try:
        _fail()
    except ValueError:
        record.exc_info = sys.exc_info()
    handler.emit(record)
    assert not _OBEYED & {*said.getvalue()}
    assert said.getvalue().startswith("GET /a\\x1b[2J")
    assert said.getvalue().splitlines()[1] == "Traceback (most recent call last):"


def _fail() -> None:
    raise ValueError(_HOSTILE)
