"""A replay of a label of several classes: the same walk, by what its task measures."""

from typing import Any

import numpy as np
import pytest

from ml_assets.decisions.metric import MULTICLASS, realisable
from ml_assets.errors import DeclarationError
from ml_assets.replay.history import ReplayHistory
from ml_assets.replay.history_index import prepare
from ml_assets.replay.models import ReplayedModels
from ml_assets.replay.plot import figure
from ml_assets.replay.store import ReplayStore
from ml_assets.replay.walk import Replay, replay, replayable_dates
from ml_assets.spec.monitor import RetrainSpec
from ml_assets.training.definition import ModelDefinition
from ml_assets_tests.conftest import QUERIES, Tiny, habits
from ml_assets_tests.replay.test_walk import EVERY, MONITOR, week

# Who nobody asked (every ninth customer) has no label.
LABEL = (
    "SELECT population.customer, CASE WHEN population.customer % 9 = 0 THEN NULL WHEN count(made_at) = 0 THEN 'gone' "
    "WHEN count(made_at) = 1 THEN 'seldom' ELSE 'often' END AS label "
    "FROM population LEFT JOIN orders USING (customer) GROUP BY population.customer"
)
SPEC: dict[str, Any] = {
    "label": {"sql": "label.sql", "horizon": "14d", "classes": ["gone", "seldom", "often"]},
    "serve": {"review_below": 0.6},
    "ship_when": [
        {"metric": "accuracy", "against": "champion", "at_most_worse": 0.2},
        {"metric": "macro_f1", "against": "baseline", "at_least_better": 0.0},
    ],
}
WATCHING = RetrainSpec(metric="accuracy", drift=0.2, floor=0.99, drop=0.001, estimate=0.001, after=99)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    tiny = Tiny(tmp_path_factory.mktemp("classes"), QUERIES | {"label.sql": LABEL})
    tiny.deliver("orders", habits(range(-10, 14), customers=120, seed=1))
    return tiny


def folder(shop: Tiny) -> ModelDefinition:
    return shop.folder(**SPEC)


@pytest.fixture(scope="module")
def done(shop: Tiny) -> Replay:
    dates = replayable_dates(shop.lake, folder(shop))[:5]
    policies = {"watching": WATCHING, "weekly": EVERY}
    store = ReplayStore(shop.root / "replay")
    return replay(shop.lake, folder(shop), MONITOR, policies, dates, store=store)


def test_policies_are_compared_by_what_several_classes_measure(done: Replay) -> None:
    assert (done.task, done.metric, done.beside) == (MULTICLASS, "accuracy", "brier")
    for walk in done.walks.values():
        assert all(step.metrics.keys() == {*realisable(MULTICLASS)} for step in walk.steps)
        assert all(step.metrics["accuracy"] > 0.4 for step in walk.steps)
    assert len(done.walks["weekly"].retrainings) == len(done.dates) - 1
    assert any(step.training and step.training.shipped for step in done.walks["weekly"].retrainings)
    assert {step.champion for step in done.walks["watching"].steps} == {week(5)}
    assert "macro_f1" in done.to_json()["policies"]["weekly"]["means"]
    assert figure(done).startswith(b"\x89PNG")


def test_the_realised_accuracy_is_of_the_members_whose_label_is_known(shop: Tiny, done: Replay) -> None:
    model, days = folder(shop), folder(shop).spec.cadence.dates(done.dates[-1])
    known = prepare(shop.lake, model, days, workers=1, say=lambda *_: None)
    history = ReplayHistory(ReplayedModels(shop.lake, model, ReplayStore(shop.root / "replay"), known), MONITOR)
    champion, day = history.models.candidate(week(5)), week(6)
    labels = shop.lake.query(
        "SELECT label FROM l WHERE as_of = $day ORDER BY customer", {"day": day}, l=model.labels.kept
    )["label"].to_pylist()
    p = history.probabilities(champion, day)
    assert p.shape == (len(labels), 3)
    right = [model.spec.label.classes[n] == label for n, label in zip(p.argmax(axis=1), labels, strict=True) if label]
    assert len(right) < len(labels)
    step = next(step for step in done.walks["watching"].steps if step.as_of == day)
    assert step.metrics["accuracy"] == pytest.approx(np.mean(right))
    measured = history.measure(champion, [week(5), day], week(9), "accuracy")
    assert measured is not None
    assert measured.low < measured.estimate < measured.high
    estimated = history.estimate(champion, day, "accuracy")
    assert estimated is not None
    assert estimated.estimate == pytest.approx(history.scores(champion, day).mean())


def test_a_metric_of_two_classes_is_refused(shop: Tiny, done: Replay) -> None:
    store = ReplayStore(shop.root / "replay")
    with pytest.raises(DeclarationError, match=r"roc_auc is not in history, .* use one of log_loss, brier, accuracy"):
        replay(shop.lake, folder(shop), MONITOR, {"weekly": EVERY}, done.dates, store=store, metric="roc_auc")
