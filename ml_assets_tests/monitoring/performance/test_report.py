"""The performance report: measured on labels that matured, estimated before, and never one for the other."""

import math
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_assets.decisions.metric import report_metrics
from ml_assets.features.store import refresh
from ml_assets.monitoring.performance.groups import MetricRow
from ml_assets.monitoring.performance.report import PerformanceReport, performance_report, read
from ml_assets.spec.performance import PerformanceSpec
from ml_assets.storage.lake import Lake, Rows
from ml_assets.training.metrics import scores
from ml_assets_tests.conftest import AS_OF, Tiny, habits, shared
from ml_assets_tests.monitoring.predicted import WEEK, Predicted, weeks, younger

SPEC = PerformanceSpec(min_rows=20, resamples=100)
HORIZON = timedelta(days=14)


@pytest.fixture
def predicted(scored: Predicted) -> Predicted:
    """Predictions of seven as-of dates up to `AS_OF`; the labels of the last one but one are not mature."""
    return scored


def reported(of: Predicted, as_of: date = AS_OF, spec: PerformanceSpec = SPEC) -> PerformanceReport:
    return performance_report(of.lake, of.shelf, of.folder, spec, as_of)


def rows(
    report: PerformanceReport, kind: str, metric: str = "roc_auc", *, pooled: bool | None = None
) -> list[MetricRow]:
    return [
        row
        for row in report.rows
        if (row.kind, row.metric) == (kind, metric) and pooled in {None, row.pooled} and row.slice is None
    ]


def sound(report: PerformanceReport) -> None:
    """A number is finite, or it is not there and a reason is."""
    for row in report.rows:
        assert (row.value is None) == (row.reason is not None), row
        numbers = (row.value, row.low, row.high, row.evaluated, row.drop)
        assert all(number is None or math.isfinite(number) for number in numbers)
        assert row.low is None or row.high is None or row.value is None or row.low <= row.value <= row.high, row


def test_without_predictions_the_report_is_empty_and_says_so(tiny: Tiny) -> None:
    found = reported(Predicted(tiny))
    assert (found.rows, found.notes) == ((), ("there are no predictions yet",))
    assert (found.headline("roc_auc"), found.estimated_metric("roc_auc"), found.metadata()["status"]) == (
        None, None, "there are no predictions yet",
    )  # fmt: skip
    assert read(tiny.lake, "shop", AS_OF - WEEK).notes == ("there is no performance report of shop for 2025-04-06 yet",)


def test_the_numbers_are_those_of_the_joined_rows(predicted: Predicted) -> None:
    found, lake, days = reported(predicted), predicted.lake, weeks(-5, -4, -3, -2)
    refresh(lake, predicted.folder.labels, days)
    joined = lake.query(
        "SELECT as_of, score, label FROM p JOIN l USING (as_of, customer) ORDER BY as_of, customer",
        p="shop/predictions", l=predicted.folder.labels.kept,
    )  # fmt: skip
    days_, y, p = (np.asarray(joined[name]) for name in ("as_of", "label", "score"))
    last = days_ >= np.datetime64(days[0])
    pooled = found.headline("roc_auc")
    assert pooled is not None
    assert pooled.estimate == pytest.approx(scores(y[last], p[last])["roc_auc"], rel=1e-12)
    assert [row.last for row in rows(found, "measured", pooled=False)] == days
    for row in rows(found, "measured", "brier", pooled=False):
        on = days_ == np.datetime64(row.last)
        assert row.rows == on.sum()
        assert row.value == pytest.approx(scores(y[on], p[on])["brier"], rel=1e-12)
    calibrated = found.row("calibration_error", "measured")
    assert calibrated is not None
    assert calibrated.bins is not None
    gaps = sum(abs(rate - mean) * n for mean, rate, n in calibrated.bins) / calibrated.rows
    assert gaps == pytest.approx(calibrated.value)
    assert found.status == "measured on predictions of 2025-03-09 to 2025-03-30, by version 1"
    assert found.notes == ("version 1 has no evaluation report, so there is no drop",)
    sound(found)


def test_an_estimate_never_passes_for_a_measurement(tiny: Tiny) -> None:
    of = Predicted(tiny)
    for day in weeks(*range(-6, 1)):
        of.score([day])
        found = reported(of, day)
        assert all(row.last + HORIZON <= day for row in found.rows if row.kind == "measured")
        assert all(row.last + HORIZON > day and not row.pooled for row in found.rows if row.kind == "estimated")
        estimated = found.estimated_metric("roc_auc")
        assert estimated is not None
        assert (found.headline("roc_auc") is None) == (day < weeks(-4)[0])
        assert found.status.startswith("estimated only" if day < weeks(-4)[0] else "measured on")
        assert ("roc_auc_measured" in found.metadata()) == (day >= weeks(-4)[0])
        assert {line["kind"] for line in found.table()} <= {"measured", "estimated"}
        sound(found)
    assert reported(of, weeks(-5)[0]).notes[0].endswith("the first are due on 2025-03-16")


