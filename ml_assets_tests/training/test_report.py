"""The evaluation report: candidate and champion on the same rows, by artifacts that never saw them."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_assets.decisions.gate import GateAction
from ml_assets.errors import TrainingError
from ml_assets.storage.registry import Version
from ml_assets.training.dataset import build
from ml_assets.training.record import record
from ml_assets.training.release import release
from ml_assets.training.report import Report, read_report, report
from ml_assets.training.score import feature_rows, predict, scores
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, QUERIES, Tiny, habits

pytestmark = pytest.mark.slow  # trains over a real MLflow
NOW = datetime(2025, 6, 1)  # noqa: DTZ001 - the lake's times are naive UTC


class Loop:
    """One model's loop over a real registry."""

    def __init__(self, shop: Tiny) -> None:
        self.shop, self.registry = shop, shop.registry
        self.changes: dict[str, Any] = {}

    def train(self, weeks: int = 0) -> Version:
        folder = self.shop.folder(**self.changes)
        built = build(self.shop.lake, folder, AS_OF + timedelta(weeks=weeks))
        return train(self.shop.lake, self.registry, folder, built, tags={}).version

    def report(self, version: Version) -> Report:
        return report(self.shop.lake, self.registry, self.shop.folder(**self.changes), version)

    def ship(self, version: Version) -> None:
        verdict = self.report(version).verdict
        assert release(
            self.shop.lake, self.registry, version, verdict, manifest=b"{}", as_of=version.as_of, decided_at=NOW
        ).shipped


@pytest.fixture
def loop(tiny: Tiny, empty_registry: Path) -> Loop:
    tiny.take_registry(empty_registry)
    tiny.deliver("orders", habits(range(14, 30), seed=1))
    return Loop(tiny)


def test_a_first_version_is_compared_with_the_baseline_only(loop: Loop) -> None:
    version = loop.train()
    with pytest.raises(TrainingError, match="shop version 1 was not evaluated: materialize shop/evaluation_report fir"):
        read_report(loop.registry, loop.shop.folder(), version)
    found = loop.report(version)
    assert read_report(loop.registry, loop.shop.folder(), version) == found
    assert (found.verdict.action, found.against) == (GateAction.SHIP, None)
    assert set(found.evaluation.intervals) == {"baseline"}
    assert 0.5 < found.metrics["roc_auc"] < 1
    assert found.plots.startswith(b"\x89PNG")
    assert {"onnx_parity_at_most"} == {gate.name for gate in found.verdict.numbers}
    assert loop.registry.version("shop", version.number).tags["verdict"] == "passed"
    assert loop.report(version) == found


def test_what_somebody_logs_to_the_run_is_no_evidence(loop: Loop) -> None:
    """Anybody who reaches the registry may log a metric: a gate judges what was measured."""
    version = loop.train()
    alone = loop.report(version).evaluation.baseline
    assert alone is not None
    loop.registry.log(version.run_id, {"single_feature_roc_auc": 0.1, "roc_auc": 0.999, "made_up": 1.0})
    loop.changes = {"ship_when": [{"metric": name, "at_most": 0.2} for name in ("single_feature_roc_auc", "roc_auc")]}
    values = {gate.name: gate.value for gate in loop.report(version).verdict.numbers}
    assert values["single_feature_roc_auc_at_most"] == alone.roc_auc
    assert values["roc_auc_at_most"] == loop.report(version).metrics["roc_auc"]
    assert loop.report(version).verdict.action is GateAction.HOLD


def test_a_recent_champion_answers_by_the_artifact_that_its_evaluation_fitted(loop: Loop) -> None:
    champion = loop.train()
    loop.ship(champion)
    found = loop.report(loop.train(weeks=1))
    assert found.against == "version 1, as evaluated"
    kept, other = record(loop.registry, champion), record(loop.registry, found.version)
    assert max(kept.split.refit) + timedelta(days=14) > min(other.split.test)
    assert "champion" in found.evaluation.intervals


