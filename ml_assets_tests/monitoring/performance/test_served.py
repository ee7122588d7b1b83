"""What was served, against what turned out: groups of their own, whatever comes late, twice or out of order."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from ml_assets.decisions.metric import report_metrics
from ml_assets.events.rows import Prediction, outcome, prediction_id
from ml_assets.monitoring.log.take import _rows as rows_of
from ml_assets.monitoring.performance.groups import MetricRow
from ml_assets.monitoring.performance.report import PerformanceReport, performance_report
from ml_assets.monitoring.performance.served import ServedAnswers, answers
from ml_assets.spec.performance import PerformanceSpec
from ml_assets.training.metrics import scores
from ml_assets_tests.conftest import AS_OF
from ml_assets_tests.monitoring.answered import Answered, microseconds
from ml_assets_tests.monitoring.predicted import weeks, younger
from ml_assets_tests.serving.traffic import write

SPEC = PerformanceSpec(min_rows=20, resamples=100)


def say(answered: Answered, row: Prediction, value: float | str, *, seconds: int = 0, source: str = "") -> None:
    observed = microseconds(AS_OF) + 1_000_000 * seconds
    said = outcome(row.prediction_id, "label", value, observed_at=observed, received_at=1, source=source)
    write(answered.store, said)


def known(answered: Answered, as_of: date = AS_OF, window: int = 4) -> ServedAnswers:
    answered.take(as_of)
    return answers(answered.lake, answered.of.folder, window, as_of)


def reported(answered: Answered, as_of: date = AS_OF) -> PerformanceReport:
    answered.take(as_of)
    return performance_report(answered.lake, answered.of.shelf, answered.of.folder, SPEC, as_of)


def online(report: PerformanceReport) -> list[MetricRow]:
    return [row for row in report.rows if row.variant is not None]


def labels(found: ServedAnswers) -> dict[str | None, float]:
    return {row["entity"]: row["label"] for row in found.rows.to_pylist()}


def test_without_outcomes_the_folder_says_what_was_true(answered: Answered) -> None:
    """The same rows as the batch, so the same numbers, in a group of their own."""
    day = weeks(-2)[0]
    answered.answer(day)
    report = reported(answered)
    mine = {row.metric: row for row in online(report)}
    batch = {row.metric: row for row in report.rows if (row.last, row.pooled, row.variant) == (day, False, None)}
    assert [*mine] == [*report_metrics()]
    for metric, row in mine.items():
        assert row.value == pytest.approx(batch[metric].value)
        assert row.rows == batch[metric].rows
        assert (row.kind, row.variant, row.model_version) == ("measured", "champion", 1)
        assert (row.first, row.last, row.pooled) == (day, day, True)
    assert report.served_metric("roc_auc") is not None
    assert report.metadata()["roc_auc_served"] == mine["roc_auc"].value
    assert {line["by"] for line in report.table()} == {"batch", "served: champion"}


def test_during_an_experiment_the_champion_is_known_by_the_name_of_its_variant(answered: Answered) -> None:
    """Also where it answered a few in place of another variant, which failed."""
    day, before = weeks(-2)[0], weeks(-3)[0]
    answered.answer(before, most=25)
    answered.answer(day, variant="a")
    answered.answer(day, variant="b", most=30)
    report = reported(answered)
    rows = {row.variant: row for row in online(report) if row.metric == "roc_auc"}
    auc = report.served_metric("roc_auc")
    assert {*rows} == {"champion", "a", "b"}
    assert auc is not None
    assert (auc.estimate, report.metadata()["roc_auc_served"]) == (rows["a"].value, rows["a"].value)


def test_the_batch_is_what_it_is_without_anything_served(answered: Answered) -> None:
    alone = performance_report(answered.lake, answered.of.shelf, answered.of.folder, SPEC, AS_OF)
    answered.answer(weeks(-2)[0])
    report = reported(answered)
    assert not report.reused
    assert [row for row in report.rows if row.variant is None] == [*alone.rows]
    assert report.headline("roc_auc") == alone.headline("roc_auc")
    assert report.history == alone.history


def test_an_outcome_goes_before_the_folders_label_and_the_last_observed_stands(answered: Answered) -> None:
    rows = answered.answer(weeks(-2)[0])
    before = labels(known(answered))
    flipped, corrected, words = rows[0], rows[1], rows[2]
    say(answered, flipped, 1 - before[flipped.entity])
    say(answered, corrected, before[corrected.entity], seconds=9)
    say(answered, corrected, 1 - before[corrected.entity], seconds=5)  # comes last, was observed earlier
    say(answered, words, "maybe")
    after = labels(known(answered))
    assert {entity for entity in after if after[entity] != before[entity]} == {flipped.entity}


def test_one_answer_of_an_entity_counts_the_first(answered: Answered) -> None:
    day = weeks(-2)[0]
    first = answered.answer(day, seconds=5)
    again = [
        row._replace(prediction_id=prediction_id("shop", n), score=0.9, requested_at=row.requested_at + 1_000_000)
        for n, row in enumerate(first)
    ]
    earlier = first[0]._replace(prediction_id=prediction_id("shop", 1), score=0.1, requested_at=microseconds(day))
    write(answered.store, *again, earlier)
    say(answered, again[1], 1)
    found = known(answered)
    found_scores = {row["entity"]: row["score"] for row in found.rows.to_pylist()}
    assert found_scores == {row.entity: row.score for row in first} | {earlier.entity: 0.1}
    assert labels(found)[first[1].entity] == 1


def test_each_version_and_variant_is_measured_by_itself(answered: Answered) -> None:
    day = weeks(-2)[0]
    answered.of.shelf.add()
    answered.answer(day)
    answered.answer(day, variant="challenger", version=2)
    report = reported(answered)
    assert {(row.model_version, row.variant) for row in online(report)} == {(1, "champion"), (2, "challenger")}
    younger(answered.of.shelf, 2, day)
    unfair = performance_report(answered.lake, answered.of.shelf, answered.of.folder, SPEC, AS_OF + timedelta(days=7))
    assert {row.variant for row in online(unfair)} == {"champion"}
    assert any("version 2 was fitted on labels up to 2025-04-13" in note for note in unfair.notes)


def test_what_turns_out_early_waits_until_it_is_no_longer_one_sided(answered: Answered) -> None:
    rows = answered.answer(AS_OF)
    for row in rows[: len(rows) // 2]:
        say(answered, row, 1)
    half = reported(answered)
    assert online(half) == []
    assert any(f"{len(rows) // 2} outcomes of answers of {AS_OF} wait" in note for note in half.notes)
    for number, row in enumerate(rows[len(rows) // 2 :]):
        say(answered, row, number % 2)
    whole = reported(answered)
    assert {(row.last, row.rows) for row in online(whole)} == {(AS_OF, len(rows))}
    assert not whole.reused
    assert reported(answered).reused


def test_late_outcomes_in_any_order_make_the_report_new_and_end_in_the_same_numbers(answered: Answered) -> None:
    rows = answered.answer(weeks(-2)[0])
    rng = np.random.default_rng(0)
    truth = (rng.random(len(rows)) < [row.score for row in rows]).astype(float)
    first = reported(answered)
    said = [(row, value, 5) for row, value in zip(rows, truth.tolist(), strict=True)]
    said += [(row, 1 - value, 2) for row, value, _ in said]
    for number in rng.permutation(len(said)).tolist():
        row, value, seconds = said[number]
        say(answered, row, value, seconds=seconds)
        if number % 40 == 0:
            answered.take(AS_OF)
    found = reported(answered)
    assert not found.reused
    assert online(found) != online(first)
    auc = found.served_metric("roc_auc")
    assert auc is not None
    assert auc.estimate == pytest.approx(scores(truth, np.array([row.score for row in rows]))["roc_auc"])
    assert auc.low < auc.estimate < auc.high
    assert reported(answered).reused


def test_answers_with_features_of_the_request_count_by_their_outcomes_alone(answered: Answered) -> None:
    rows = answered.answer(AS_OF, most=10)
    bare = [row._replace(prediction_id=prediction_id("shop", n), as_of=None) for n, row in enumerate(rows)]
    with_truth = bare[:6]
    answered.store.close()
    write(answered.store, *bare)
    for row in with_truth:
        say(answered, row, 1)
    answered.take(weeks(-2)[0])  # was due when they were answered
    assert labels(known(answered)) == dict.fromkeys([row.entity for row in with_truth], 1.0)


def test_the_window_is_of_as_of_dates(answered: Answered) -> None:
    for day in weeks(-6, -5, -4, -3, -2):
        answered.answer(day, most=5)
    assert {row["day"] for row in known(answered).rows.to_pylist()} == set(weeks(-5, -4, -3, -2))
    assert {row["day"] for row in known(answered, window=1).rows.to_pylist()} == set(weeks(-2))


def nameless(rows: list[Prediction]) -> list[Prediction]:
    """The same answers to requests that did not say whom they are about."""
    return [row._replace(prediction_id=prediction_id("shop", n), entity=None, as_of=None) for n, row in enumerate(rows)]


def test_answers_that_name_nobody_are_not_one_person(answered: Answered) -> None:
    """Each counts, by itself: they are not answers to one entity, of which the first would stand for all."""
    rows = nameless(answered.answer(AS_OF, most=40))
    again = [row._replace(prediction_id=prediction_id("shop", 100 + n), score=0.5) for n, row in enumerate(rows)]
    write(answered.store, *rows, *again)
    for number, row in enumerate((*rows, *again)):
        say(answered, row, number % 2)
    answered.take(weeks(-2)[0])  # was due when they were answered
    found = known(answered)
    alone = [row for row in found.rows.to_pylist() if row["entity"] is None]
    assert len(alone) == len({row["unit"] for row in alone}) == 80
    assert sorted(row["score"] for row in alone) == sorted([row.score for row in rows] + [0.5] * 40)
    (group,) = found.groups().values()
    assert len(set(group.scored.entity.tolist())) == found.rows.num_rows
    intervals = [row for row in online(reported(answered)) if row.metric == "mean_score"]
    assert all(row.low is not None for row in intervals)


def test_a_name_like_an_id_is_still_a_name(answered: Answered) -> None:
    (first, second) = nameless(answered.answer(AS_OF, most=2))
    named = second._replace(prediction_id=prediction_id("shop", 7), entity=first.prediction_id)
    write(answered.store, first, second, named)
    for row in (first, second, named):
        say(answered, row, 1)
    answered.take(weeks(-2)[0])
    assert len({row["unit"] for row in known(answered).rows.to_pylist()}) == 3


def test_stores_and_tables_of_before_hold_an_empty_name_for_none(answered: Answered) -> None:
    first, second = (
        [row._replace(entity="", prediction_id=prediction_id("shop", n + start)) for n, row in enumerate(some)]
        for start, some in (
            (0, nameless(answered.answer(AS_OF, most=3))),
            (50, nameless(answered.answer(AS_OF, most=4))),
        )
    )
    taken = rows_of(Prediction, first, weeks(-2)[0])
    named = taken.column_names.index("entity")
    answered.lake.append("shop/prediction_log", taken.set_column(named, "entity", pa.array([""] * 3)))
    write(answered.store, *second)
    for row in (*first, *second):
        say(answered, row, 1)
    answered.take(weeks(-2)[0])
    found = known(answered)
    assert [row["entity"] for row in found.rows.to_pylist()] == [None] * 7
    assert len({row["unit"] for row in found.rows.to_pylist()}) == 7
    log = answered.lake.query("SELECT entity FROM l WHERE as_of IS NULL", l="shop/prediction_log")["entity"].to_pylist()
    assert sorted(log, key=str) == [""] * 3 + [None] * 4
