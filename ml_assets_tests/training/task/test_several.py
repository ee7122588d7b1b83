"""A label of several classes and running text, through the whole loop: train, report, ship, serve."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_assets.decisions.gate import GateAction
from ml_assets.errors import DataError, DeclarationError
from ml_assets.serving.models.artifact import Artifact
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.names import REVIEW
from ml_assets.storage.manifest import Manifest
from ml_assets.training.dataset import build, read, refresh_labels
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.publish import manifest
from ml_assets.training.record import record
from ml_assets.training.release import release
from ml_assets.training.report import Report, report
from ml_assets.training.score import feature_rows, predict
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, MODEL, QUERIES, Tiny, habits

CLASSES = ["gone", "seldom", "often"]
NOW = datetime(2025, 6, 1)  # noqa: DTZ001 - the lake's times are naive UTC
# Who nobody asked (every ninth customer) has no label; what is said of them is text.
LABEL = (
    "SELECT population.customer, CASE WHEN population.customer % 9 = 0 THEN NULL WHEN count(made_at) = 0 THEN 'gone' "
    "WHEN count(made_at) = 1 THEN 'seldom' ELSE 'often' END AS label "
    "FROM population LEFT JOIN orders USING (customer) GROUP BY population.customer"
)
TEXT = (
    "SELECT customer, count(*) AS orders, max(kind) AS kind, "
    "repeat('Bought ', count(*)::INTEGER) || CASE WHEN count(*) > 5 THEN 'Regularly' ELSE 'now and then' END AS story "
    "FROM orders GROUP BY customer"
)
SPEC: dict[str, Any] = {
    "label": {"sql": "label.sql", "horizon": "14d", "classes": CLASSES},
    "text": {"columns": ["story"], "min_rows": 1},
    "serve": {"review_below": 0.6},
    "ship_when": [{"metric": "accuracy", "against": "baseline", "at_least_better": 0.0}],
}


class Loop:
    def __init__(self, shop: Tiny) -> None:
        self.shop, self.registry = shop, shop.registry
        self.changes: dict[str, Any] = {}

    @property
    def folder(self) -> ModelDefinition:
        return self.shop.folder(**(SPEC | self.changes))

    def report(self, weeks: int = 0) -> Report:
        built = build(self.shop.lake, self.folder, AS_OF + timedelta(weeks=weeks))
        version = train(self.shop.lake, self.registry, self.folder, built, tags={}).version
        return report(self.shop.lake, self.registry, self.folder, version)

    def ship(self, found: Report) -> bytes:
        made = manifest(self.shop.lake, self.registry, self.folder, found)
        assert release(
            self.shop.lake, self.registry, found.version, found.verdict, manifest=made, as_of=AS_OF, decided_at=NOW
        ).shipped
        return made


@pytest.fixture
def loop(tmp_path: Path, empty_registry: Path) -> Loop:
    shop = Tiny(tmp_path, QUERIES | {"label.sql": LABEL, "features/habits.sql": TEXT})
    shop.take_registry(empty_registry)
    shop.deliver("orders", habits(range(-10, 30), seed=1))
    return Loop(shop)


@pytest.mark.slow
def test_a_model_of_several_classes_is_trained_judged_shipped_and_answers_alike_everywhere(loop: Loop) -> None:
    found = loop.report()
    assert found.verdict.action is GateAction.SHIP
    assert found.metrics["accuracy"] > 0.5
    assert {"baseline"} == set(found.evaluation.intervals)
    assert set(found.evaluation.slices["class"]) <= set(CLASSES)
    assert found.plots.startswith(b"\x89PNG")
    written = loop.ship(found)
    said = predict(loop.shop.lake, loop.registry, loop.folder, AS_OF)
    batch = loop.shop.lake.query("SELECT * FROM p ORDER BY customer", p=said.table).to_pylist()
    assert {row["decision"] for row in batch} <= {*CLASSES, REVIEW}
    assert all(row["decision"] == REVIEW for row in batch if row["score"] < 0.6)
    assert all(row["decision"] in {REVIEW, row["predicted"]} for row in batch)
    kept, champion = record(loop.registry, found.version), loop.registry.champion("shop")
    assert champion is not None
    artifact = Artifact(Manifest.from_json(written), loop.registry.onnx(champion))
    table = feature_rows(loop.shop.lake, loop.folder, kept, [AS_OF]).sort_by("customer").to_pylist()
    online = artifact.answer([[row[name] for name in artifact.names] for row in table])
    assert [row["predicted"] for row in batch] == [one.predicted for one in online]
    assert [row["decision"] for row in batch] == [one.decision for one in online]
    assert np.abs(np.array([row["score"] for row in batch]) - [one.score for one in online]).max() < 1e-6


@pytest.mark.slow
def test_a_champion_of_several_classes_is_compared_on_the_rows_that_have_a_label(loop: Loop) -> None:
    loop.ship(loop.report())
    loop.changes = {"slices": ["kind"], "seed": 1}
    found = loop.report()
    assert found.version.number == 2
    interval = found.evaluation.intervals["champion"]["accuracy"]
    assert (interval.estimate, interval.low, interval.high) == (0, 0, 0)
    assert set(found.evaluation.slices) == {"kind", "class"}


@pytest.mark.slow
def test_the_same_rows_give_the_same_artifact(loop: Loop) -> None:
    one = loop.report()
    loop.changes = {"slices": ["kind"]}
    two = loop.report()
    digests = [hashlib.sha256(loop.registry.onnx(found.version)).hexdigest() for found in (one, two)]
    assert digests[0] == digests[1]


def test_rows_without_a_label_train_nothing(loop: Loop) -> None:
    built = build(loop.shop.lake, loop.folder, AS_OF)
    kept = read(loop.shop.lake, built.table, AS_OF)
    assert set(kept["label"].unique().to_pylist()) == set(CLASSES)
    assert not any(customer % 9 == 0 for customer in kept["customer"].to_pylist())
    said = refresh_labels(loop.shop.lake, loop.folder, AS_OF)
    assert said.rate is None
    assert 0 < said.labelled < said.rows


def test_a_label_that_is_not_declared_is_refused(loop: Loop) -> None:
    loop.changes = {"label": SPEC["label"] | {"classes": ["gone", "seldom", "never"]}}
    with pytest.raises(DataError, match="label 'often' is not one of the classes 'gone', 'seldom', 'never'"):
        build(loop.shop.lake, loop.folder, AS_OF)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": {"sql": "label.sql", "horizon": "14d", "classes": ["a", "b"]}}, "name three or more"),
        ({"label": {"sql": "label.sql", "horizon": "14d", "classes": ["a", "b", REVIEW]}}, "choose another word"),
        ({"serve": {"review_below": 0.5}}, "use serve.bands"),
        ({"ship_when": [{"metric": "macro_f1", "at_least": 0.5}]}, "use roc_auc or brier"),
        (SPEC | {"serve": {"bands": {"low": 0, "high": 0.5}}}, "use serve.review_below"),
        (SPEC | {"ship_when": [{"metric": "roc_auc", "at_least": 0.5}]}, "use accuracy or macro_f1"),
    ],
    ids=["two classes", "a reserved word", "review of two classes", "names of two", "bands of several", "ranks"],
)
def test_a_declaration_that_does_not_fit_its_label_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises((DeclarationError, ValueError), match=message):
        ModelSpec(**(MODEL | change))
