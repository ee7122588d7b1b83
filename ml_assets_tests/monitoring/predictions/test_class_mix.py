"""The prediction report of a model of several classes and of running text; and what drift is of such a model."""

import re
import shutil
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml_assets.alerts.outbox import evaluate
from ml_assets.monitoring.drift.report import drift_report
from ml_assets.monitoring.performance import baseline as evaluated
from ml_assets.monitoring.predictions.class_mix import ClassMix, Compared, Unseen, class_mix, unseen_words
from ml_assets.monitoring.predictions.report import prediction_report
from ml_assets.monitoring.predictions.table import PredictionReport, from_row, to_table
from ml_assets.spec.alert import AlertRule
from ml_assets.spec.drift import DriftSpec
from ml_assets.spec.names import REVIEW
from ml_assets.storage.registry import Registry
from ml_assets.training.dataset import build
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.record import TrainingRecord, record
from ml_assets.training.score import predict
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, FIRST, QUERIES, Row, Tiny, habits
from ml_assets_tests.monitoring.predicted import WEEK, weeks

CLASSES = ["gone", "seldom", "often"]
LABEL = (
    "SELECT population.customer, CASE count(made_at) WHEN 0 THEN 'gone' WHEN 1 THEN 'seldom' ELSE 'often' END AS label "
    "FROM population LEFT JOIN orders USING (customer) GROUP BY population.customer"
)
# The kind of each order is a word of the customer's text; half of them were read by OCR, with some confidence.
TEXT = (
    "SELECT customer, count(*) AS orders, string_agg(kind, ', ' ORDER BY made_at) AS story, "
    "CASE WHEN customer % 2 = 0 THEN avg(amount) END AS ocr_confidence FROM orders GROUP BY customer"
)
WRITTEN = QUERIES | {"label.sql": LABEL, "features/habits.sql": TEXT}
SPEC: dict[str, Any] = {
    "label": {"sql": "label.sql", "horizon": "14d", "classes": CLASSES},
    "text": {"columns": ["story"], "min_rows": 1},
    "serve": {"review_below": 0.6},
    "ship_when": [{"metric": "accuracy", "against": "baseline", "at_least_better": 0.0}],
}
LATE = FIRST + 10 * WEEK  # what is first ordered from here on, only the test rows and the released artifact know


