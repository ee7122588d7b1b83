"""Who answers from when to when, and why."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from ml_assets.decisions.gate import GateResult, Verdict
from ml_assets.lake import Lake
from ml_assets.registry import Version
from ml_assets.training.release import Released, history, release
from ml_assets_tests.conftest import shared

DAY = date(2025, 6, 1)
NOW = datetime(2025, 6, 1, 2)  # noqa: DTZ001 - the lake's times are naive UTC
PASSED = Verdict(True, "all 1 gates passed", (GateResult("roc_auc_at_least", True, 0.8, 0.7, "roc_auc is 0.8"),))
FAILED = Verdict(False, "roc_auc is 0.6, at least 0.7", ())


class Alias:
    """A registry with one alias and the manifests, and nothing else."""

    def __init__(self) -> None:
        self.held: Version | None = None
        self.published: dict[int, bytes] = {}

    def publish(self, version: Version, manifest: bytes) -> Version:
        self.published[version.number] = manifest
        return version

    def champion(self, _: str) -> Version | None:
        return self.held

    def promote(self, version: Version) -> None:
        self.held = version


def version(number: int) -> Version:
    return Version("shop", number, f"run{number}", {"as_of": str(DAY)})


class Desk:
    """Decisions, a week apart."""

    def __init__(self, lake: Lake) -> None:
        self.lake, self.alias, self.week = lake, Alias(), 0

    def decide(self, number: int, verdict: Verdict = PASSED) -> Released:
        ahead = timedelta(weeks=self.week)
        self.week += 1
        registry: Any = self.alias
        return release(
            self.lake,
            registry,
            version(number),
            verdict,
            manifest=b"%d" % number,
            as_of=DAY + ahead,
            decided_at=NOW + ahead,
        )

    def ledger(self) -> list[tuple[int, date, date | None, str]]:
        return [(row["version"], row["since"], row["until"], row["reason"]) for row in history(self.lake, "shop")]


@pytest.fixture
def desk(tmp_path: Any) -> Desk:
    return Desk(Lake(str(tmp_path), shared))


def test_a_champion_stands_until_the_next_one(desk: Desk) -> None:
    assert desk.ledger() == []
    assert desk.decide(1) == Released(version(1), True, PASSED.reason)
    assert desk.decide(2) == Released(version(2), True, PASSED.reason)
    week = DAY + timedelta(weeks=1)
    assert desk.ledger() == [(1, DAY, week, PASSED.reason), (2, week, None, PASSED.reason)]
    assert desk.alias.published == {1: b"1", 2: b"2"}
    rows = desk.lake.query(
        "SELECT previous, run_id, evidence FROM c ORDER BY decided_at", c="shop/champion"
    ).to_pylist()
    assert [(row["previous"], row["run_id"]) for row in rows] == [(None, "run1"), (1, "run2")]
    assert '"value": 0.8' in rows[0]["evidence"]


def test_a_decision_is_taken_once(desk: Desk) -> None:
    desk.decide(1)
    again = desk.decide(1)
    assert (again.shipped, again.reason) == (False, "version 1 is the champion already")
    assert len(desk.ledger()) == 1


def test_a_rejected_candidate_leaves_the_champion(desk: Desk) -> None:
    desk.decide(1)
    done = desk.decide(2, FAILED)
    assert (done.champion, done.shipped) == (version(1), False)
    assert 2 not in desk.alias.published
    assert done.reason == f"version 1 stays: {FAILED.reason}"
    assert [row[0] for row in desk.ledger()] == [1]


def test_a_rejected_first_candidate_is_no_champion(desk: Desk) -> None:
    done = desk.decide(1, FAILED)
    assert (done.champion, done.shipped) == (None, False)
    assert done.reason == f"there is no champion yet: {FAILED.reason}"
    assert (desk.ledger(), desk.alias.held) == ([], None)


def test_an_alias_that_was_moved_by_hand_is_noted_and_not_moved_back(desk: Desk) -> None:
    desk.decide(1)
    desk.decide(2)
    desk.alias.promote(version(1))
    for _ in range(2):
        assert desk.decide(2).champion == version(1)
    assert [(number, reason) for number, _, _, reason in desk.ledger()] == [
        (1, PASSED.reason), (2, PASSED.reason), (1, "the alias was moved by hand"),
    ]  # fmt: skip
    assert [until for _, _, until, _ in desk.ledger()] == [DAY + timedelta(weeks=1), DAY + timedelta(weeks=2), None]


def test_a_release_that_was_killed_before_its_ledger_is_written_down_by_the_next(desk: Desk) -> None:
    desk.decide(1)
    desk.alias.promote(version(2))
    assert desk.decide(2).champion == version(2)
    assert [row[0] for row in desk.ledger()] == [1, 2]