def test_a_feed_that_stopped_matures_no_label(predicted: Predicted) -> None:
    later = AS_OF + 6 * WEEK
    predicted.score([later])
    found = reported(predicted, later)
    assert max(row.last for row in rows(found, "measured")) == weeks(-2)[0]
    assert {row.last for row in rows(found, "estimated")} == {*weeks(-1, 0), later}


def test_the_order_of_the_predictions_changes_nothing(predicted: Predicted) -> None:
    before = reported(predicted)
    predicted.score(weeks(*range(-6, 1)), only=10_000, shuffle=True)
    after = reported(predicted)
    assert not after.reused
    assert after.rows == before.rows


def test_a_report_that_stands_is_not_made_again(predicted: Predicted) -> None:
    first, again = reported(predicted), reported(predicted)
    assert (first.reused, again.reused, again.table_version) == (False, True, first.table_version)
    assert (again.rows, again.notes, again.history) == (first.rows, first.notes, first.history)
    assert read(predicted.lake, "shop", AS_OF).rows == first.rows
    assert not reported(predicted, spec=PerformanceSpec(min_rows=20, resamples=101)).reused


class Dying(Lake):
    """A lake that is killed before it keeps a report."""

    def replace(self, table: str, rows: Rows, **how: Any) -> int:
        if table.endswith("performance_report"):
            raise KeyboardInterrupt
        return super().replace(table, rows, **how)


def test_a_killed_report_is_made_whole_by_the_next_run(predicted: Predicted) -> None:
    with pytest.raises(KeyboardInterrupt):
        performance_report(Dying(predicted.lake.root, shared), predicted.shelf, predicted.folder, SPEC, AS_OF)
    assert read(predicted.lake, "shop", AS_OF).rows == ()
    made = reported(predicted)
    again = reported(predicted, spec=PerformanceSpec(min_rows=20, resamples=100, seed=1))
    assert reported(predicted).rows == made.rows != again.rows


def test_late_rows_refresh_exactly_the_reports_that_they_touch(predicted: Predicted) -> None:
    early, late = weeks(-2)[0], AS_OF
    before = {day: reported(predicted, day) for day in (early, late)}
    members = predicted.lake.query(
        "SELECT customer FROM l WHERE as_of = $day AND label = 1 ORDER BY customer", {"day": weeks(-2)[0]},
        l=predicted.folder.labels.kept,
    )["customer"].to_pylist()  # fmt: skip
    at = datetime.combine(weeks(-1)[0], time()) + timedelta(days=5)  # within the labels of two weeks ago only
    order = {"made_at": at, "amount": 20.0, "kind": "a"}
    predicted.shop.deliver("orders", [order | {"customer": customer} for customer in members[:5]])
    after = {day: reported(predicted, day) for day in (early, late)}
    assert (after[early].reused, after[late].reused) == (True, False)
    rates = [{row.last: row.value for row in rows(found[late], "measured", "base_rate", pooled=False)}
             for found in (before, after)]  # fmt: skip
    assert {day for day in rates[0] if rates[0][day] != rates[1][day]} == {weeks(-2)[0]}
    assert rows(after[late], "estimated") == rows(before[late], "estimated")


def test_a_new_champion_starts_without_a_measurement(predicted: Predicted) -> None:
    predicted.score([AS_OF], version=predicted.shelf.add(AS_OF - HORIZON))
    found = reported(predicted)
    assert found.champion == 2
    assert (found.headline("roc_auc"), found.row("roc_auc", "estimated")) != (None, None)
    assert found.headline("roc_auc") is None
    assert found.status == "estimated only, from scores of 2025-04-13: no label of version 2 is mature yet"
    assert read(predicted.lake, "shop", AS_OF, champion=1).headline("roc_auc") is not None
    assert read(predicted.lake, "shop", AS_OF).champion == 2


def test_a_prediction_by_a_version_that_knew_the_label_is_not_measured(predicted: Predicted) -> None:
    """Old dates that are scored again by a new champion would flatter it: it was fitted on their labels."""
    predicted.score(weeks(-5, -4), version=predicted.shelf.add())
    younger(predicted.shelf, 2, weeks(-3)[0])
    found = reported(predicted)
    assert {row.model_version for row in rows(found, "measured")} == {1}
    assert [row.last for row in rows(found, "measured", pooled=False)] == weeks(-3, -2)
    assert any("2025-03-09, 2025-03-16: not measured, for version 2" in note for note in found.notes)