class Office:
    """A shop whose customers' orders are words, with a champion of three classes."""

    def __init__(self, shop: Tiny, registry: Registry) -> None:
        self.shop, self.lake, self.registry = shop, shop.lake, registry

    @property
    def folder(self) -> ModelDefinition:
        return self.shop.folder(**SPEC)

    @property
    def kept(self) -> TrainingRecord:
        return record(self.registry, self.registry.version("shop", 1))

    def report(self, day: date = AS_OF) -> PredictionReport:
        predict(self.lake, self.registry, self.folder, day)
        return prediction_report(self.lake, self.registry, self.folder, day)

    def deliver(self, first: int, last: int, words: Sequence[str], **more: Any) -> None:
        """Weeks of orders, each of the next word."""
        ordered = habits(range(first, last), seed=5)
        self.shop.deliver("orders", [{**row, "kind": words[nr % len(words)], **more} for nr, row in enumerate(ordered)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Office:
    """Nobody writes to it: one training takes seconds."""
    shop = Tiny(tmp_path_factory.mktemp("office"), WRITTEN)
    shop.take_registry(empty_registry)
    shop.deliver("orders", [{**row, "kind": _word(row)} for row in habits(range(-10, 14), seed=1)])
    office = Office(shop, shop.registry)
    built = build(shop.lake, office.folder, AS_OF)
    office.registry.promote(train(shop.lake, office.registry, office.folder, built, tags={}).version)
    return office


def _word(row: Row) -> str:
    return "Late" if row["made_at"].date() >= LATE else ("Lease", "Rent 12")[row["customer"] % 2]


@pytest.fixture
def office(trained: Office, tmp_path: Path) -> Office:
    """A copy of the shop, with the same registry."""
    copied = Tiny(Path(shutil.copytree(trained.shop.root, tmp_path / "office")), WRITTEN)
    copied.delivered = trained.shop.delivered
    return Office(copied, trained.registry)


def test_the_report_says_what_a_team_of_reviewers_watches(office: Office) -> None:
    found, kept = office.report(), office.kept
    said = office.lake.query("SELECT * FROM p", p="shop/predictions")
    assert [each.name for each in found.classes] == CLASSES
    for each in found.classes:
        assert each.share == pytest.approx(pc.mean(pc.equal(said["predicted"], each.name)).as_py())
    assert found.review_share == pytest.approx(pc.mean(pc.equal(said["decision"], REVIEW)).as_py())
    test = evaluated.scored_test_rows(office.lake, office.registry, office.registry.version("shop", 1), kept)
    strange = [_strange(story) for story in test.rows["story"].to_pylist()]
    assert found.reference_review_share == pytest.approx(np.mean((test.p.max(axis=1) < 0.6) | strange))
    for side in ("share", "reference"):
        assert sum(getattr(each, side) for each in found.classes) == pytest.approx(1)
    words = " ".join(filter(None, test.rows["story"].to_pylist())).replace(",", "").replace(" 12", "").split()
    assert 0 < words.count("Late") < len(words)
    assert found.reference_unseen_share == pytest.approx(words.count("Late") / len(words))
    assert found.unseen == (Compared("story", 0.0, found.reference_unseen_share),)


def _strange(story: str | None) -> bool:
    """Whether more than half of the words, or all of none, are the one that the evaluated model never saw."""
    words = re.findall("[A-Za-z]+", story or "")
    return not words or words.count("Late") > len(words) / 2


def test_it_is_kept_flat_in_a_table_and_in_a_picture(office: Office) -> None:
    found = office.report()
    again = office.report()
    assert (again.reused, again.classes, again.unseen) == (True, found.classes, found.unseen)
    numbers = found.metadata()
    assert {f"predicted_{name}" for name in CLASSES} | {"review_share", "unseen_share"} <= numbers.keys()
    assert numbers["unseen_share"] == 0
    assert numbers["reference_unseen_share"] == found.unseen[0].reference
    lines = found.table()
    assert [(line["of"], line["what"]) for line in lines[:5]] == [
        *((name, "predicted") for name in CLASSES), (REVIEW, "decision"), ("story", "unseen words"),
    ]  # fmt: skip
    assert len({tuple(line) for line in lines}) == 1
    assert len(lines) == 5 + 3 + 1  # features and the view
    assert found.plot("shop").startswith(b"\x89PNG")


def test_a_tiny_case_by_hand(office: Office) -> None:
    """Four are scored: three leases of which one is unsure, and another one."""
    said = {"predicted": ["gone", "gone", "gone", "often"], "decision": ["gone", REVIEW, "gone", "often"]}
    entities = {"as_of": pa.array([AS_OF] * 4, pa.date32()), "customer": [0, 1, 2, 3], "score": [0.9, 0.4, 0.8, 0.7]}
    table = pa.table(entities | said)
    office.lake.replace("shop/predictions", table, values=[AS_OF], records={f"as_of={AS_OF}": 1})
    version, kept = office.registry.version("shop", 1), office.kept
    test = evaluated.scored_test_rows(office.lake, office.registry, version, kept)
    found = class_mix(office.lake, office.registry, office.folder, version, kept, AS_OF, test)
    assert [each.share for each in found.classes] == [0.75, 0, 0.25]
    assert found.review_share == 0.25
    read = pa.table({"story": ["Lease, lease", "the rent of 2025", None, "late"]})
    (story,) = unseen_words(office.registry, version, kept, read, test).unseen
    assert story.share == pytest.approx(2 / 6)
    nothing = unseen_words(office.registry, version, kept, pa.table({"story": ["", None]}), test)
    assert (nothing.unseen[0].share, nothing.unseen_share) == (None, None)


@pytest.mark.parametrize(
    ("words", "share"),
    [(["rent, LEASE"], 0), (["Zins", "Miete"], 1), (["Pacht, lease, rent, rent"], 0.25)],
    ids=["of the training set", "foreign", "one of four"],
)
def test_foreign_words_are_unseen(office: Office, words: list[str], share: float) -> None:
    """By then, the orders that the model was trained on are more than eight weeks old, and no view looks at them."""
    office.deliver(14, 23, words)
    found = office.report(AS_OF + 9 * WEEK)
    assert found.unseen_share == pytest.approx(share)
    assert found.unseen[0].reference == found.reference_unseen_share


def test_a_rule_may_name_either_share(office: Office) -> None:
    rules = [
        AlertRule(metric="unseen_share", above=0.3),
        AlertRule(metric="review_share", below=1.1, cooldown=timedelta(days=100)),
    ]
    office.deliver(14, 23, ["Zins"])
    said = []
    for number, day in enumerate(weeks(0, 9)):
        at = datetime(2026, 1, 1, number)  # noqa: DTZ001 - the lake's times are naive UTC
        numbers = office.report(day).metadata()
        alerts = evaluate(office.lake, "shop", [rule.rule for rule in rules], numbers, day, link="", decided_at=at)
        said.append(sorted(alert.rule for alert in alerts))
    assert said == [["review_share_below"], ["unseen_share_above"]]


def test_a_model_without_classes_or_text_has_neither(office: Office) -> None:
    kept, version = office.kept, office.registry.version("shop", 1)
    other = TrainingRecord(**(vars(kept) | {"classes": (), "columns": type(kept.columns)(("orders",), ())}))
    test = evaluated.scored_test_rows(office.lake, office.registry, version, kept)
    assert class_mix(office.lake, office.registry, office.folder, version, other, AS_OF, test) == ClassMix()
    assert unseen_words(office.registry, version, other, test.rows, test) == Unseen()


def test_a_row_of_before_says_nothing_of_either() -> None:
    (row,) = to_table(PredictionReport(AS_OF, rows=3)).to_pylist()
    for name in (*vars(ClassMix()), *vars(Unseen())):
        del row[name]
    assert from_row(row, reused=False, table_version=None) == PredictionReport(AS_OF, rows=3)


def test_drift_compares_the_confidence_of_ocr_and_leaves_the_text_alone(office: Office) -> None:
    """A text is no category: each document has another one."""
    spec = DriftSpec(min_rows=20, evidently="never", reference="training")
    pages = office.shop.root / "pages"
    calm = drift_report(office.lake, office.registry, office.folder, spec, AS_OF, pages=pages)
    kinds = {name: each.kind for name, each in calm.features.items()}
    assert kinds == dict.fromkeys(("orders", "ocr_confidence"), "numeric")
    assert calm.features["ocr_confidence"].drifted is False
    assert calm.features["ocr_confidence"].missing_current == pytest.approx(0.5, abs=0.1)
    assert calm.attribution is not None  # the text is shuffled like any feature
    assert calm.attribution.ndcg is not None
    office.deliver(14, 23, ["Lease", "Rent"], amount=3.0)  # the scanner is dirty
    dirty = drift_report(office.lake, office.registry, office.folder, spec, AS_OF + 9 * WEEK, pages=pages)
    assert "ocr_confidence" in dirty.drifted
