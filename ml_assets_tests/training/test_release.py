"""Who answers from when to when, and why."""

import json
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from ml_assets.decisions.gate import GateAction, GateResult, GateVerdict
from ml_assets.decisions.route import CHAMPION
from ml_assets.decisions.verdict import Verdict
from ml_assets.errors import TrainingError
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Version
from ml_assets.training.release import ReleaseEntry, explain, history, ledger, promote, publish, release
from ml_assets.training.rollback import rollback
from ml_assets_tests.conftest import shared

DAY = date(2025, 6, 1)
NOW = datetime(2025, 6, 1, 2)  # noqa: DTZ001 - the lake's times are naive UTC
GOOD = GateResult("roc_auc_at_least", True, 0.8, 0.7, "roc_auc is 0.8")
PASSED = Verdict(GateAction.SHIP, "all 1 gates passed", (GOOD,))
FAILED: GateVerdict = Verdict(GateAction.HOLD, "roc_auc is 0.6, at least 0.7", ())


class Killed(BaseException):
    """The process ends here."""


class Alias:
    """A registry with one alias, the manifests and what was announced; it may be killed before a step."""

    def __init__(self) -> None:
        self.held: Version | None = None
        self.previous: Version | None = None
        self.published: dict[int, bytes] = {}
        self.announced: dict[str, Any] | None = None
        self.known: dict[int, Version] = {}
        self.kill_at = ""

    def _step(self, name: str) -> None:
        if self.kill_at == name:
            self.kill_at = ""
            raise Killed

    def publish(self, version: Version, manifest: bytes) -> Version:
        self.published[version.number] = manifest
        self.known[version.number] = version
        return version

    def versions(self, _: str) -> list[Version]:
        return [*self.known.values()]

    def version(self, _: str, number: int) -> Version:
        return self.known[number]

    def announce(self, _: str, intent: dict[str, Any]) -> None:
        self._step("announce")
        self.announced = json.loads(json.dumps(intent))

    def intent(self, _: str) -> dict[str, Any] | None:
        return self.announced

    def clear_intent(self, _: str) -> None:
        self._step("clear")
        self.announced = None

    def champion(self, _: str) -> Version | None:
        return self.held

    def promote(self, version: Version, variant: str = CHAMPION) -> None:
        self._step("promote" if variant == CHAMPION else variant)
        if variant == CHAMPION:
            self.held = version
        else:
            self.previous = version

    def demote(self, _: str, __: str) -> None:
        self.previous = None


def version(number: int, declaration: str = "") -> Version:
    tags = {"as_of": str(DAY), "declaration": declaration or f"d{number}", "release": f"m{number}"}
    return Version("shop", number, f"run{number}", tags)


class Desk:
    """Decisions, a week apart."""

    def __init__(self, lake: Lake) -> None:
        self.lake, self.alias, self.week = lake, Alias(), 0

    def decide(self, number: int, verdict: GateVerdict = PASSED, declaration: str = "") -> ReleaseEntry:
        ahead = timedelta(weeks=self.week)
        self.week += 1
        registry: Any = self.alias
        return release(
            self.lake,
            registry,
            version(number, declaration),
            verdict,
            manifest=b"%d" % number,
            as_of=DAY + ahead,
            decided_at=NOW + ahead,
        )

    def rollback(self, to: int | None = None, reason: str = "it is wrong", model: str = "shop") -> Version:
        ahead = timedelta(weeks=self.week)
        self.week += 1
        registry: Any = self.alias
        return rollback(self.lake, registry, model, to=to, reason=reason, decided_at=NOW + ahead)

    def answering(self) -> str:
        registry: Any = self.alias
        champion = registry.champion("shop")
        return str(champion and explain(self.lake, "shop", champion.number))

    def ledger(self) -> list[tuple[int, date, date | None, str]]:
        return [(row["version"], row["since"], row["until"], row["reason"]) for row in history(self.lake, "shop")]


@pytest.fixture
def desk(tmp_path: Any) -> Desk:
    return Desk(Lake(str(tmp_path), shared))


def test_a_champion_stands_until_the_next_one(desk: Desk) -> None:
    assert desk.ledger() == []
    assert desk.decide(1) == ReleaseEntry(version(1), True, PASSED.reason)
    assert desk.decide(2) == ReleaseEntry(version(2), True, PASSED.reason)
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


def test_a_rollback_goes_to_the_champion_before_and_says_why(desk: Desk) -> None:
    desk.decide(1)
    desk.decide(2)
    assert desk.rollback(reason="prices\n are wrong").number == 1
    assert desk.alias.held == version(1)
    since = DAY + timedelta(weeks=1)
    assert desk.ledger()[-1] == (1, since, None, "prices are wrong")
    assert desk.answering() == f"version 1 since {since}: rolled back, prices are wrong"


