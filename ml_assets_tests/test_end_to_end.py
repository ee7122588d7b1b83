"""The loop as a user runs it: real processes, real files."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ml_assets_tests.first_loop import END, FirstLoop, first_loop
from ml_assets_tests.preloaded import call
from ml_assets_tests.processes import environment
from ml_assets_tests.real_data import INVOICES, needs_invoices

pytestmark = pytest.mark.slow

NEXT = "2026-09-06"


@dataclass(frozen=True)
class Loop:
    """The `ml-assets` command over a data folder of its own."""

    data: Path

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = call(*arguments, env=environment(self.data))
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    def run(self, as_of: str = END) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self("run", "churn", "--as-of", as_of, "--json"))
        return answer["churn"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> FirstLoop:
    return first_loop(tmp_path_factory)


def test_the_loop_ends_with_a_champion_that_predicts(undisturbed: FirstLoop) -> None:
    done = undisturbed.answer
    assert done["trained"]
    assert done["reason"] == "there is no model yet"
    assert done["champion"]["version"] == 1
    assert 0.65 < done["metrics"]["roc_auc"] < done["best_possible"] < 1
    assert all(gate["passed"] for gate in done["gates"])
    assert done["predictions"] > 400
    assert set(done["rows"]) == {"customers", "transactions", "sessions", "support_tickets"}
    assert sum(row["quarantined"] for row in done["rows"].values()) > 0
    assert done["drift"]["days_since_login"]["psi"] < 0.25
    assert all(version >= 0 for version in done["table_versions"].values())


def test_a_second_run_trains_nothing_and_a_new_file_is_picked_up_exactly_once(
    undisturbed: FirstLoop, tmp_path: Path
) -> None:
    """That the same files give the same digits in another lake, `test_killed.py` says."""
    loop, first = Loop(Path(shutil.copytree(undisturbed.data, tmp_path / "data"))), undisturbed.answer
    again = loop.run()
    assert not again["trained"]
    assert again["reason"] == "rows and recipe are those of version 1"
    assert [row["new_files"] for row in again["rows"].values()] == [0, 0, 0, 0]
    changed = {"seconds": 0, "trained": True, "reason": "", "rows": 0}
    assert {**again, **changed, "page": Path(again["page"]).name} == {
        **first, **changed, "page": Path(first["page"]).name,
    }  # fmt: skip
    loop("data", "simulate", "--append", "1")
    following = loop.run(NEXT)
    assert [row["new_files"] for row in following["rows"].values()] == [1, 1, 1, 1]
    assert following["trained"]
    assert following["reason"].startswith("changed since version 1: the training dates, which end at ")
    assert {gate["name"]: gate for gate in following["gates"]}["roc_auc_against_champion"]["value"] is not None


@needs_invoices
def test_real_invoices_give_an_honest_champion_and_every_line_is_accounted_for(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    said = loop("data", "online-retail", "--from", str(INVOICES))
    assert "next, `ml-assets run retail --as-of 2011-08-28`" in said
    refused = loop("run", "retail", code=2)
    assert refused.strip().splitlines()[0].endswith("ml-assets run retail --as-of 2011-08-28")
    assert not (tmp_path / "online.db").exists()
    done = json.loads(loop("run", "retail", "--as-of", "2011-08-28", "--json"))["retail"]
    assert done["trained"]
    assert 0.73 < done["metrics"]["roc_auc"] < 0.85, "above it, the future leaked"
    assert done["champion"]["version"] == 1
    lines = done["rows"]["transactions"]
    assert lines["quarantined"] == 188_859, "no customer"
    assert lines["accepted"] + lines["quarantined"] == 823_643
    again = json.loads(loop("run", "retail", "--as-of", "2011-08-28", "--json"))["retail"]
    assert not again["trained"]
    assert again["metrics"] == done["metrics"]


def test_wrong_arguments_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    for arguments, said in (
        (("run", "chrun"), "did you mean churn"),
        (("run", "churn", "--as-of", "2026-08-31"), "the nearest is 2026-08-30"),
        (("run", "churn", "--as-of", "yesterday"), "write it like"),
        (("run", "churn", "--as-of", "2190-11-28"), "2190-11-28 is in the future: the last as-of date until"),
        (("run", "retail"), "ml-assets data online-retail"),
    ):
        answer = loop(*arguments, code=2)
        assert said in answer
        assert len(answer.strip().splitlines()) == 1
