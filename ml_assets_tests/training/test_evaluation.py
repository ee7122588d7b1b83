"""What is kept of an evaluation: read back as it was, in the layout of every release."""

import json
import math
from dataclasses import replace

import pytest

from ml_assets.decisions.interval import Interval
from ml_assets.errors import TrainingError
from ml_assets.training.baseline import Baseline
from ml_assets.training.evaluation import Evaluation, EvaluationInputs, EvaluationRecord
from ml_assets.training.explain import Importance

EVALUATION = Evaluation(
    rows=10, entities=5, metrics={"roc_auc": 0.1 + 0.2, "rows": 10.0}, threshold=1 / 3, cost=0.1,
    confusion={"tp": 1, "fp": 2, "fn": 3, "tn": 4}, slices={"kind": {"a": {"rows": 10.0}}},
    others={"baseline": {"roc_auc": 0.5}}, intervals={"baseline": {"roc_auc": Interval(0.1, -0.1, 0.3)}},
    importance={"amount": Importance(0.2, 0.01)}, baseline=Baseline("amount", "in bins", 0.6, {"label": 0.99}),
)  # fmt: skip
RECORD = EvaluationRecord(EVALUATION, "version 1, as released", EvaluationInputs(1, "{}"))


@pytest.mark.parametrize("record", [RECORD, replace(RECORD, evaluation=replace(EVALUATION, baseline=None))])
def test_a_record_is_read_back_as_it_was(record: EvaluationRecord) -> None:
    again = EvaluationRecord.from_json(record.to_json())
    assert again == record
    assert again.to_json() == record.to_json()


def test_the_layout_is_that_of_the_first_releases() -> None:
    plain = json.loads(RECORD.to_json())
    assert [*plain] == ["evaluation", "against", "asked"]
    assert plain["asked"] == {"against": 1, "declared": "{}"}
    assert plain["evaluation"]["intervals"]["baseline"]["roc_auc"] == {"estimate": 0.1, "low": -0.1, "high": 0.3}
    assert plain["evaluation"]["importance"] == {"amount": {"mean": 0.2, "std": 0.01}}
    best = {"feature": "amount", "form": "in bins", "roc_auc": 0.6, "suspects": {"label": 0.99}}
    assert plain["evaluation"]["baseline"] == best
    without = replace(RECORD, evaluation=replace(EVALUATION, baseline=None))
    assert json.loads(without.to_json())["evaluation"]["baseline"] == {}


def test_an_older_record_has_defaults_and_may_hold_a_metric_that_is_no_number() -> None:
    plain = json.loads(RECORD.to_json())
    del plain["evaluation"]["importance"], plain["evaluation"]["baseline"]
    plain["evaluation"]["metrics"]["lift_at_10"] = math.nan
    read = EvaluationRecord.from_json(json.dumps(plain).encode()).evaluation
    assert (read.importance, read.baseline) == ({}, None)
    assert math.isnan(read.metrics["lift_at_10"])


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"evaluation": {"rows": "many"}}'])
def test_what_is_no_record_is_refused(content: bytes) -> None:
    with pytest.raises(TrainingError, match=r"evaluation/report\.json of a version cannot be read"):
        EvaluationRecord.from_json(content)