def test_what_was_rolled_back_from_is_not_gone_back_to(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.decide(number)
    assert [desk.rollback().number for _ in range(2)] == [2, 1]
    with pytest.raises(TrainingError, match="no champion before version 1 to go back to: name a version with --to"):
        desk.rollback()
    assert desk.rollback(3).number == 3
    assert desk.answering().startswith("version 3 since 2025-06-15: chosen, it is wrong")


def test_after_a_rollback_its_declaration_is_not_promoted_again_and_another_one_is(desk: Desk) -> None:
    desk.decide(1, declaration="a")
    desk.decide(2, declaration="b")
    desk.rollback()
    again = desk.decide(2, declaration="b")
    assert (again.champion, again.shipped) == (version(1, "a"), False)
    assert again.reason == (
        "version 1 stays: version 2 was rolled back at 2025-06-08 (it is wrong); `ml-assets rollback shop --to 2 "
        "--reason …` makes it the champion, another declaration is judged by its gates"
    )
    more_rows = desk.decide(3, declaration="b")
    assert "(it is wrong), and version 3 has its declaration; `ml-assets rollback shop --to 3" in more_rows.reason
    assert desk.alias.held == version(1, "a")
    assert desk.decide(4, declaration="c").shipped
    assert desk.decide(5, declaration="b").shipped, "a later champion ends it"


def test_a_chosen_version_ends_what_a_rollback_holds_back(desk: Desk) -> None:
    desk.decide(1, declaration="a")
    desk.decide(2, declaration="a")
    desk.rollback()
    desk.decide(3, declaration="a")
    desk.rollback(3, "the prices are right again")
    assert desk.decide(4, declaration="a").shipped


def test_a_version_of_an_unknown_declaration_counts_as_what_was_rolled_back_from(desk: Desk) -> None:
    desk.decide(1)
    desk.decide(2)
    desk.rollback()
    desk.alias.known[2] = Version("shop", 2, "run2", {"as_of": str(DAY)})
    assert "version 3 has its declaration" in desk.decide(3).reason


def test_a_declaration_that_was_taken_back_names_its_version_and_the_command(desk: Desk) -> None:
    desk.decide(1)
    desk.decide(2)
    found = desk.decide(1)
    assert (found.champion, found.shipped) == (version(2), False)
    assert found.reason == (
        "version 2 stays: rows and declaration are those of version 1, which was champion before; "
        "`ml-assets rollback shop --to 1 --reason …` makes it the champion"
    )


@pytest.mark.parametrize("step", ["announce", "promote", "append", "clear"])
@pytest.mark.parametrize("then", ["rollback", "rollback to 1", "run"])
def test_a_rollback_that_is_killed_ends_as_if_it_had_not_been(
    desk: Desk, step: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (0, 1, 2):
        desk.decide(number)
    desk.alias.kill_at = step
    if step == "append":
        monkeypatch.setattr("ml_assets.training.release.append", _die)
    with pytest.raises(Killed):
        desk.rollback(reason="first")
    monkeypatch.undo()
    desk.decide(2) if then == "run" else desk.rollback(1 if then == "rollback to 1" else None, "first")
    if step == "announce" and then == "run":  # nothing had happened
        assert desk.alias.held == version(2)
        return
    assert (desk.alias.held, desk.alias.announced) == (version(1), None)
    assert [(row[0], row[3]) for row in desk.ledger()][3:] == [(1, "first")]


def _die(*_: object) -> None:
    raise Killed


@pytest.mark.parametrize(
    ("number", "reason", "said"),
    [
        (2, "x", r"shop: it is the champion already: version 2 since 2025-06-08: promoted, all 1 gates passed"),
        (9, "x", r"shop has no version 9: there are 1, 2, 3"),
        (3, "x", r"shop version 3 never passed its gates \(too bad\), so no server can load it"),
        (1, " ", r"a rollback needs a reason"),
    ],
)
def test_a_rollback_that_cannot_be_is_refused(desk: Desk, number: int, reason: str, said: str) -> None:
    desk.decide(1)
    desk.decide(2)
    desk.alias.known[3] = Version("shop", 3, "run3", {"as_of": str(DAY), "reason": "too bad"})
    with pytest.raises(TrainingError, match=said):
        desk.rollback(number, reason)
    assert desk.alias.held == version(2)


def test_without_a_champion_there_is_nothing_to_roll_back(desk: Desk) -> None:
    with pytest.raises(TrainingError, match="shop has no champion: `ml-assets run shop` trains one"):
        desk.rollback()


def test_who_answers_is_said_of_an_alias_that_was_moved_by_hand(desk: Desk) -> None:
    assert desk.answering() == "None"
    desk.decide(1)
    desk.decide(2)
    desk.alias.promote(version(1))
    assert desk.answering() == "version 1: moved by hand"
    desk.decide(2)
    assert desk.answering().startswith("version 1 since 2025-06-15: moved by hand")


def test_a_registry_that_was_lost_begins_again_at_version_1_and_is_not_held_back(desk: Desk) -> None:
    desk.decide(1)
    desk.alias = Alias()
    registry: Any = desk.alias
    again = Version("shop", 1, "another run", version(1).tags)
    done = release(desk.lake, registry, again, PASSED, manifest=b"1", as_of=DAY, decided_at=NOW + timedelta(days=1))
    assert (done.champion, done.shipped) == (again, True)
    assert [row["run_id"] for row in history(desk.lake, "shop")] == ["run1", "another run"]


def test_the_evidence_of_a_release_is_written_in_the_words_of_the_first_ledgers(desk: Desk) -> None:
    desk.decide(1)
    (row,) = desk.lake.query("SELECT evidence FROM c", c=ledger("shop").table).to_pylist()
    gate = {"name": "roc_auc_at_least", "passed": True, "value": 0.8, "limit": 0.7, "reason": "roc_auc is 0.8"}
    assert json.loads(row["evidence"]) == {"ship": True, "reason": "all 1 gates passed", "gates": [gate]}


def test_a_version_is_published_without_answering_and_promoted_later(desk: Desk) -> None:
    """What a canary needs: a server can load the version, and the champion stays."""
    registry: Any = desk.alias
    desk.decide(1)
    second = publish(registry, version(2), PASSED, b"2")
    assert desk.alias.published == {1: b"1", 2: b"2"}
    assert desk.alias.held == version(1)
    assert publish(registry, version(3), FAILED, b"3").number == 3
    assert 3 not in desk.alias.published
    done = promote(desk.lake, registry, second, PASSED, as_of=DAY, decided_at=NOW + timedelta(1))
    assert (done.shipped, desk.alias.held) == (True, second)
    assert [row[0] for row in desk.ledger()] == [1, 2]