def test_predictions_without_a_label_are_left_out_and_counted(predicted: Predicted) -> None:
    day = weeks(-2)[0]
    more = predicted.lake.query(
        "FROM p WHERE as_of = $day UNION ALL "
        "(SELECT as_of, customer + 1000, score, model_version FROM p WHERE as_of = $day LIMIT 3)",
        {"day": day}, p="shop/predictions",
    )  # fmt: skip
    before = reported(predicted)
    predicted.lake.replace("shop/predictions", more, values=[day], records={f"as_of={day}": 7})
    after = reported(predicted)
    assert after.rows == before.rows
    assert any(note.startswith("3 of ") and "have no label: left out" in note for note in after.notes)


def test_slices_sum_up_to_the_whole(tiny: Tiny) -> None:
    of = Predicted(tiny, slices=["kind", "mean_amount"])
    of.score(weeks(*range(-6, 1)))
    found = reported(of)
    (whole,) = rows(found, "measured", "base_rate", pooled=True)
    kinds = [row for row in found.rows if row.slice == "kind" and row.metric == "base_rate"]
    assert sum(row.rows for row in kinds) == whole.rows
    assert {row.slice_value for row in kinds} >= {"a", "b"}
    assert whole.value is not None
    known = [row for row in kinds if row.value is not None]
    assert sum(row.rows * (row.value or 0) for row in known) <= whole.rows * whole.value + 1e-9
    assert "mean_amount is no feature of version 1: no slice" in found.notes
    sound(found)


def test_too_few_rows_have_no_number_but_a_reason(tiny: Tiny) -> None:
    of = Predicted(tiny)
    of.score(weeks(*range(-6, 1)), only=12)
    found = reported(of, spec=PerformanceSpec(window=1, min_rows=30, resamples=100))
    assert all(row.value is None and row.reason == "12 rows are fewer than min_rows 30" for row in found.rows)
    assert (found.headline("roc_auc"), found.estimated_metric("roc_auc")) == (None, None)
    assert "roc_auc_measured" not in found.metadata()
    assert found.plot().startswith(b"\x89PNG")


def test_the_picture_shows_measured_and_estimated(predicted: Predicted) -> None:
    first = reported(predicted, AS_OF - WEEK)
    found = reported(predicted)
    assert {row.kind for row in found.history} == {"measured", "estimated"}
    assert len(found.history) > len(rows(first, "measured"))
    drawn_ = found.plot(title="shop")
    assert drawn_.startswith(b"\x89PNG")
    assert len(drawn_) < 60_000
    assert found.plot(title="shop") == drawn_


def test_every_metric_is_there_for_every_group(predicted: Predicted) -> None:
    found = reported(predicted)
    for line in {(row.first, row.last) for row in found.rows if row.kind == "measured"}:
        assert [row.metric for row in found.rows if (row.first, row.last) == line] == [*report_metrics()]


@pytest.mark.slow
def test_over_a_real_registry_the_drop_is_against_the_evaluation(tiny: Tiny, empty_registry: Path) -> None:
    from ml_assets.training.dataset import build
    from ml_assets.training.report import report
    from ml_assets.training.score import predict
    from ml_assets.training.train import train

    tiny.take_registry(empty_registry)
    tiny.deliver("orders", habits(range(14, 22), seed=1))
    registry, folder = tiny.registry, tiny.folder(slices=["kind"])
    version = train(tiny.lake, registry, folder, build(tiny.lake, folder, AS_OF), tags={}).version
    known = report(tiny.lake, registry, folder, version)
    registry.promote(version)
    for day in weeks(0, 1, 2, 3, 4):
        predict(tiny.lake, registry, folder, day)
    found = performance_report(tiny.lake, registry, folder, SPEC, weeks(4)[0])
    for metric in ("roc_auc", "pr_auc", "brier", "calibration_error", "base_rate"):
        assert found.evaluated_metric(metric) == known.metrics[metric]
    auc, accuracy = found.row("roc_auc", "measured"), found.row("accuracy", "measured")
    assert auc is not None
    assert accuracy is not None
    assert auc.drop is not None
    assert auc.drop == pytest.approx(known.metrics["roc_auc"] - (auc.value or 0))
    assert (auc.drop_low or 0) < auc.drop < (auc.drop_high or 0)
    right = known.evaluation.confusion["tp"] + known.evaluation.confusion["tn"]
    assert accuracy.evaluated == right / known.evaluation.rows
    assert found.headline("accuracy") is not None
    assert found.notes == ()
    (part,) = [row for row in found.rows if (row.slice_value, row.metric) == ("a", "roc_auc")]
    assert part.evaluated == known.evaluation.slices.get("kind", {}).get("a", {}).get("roc_auc")
    sound(found)
    tiny.write("label.sql", (tiny.path / "label.sql").read_text().replace("= 0 THEN 1", "< 2 THEN 1"))
    other = performance_report(tiny.lake, registry, tiny.folder(slices=["kind"]), SPEC, weeks(4)[0])
    assert (other.reused, other.evaluated_metric("roc_auc")) == (False, None)
    assert "the label query changed since version 1 was trained, so there is no drop" in other.notes
