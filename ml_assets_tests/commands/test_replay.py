"""`ml-assets replay`: what it refuses and prints, and that an interrupted one ends as if it had not been."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from ml_assets.commands.replay import ReplayRequest, _policies, _resumed, read, table
from ml_assets.errors import DataError, DeclarationError
from ml_assets.replay.result import Step, Training, Walk
from ml_assets.replay.walk import Replay, ReplayStore
from ml_assets.spec.load import parse_policy
from ml_assets.spec.monitor import RetrainSpec
from ml_assets_tests.preloaded import Preloaded
from ml_assets_tests.processes import environment
from ml_assets_tests.real_data import INVOICES, needs_invoices


def test_a_policy_file_is_what_a_folder_declares() -> None:
    assert parse_policy("# monthly\nevery: 28d\ndrift: null\n", "p.yaml") == RetrainSpec(every="28d", drift=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drift: 0.3\nevry: 28d\n", "p.yaml:2: unknown field 'evry': did you mean 'every'?"),
        ("# four weeks\nevery: 28\n", "p.yaml:2: every: 28 is no duration: write a positive number and a unit"),
        ("drift: 2\n", "p.yaml:1: drift: Input should be less than or equal to 1 (got 2)"),
        ("drift: 0.3\nmetric: auc\n", "p.yaml:2: metric 'auc' "),
        ("drift: [0.3\n", "p.yaml:2: not valid YAML: did not find expected ',' or ']'"),
        ("", "p.yaml: write fields of a policy"),
        ("- drift\n", "p.yaml: write fields of a policy"),
    ],
)
def test_a_wrong_policy_file_is_one_line_with_the_place_and_the_remedy(text: str, message: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        parse_policy(text, "p.yaml")
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_a_policy_file_that_is_not_there_or_has_a_name_that_is_taken_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--policy .*absent.yaml cannot be read: No such file"):
        read([tmp_path / "absent.yaml"])
    with pytest.raises(DeclarationError, match=r"never.yaml: there is a policy 'never' already"):
        _policies({"never": RetrainSpec()}, {"a/never.yaml": "drift: 0.1"})


def test_resume_takes_what_was_asked_for_and_nothing_else(tmp_path: Path) -> None:
    store, asked = ReplayStore(tmp_path), ReplayRequest("2026-01-04", "2026-03-01", "", {"p.yaml": "drift: 0.1"})
    with pytest.raises(DataError, match="no replay of m was interrupted"):
        _resumed(store, "m", ReplayRequest())
    store.write("request.json", content=json.dumps(vars(asked)).encode())
    assert _resumed(store, "m", ReplayRequest()) == asked
    with pytest.raises(DataError, match="leave the others out"):
        _resumed(store, "m", ReplayRequest(first="2026-01-04"))


def _step(week: int, champion: int, trigger: str | None, roc_auc: float) -> Step:
    days = [date.fromordinal(date(2026, 1, 4).toordinal() + 7 * nr) for nr in (week, champion)]
    made = Training("recipe", 2.5, shipped=True, verdict="all passed") if trigger is not None else None
    return Step(days[0], "retrain" if made else "wait", "", (trigger or "",), made, days[1], {"roc_auc": roc_auc})


def test_the_table_is_whole_in_eighty_columns() -> None:
    never = Walk(RetrainSpec(), (_step(0, 0, "", 0.8), _step(1, 0, None, 0.7), _step(2, 0, None, 0.7)))
    often = Walk(RetrainSpec(), (_step(0, 0, "", 0.8), _step(1, 1, "drift", 0.75), _step(2, 2, "age", 0.8)))
    dates = tuple(step.as_of for step in never.steps)
    done = Replay("m", "roc_auc", dates, date(2026, 1, 25), {"never": never, "performance": often})
    console = Console(width=80, file=io.StringIO())
    console.print(table(done, 1.0))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("performance", "5.0", "0.7833", "0.150", "drift 2026-01-11; age", "performance lost least"):
        assert words in said
    assert said.index(" performance ") < said.index(" never ")


INGEST = """
from ml_assets.commands.environment import prepare
from ml_assets.settings import PROJECT, read_settings
prepare(read_settings())
from ml_assets.commands.project import Project
from ml_assets.ingest.ingest import ingest
project = Project(PROJECT)
for source in project.sources("retail"):
    ingest(project.lake, f"retail/raw/{source.spec.name}", source.spec, read_settings().incoming)
"""


def _start(data: Path, *arguments: str) -> Preloaded:
    return Preloaded(*arguments, env=environment(data), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _said(data: Path, *arguments: str, code: int = 0) -> str:
    with _start(data, *arguments) as process:
        said, errors = process.communicate(timeout=900)
    assert process.returncode == code, errors
    return said if code == 0 else errors


def _invoices(to: Path) -> Path:
    """The real invoices of every fourth customer: what a replay promises does not depend on how many there are."""
    lines = pq.read_table(INVOICES)
    pq.write_table(lines.filter(pc.equal(pc.bit_wise_and(lines["customer_id"], 3), 0)), to)
    return to


def _timeless(said: str) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(said)
    assert Path(plain.pop("plot")).read_bytes().startswith(b"\x89PNG")
    for each in plain["policies"].values():
        assert each.pop("seconds") >= 0
        for step in each["steps"]:
            if step["training"]:
                del step["training"]["seconds"]
    return plain


@needs_invoices
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_replay_of_real_invoices_that_is_killed_is_finished_by_resume_and_touches_no_registry(tmp_path: Path) -> None:
    data, other, monthly = tmp_path / "data", tmp_path / "other", tmp_path / "monthly.yaml"
    monthly.write_text("every: 28d\ndrift: null\ndrop: null\n", encoding="utf-8")
    _said(data, "data", "online-retail", "--from", str(_invoices(tmp_path / "invoices.parquet")))
    assert "`ml-assets run retail` brings its files into the lake" in _said(data, "replay", "retail", code=2)
    subprocess.run([sys.executable, "-c", INGEST], env=environment(data), check=True, capture_output=True)
    shutil.copytree(data, other)
    asked = ("--from", "2011-05-15", "--policy", str(monthly))
    undisturbed = _timeless(_said(other, "replay", "retail", "--json", *asked))
    assert list(undisturbed["policies"]) == ["never", "weekly", "drift", "performance", "declared", "monthly"]
    assert (undisturbed["from"], undisturbed["to"]) == ("2011-05-15", "2011-05-29")

    with _start(data, "replay", "retail", "--json", *asked) as process:
        while process.poll() is None and not [*(data / "replay").glob("retail/*/versions/*/version.json")]:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    monthly.unlink()  # its text was kept
    assert _timeless(_said(data, "replay", "retail", "--resume", "--json")) == undisturbed
    assert "no replay of retail was interrupted" in _said(data, "replay", "retail", "--resume", code=2)
    assert not (data / "mlflow").exists()