def test_an_old_champion_answers_as_released(loop: Loop) -> None:
    champion = loop.train()
    loop.ship(champion)
    found = loop.report(loop.train(weeks=8))
    assert found.against == "version 1, as released"
    kept, other = record(loop.registry, champion), record(loop.registry, found.version)
    assert max(kept.split.refit) + timedelta(days=14) <= min(other.split.test)


def test_the_same_model_is_neither_better_nor_worse_than_itself(loop: Loop) -> None:
    """The champion's rows are joined anew from its own views: the scores of the same artifact are the same."""
    champion = loop.train()
    loop.ship(champion)
    loop.changes = {"slices": ["kind"], "seed": 1}  # another recipe; the solver draws nothing, so the same fit
    found = loop.report(loop.train())
    assert found.version.number == 2
    interval = found.evaluation.intervals["champion"]["roc_auc"]
    assert (interval.estimate, interval.low, interval.high) == (0, 0, 0)
    assert found.evaluation.others["champion"] == found.metrics
    assert sum(part["rows"] for part in found.evaluation.slices["kind"].values()) == found.evaluation.rows


def test_what_an_evaluation_alone_depends_on_measures_anew_and_trains_nothing(loop: Loop) -> None:
    first = loop.train()
    before = loop.report(first).evaluation
    loop.changes = {"slices": ["kind"], "costs": {"false_negative": 9}}
    assert loop.train().number == first.number
    with pytest.raises(TrainingError, match="other slices or costs: materialize shop/evaluation_report first"):
        read_report(loop.registry, loop.shop.folder(**loop.changes), first)
    after = loop.report(first).evaluation
    assert (set(before.slices), set(after.slices)) == (set(), {"kind"})
    assert after.threshold < before.threshold
    assert after.metrics == before.metrics


def test_a_rejected_candidate_is_tagged_and_the_champion_stays(loop: Loop) -> None:
    loop.ship(loop.train())
    loop.changes = {"ship_when": [{"metric": "roc_auc", "against": "champion", "at_least_better": 0.5}]}
    version = loop.train(weeks=1)
    found = loop.report(version)
    assert found.verdict.action is GateAction.HOLD
    tags = loop.registry.version("shop", version.number).tags
    assert (tags["verdict"], tags["reason"]) == ("failed", found.verdict.reason)
    assert "against the champion" in tags["reason"]
    done = release(
        loop.shop.lake, loop.registry, version, found.verdict, manifest=b"{}", as_of=version.as_of, decided_at=NOW
    )
    assert (done.shipped, done.champion and done.champion.number) == (False, 1)
    assert getattr(loop.registry.champion("shop"), "number", None) == 1


def test_a_stricter_gate_judges_what_was_measured_without_training_again(loop: Loop) -> None:
    version = loop.train()
    assert loop.report(version).verdict.action is GateAction.SHIP
    loop.changes = {"ship_when": [{"metric": "roc_auc", "at_least": 0.999}]}
    assert loop.train() == loop.registry.version("shop", version.number)
    found = loop.report(version)
    assert found.verdict.action is GateAction.HOLD
    assert "at least 0.999" in found.verdict.reason


def test_a_champion_is_scored_with_its_own_views_whatever_the_folder_says(loop: Loop) -> None:
    champion = loop.train()
    loop.ship(champion)
    before = predict(loop.shop.lake, loop.registry, loop.shop.folder(), AS_OF)
    said = loop.shop.lake.query("SELECT score FROM p ORDER BY customer", p=before.table)["score"].to_pylist()
    loop.shop.write("features/habits.sql", QUERIES["features/habits.sql"].replace("count(*) AS orders", "7 AS luck"))
    again = predict(loop.shop.lake, loop.registry, loop.shop.folder(), AS_OF)
    assert (again.fingerprint, again.reused) == (before.fingerprint, True)
    found = loop.report(loop.train(weeks=1))
    assert found.against == "version 1, as evaluated"
    assert "luck" in record(loop.registry, found.version).columns.all
    folder, kept = loop.shop.folder(), record(loop.registry, champion)
    table = feature_rows(loop.shop.lake, folder, kept, [AS_OF])
    np.testing.assert_array_equal(scores(loop.registry.onnx(champion), kept, table), said)
