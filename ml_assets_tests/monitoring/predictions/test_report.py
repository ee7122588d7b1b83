"""Prediction monitoring: volume, scores beside the reference, and what the features lacked."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ml_assets.features.store import refresh
from ml_assets.monitoring.plots import predictions
from ml_assets.monitoring.predictions.missing import Share, missing_shares, silent, stale_shares
from ml_assets.monitoring.predictions.report import prediction_report, read
from ml_assets.monitoring.predictions.table import PredictionReport, Scores
from ml_assets.training.record import record
from ml_assets_tests.conftest import AS_OF, Tiny, habits
from ml_assets_tests.monitoring.predicted import WEEK, Predicted, weeks


def test_without_predictions_the_report_is_empty_and_says_so(tiny: Tiny) -> None:
    of = Predicted(tiny)
    first, again = (prediction_report(of.lake, of.shelf, of.folder, AS_OF) for _ in range(2))
    assert (first.rows, first.reason, first.metadata()) == (
        0,
        "nothing was scored at 2025-04-13",
        {"rows": 0, "reason": "nothing was scored at 2025-04-13"},
    )
    assert (first.reused, again.reused) == (False, True)
    assert read(of.lake, "shop", AS_OF - WEEK).reason == "there is no prediction report of shop for 2025-04-06 yet"
    assert predictions(first).startswith(b"\x89PNG")


def test_scores_lie_where_they_lie() -> None:
    p = np.linspace(0, 1, 101)
    assert Scores.of(p, 0.75) == Scores(pytest.approx(0.5), 0.1, 0.5, 0.9, pytest.approx(26 / 101))  # type: ignore[arg-type]
    assert Scores.of(p, None).acted is None


def test_a_missing_value_is_null_or_no_finite_number() -> None:
    rows = pa.table({"a": [1.0, None, float("nan"), float("inf")], "b": ["x", None, "", "y"], "c": [1, 2, 3, 4]})
    assert missing_shares(rows, ["a", "b", "c"]) == (Share("a", 0.75), Share("b", 0.25), Share("c", 0))


def test_an_entity_of_which_a_view_says_nothing_is_stale(tiny: Tiny) -> None:
    folder, view = tiny.folder(), tiny.folder().features[0].view
    for each in (folder.population, view):
        refresh(tiny.lake, each, [AS_OF])
    counts = [
        tiny.lake.query("SELECT count(*) AS n FROM t WHERE as_of = $day", {"day": AS_OF}, t=table)["n"][0].as_py()
        for table in (folder.population.kept, view.kept)
    ]
    (share,) = stale_shares(tiny.lake, folder.population, [view], [False], AS_OF)
    assert share == Share("habits", pytest.approx(1 - counts[1] / counts[0]))  # type: ignore[arg-type]
    assert 0 < share.share < 1
    assert stale_shares(tiny.lake, folder.population, [view], [True], AS_OF) == (Share("habits", 1.0),)


def test_a_view_is_silent_once_its_feed_stopped_for_a_ttl(tiny: Tiny) -> None:
    """The orders end just before `AS_OF`; nothing that comes later may change what was true then."""
    of = Predicted(tiny)
    kept = record(of.shelf, of.shelf.version("shop", 1))
    days = weeks(0, 1, 2, 3)
    assert [silent(tiny.lake, kept, day) for day in days] == [(False,), (False,), (True,), (True,)]
    assert silent(tiny.lake, replace(kept, ttls=(86400.0 * 70,)), days[-1]) == (False,)
    tiny.deliver("orders", habits(range(20, 22), seed=1))
    assert [silent(tiny.lake, kept, day) for day in days] == [(False,), (False,), (True,), (True,)]
    assert silent(tiny.lake, kept, AS_OF + 8 * WEEK) == (False,)


@pytest.mark.slow
def test_a_report_is_made_once_and_again_when_something_arrived(tiny: Tiny, empty_registry: Path) -> None:
    from ml_assets.training.dataset import build
    from ml_assets.training.report import report
    from ml_assets.training.score import predict
    from ml_assets.training.train import train

    tiny.take_registry(empty_registry)
    registry, folder, lake = tiny.registry, tiny.folder(), tiny.lake
    version = train(lake, registry, folder, build(lake, folder, AS_OF), tags={}).version
    known = report(lake, registry, folder, version)
    registry.promote(version)
    for day in weeks(-1, 0):
        predict(lake, registry, folder, day)
    first, again = (prediction_report(lake, registry, folder, AS_OF) for _ in range(2))
    assert (first.reused, again.reused) == (False, True)
    assert replace(again, reused=False) == first
    scores = lake.query("SELECT score FROM p WHERE as_of = $day", {"day": AS_OF}, p="shop/predictions")["score"]
    assert first.rows == len(scores)
    assert first.scores is not None
    assert first.scores.mean == pytest.approx(np.mean(scores))
    assert first.reference is not None
    assert first.reference.mean == pytest.approx(known.metrics["mean_score"])
    assert first.threshold == known.evaluation.threshold
    acted = (known.evaluation.confusion["tp"] + known.evaluation.confusion["fp"]) / known.evaluation.rows
    assert first.reference.acted == pytest.approx(acted)
    assert (first.base_rate_of, first.model_version) == (AS_OF - timedelta(days=14), 1)
    assert first.base_rate is not None
    assert first.rows_before is not None
    assert first.rows_change == pytest.approx(first.rows / first.rows_before - 1)
    for name in ("share", "reference"):
        assert sum(getattr(each, name) for each in first.histogram) == pytest.approx(1)
    assert {each.name for each in first.missing} == {"orders", "mean_amount", "days_since", "kind"}
    numbers = first.metadata()
    assert "latency_p50_ms" not in numbers
    assert (first.classes, first.unseen) == ((), ())  # of two classes, and without text
    assert not {"review_share", "unseen_share", "reference_review_share", "reference_unseen_share"} & numbers.keys()
    assert None not in numbers.values()
    assert first.plot("shop").startswith(b"\x89PNG")
    assert [{*line} for line in first.table()] == [{"of", "what", "share"}] * 5
    late = [{"customer": 3, "made_at": row["made_at"], "amount": 1.0, "kind": "a"} for row in habits(range(13, 14))]
    tiny.deliver("orders", late[:1])
    changed = prediction_report(lake, registry, folder, AS_OF)
    assert not changed.reused
    assert isinstance(changed, PredictionReport)
