"""An A/B test on simulated users of known effect: the interval holds the truth, and each fault is named and blocks."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ml_assets.events.exposures import Exposure, VariantFailure
from ml_assets.events.rows import Event, Outcome, Prediction, prediction_id
from ml_assets.rollouts.baseline import RolloutBaseline
from ml_assets.rollouts.experiment import measure
from ml_assets.rollouts.experiment_ledger import ExperimentStep
from ml_assets.rollouts.experiment_report import ExperimentReport, read_report
from ml_assets_tests.rollouts.simulated_users import START, Users, fill, first_step, microseconds, of_unit, spec

BETTER = (("a", 0.2), ("b", 0.3))


def measured(folder: Path, events: list[Event], days: float = 8, **declared: object) -> ExperimentReport:
    step = first_step(spec(**declared))
    return measure(fill(folder, events), "churn", step, START + timedelta(days=days), entity="customer")


def test_a_better_variant_wins_and_its_interval_holds_the_truth(tmp_path: Path) -> None:
    report = measured(tmp_path, Users(rates=BETTER).events())
    (effect,) = report.effects
    assert (report.action, report.winner, report.faults) == ("winner", "b", ())
    assert effect.interval.low < 0.1 < effect.interval.high
    assert report.recommendation.startswith("Ship b: b is better: +0.")
    assert "of the mean of a" in report.recommendation


def test_where_nothing_differs_nobody_wins(tmp_path: Path) -> None:
    report = measured(tmp_path, Users().events(), days=14)
    assert report.action == "none"
    assert report.recommendation.startswith("Keep a: b may differ either way")
    assert report.effects[0].interval.low < 0 < report.effects[0].interval.high


def test_a_unit_counts_when_its_window_has_passed(tmp_path: Path) -> None:
    events = Users(count=400).events()
    report = measured(tmp_path, events, days=3, primary={"metric": "purchase", "window": "2d"})
    old = sum(
        event.exposed_at <= microseconds(START + timedelta(hours=23)) for event in events if isinstance(event, Exposure)
    )
    assert sum(variant.units for variant in report.variants) == old
    assert sum(variant.exposed for variant in report.variants) == 400


def test_the_effect_is_known_by_day_since_the_exposure(tmp_path: Path) -> None:
    report = measured(tmp_path, Users(rates=BETTER).events(), days=10, primary={"metric": "purchase", "window": "2d"})
    first, second = report.by_day["b"]
    assert first.low < 0.1 < first.high
    assert (second.estimate, second.low, second.high) == (0, 0, 0)


def test_a_covariate_makes_the_interval_narrower(tmp_path: Path) -> None:
    import pyarrow as pa

    events = Users(count=2_000).events()
    bought = {event.prediction_id for event in events if isinstance(event, Outcome)}
    answers = [event for event in events if isinstance(event, Prediction)]
    lake = fill(tmp_path, events)
    scores = [0.8 if answer.prediction_id in bought else 0.2 for answer in answers]
    lake.append("churn/predictions", pa.table({
        "as_of": [START.date()] * len(answers), "customer": [answer.entity for answer in answers], "score": scores,
    }))  # fmt: skip
    widths = []
    for cuped in (False, True):
        step = first_step(spec(primary={"metric": "purchase", "window": "1d", "cuped": cuped}))
        report = measure(lake, "churn", step, START + timedelta(days=9), entity="customer")
        widths.append(report.effects[0].interval.high - report.effects[0].interval.low)
    assert widths[1] < 0.1 * widths[0]


def test_labels_do_not_add_up_and_units_without_one_are_left_out(tmp_path: Path) -> None:
    events = Users(count=200).events()
    told = [event._replace(kind="label") if isinstance(event, Outcome) else event for event in events]
    report = measured(tmp_path, told, days=9, primary={"metric": "label", "window": "1d"})
    outcomes = [event for event in events if isinstance(event, Outcome)]
    assert sum(variant.units for variant in report.variants) == len(outcomes)
    assert report.notes == (f"{200 - len(outcomes)} units have no label: left out",)
    assert "of 50 values other than 0" in report.reason


def test_scores_are_compared_at_once(tmp_path: Path) -> None:
    report = measured(tmp_path, Users(count=300).events(), days=7.01, primary={"metric": "score"})
    assert [variant.mean for variant in report.variants] == [0.5, 0.5]


def test_outcomes_of_units_count_like_those_of_answers(tmp_path: Path) -> None:
    events = [event for event in Users(count=300).events() if not isinstance(event, Outcome)]
    exposures = [event for event in events if isinstance(event, Exposure)]
    at = [datetime(1970, 1, 1) + timedelta(microseconds=each.exposed_at + 10) for each in exposures]  # noqa: DTZ001
    told: list[Event] = [of_unit(each.entity, moment, 2.0) for each, moment in zip(exposures, at, strict=True)]
    report = measured(tmp_path, [*events, *told])
    assert [variant.mean for variant in report.variants] == [2.0, 2.0]


def _lose_exposures(events: list[Event]) -> list[Event]:
    """Every fifth customer of b is not recorded."""
    lost = [each for each in events if isinstance(each, Exposure) and each.variant == "b"][::5]
    return [each for each in events if each not in lost]


def _see_both(events: list[Event]) -> list[Event]:
    first = next(each for each in events if isinstance(each, Exposure) and each.variant == "a")
    return [*events, first._replace(variant="b", exposed_at=first.exposed_at + 60_000_000)]


DAY = 86_400_000_000


def _change(events: list[Event], kind: type[Event], change: Callable[[Any], Event]) -> list[Event]:
    """The events, those of a kind changed."""
    return [change(event) if isinstance(event, kind) else event for event in events]


def _move(days: int) -> Callable[[list[Event]], list[Event]]:
    """The clock of the server that answered one customer is off."""

    def one(exposure: Exposure) -> Event:
        off = days * DAY if exposure.entity == "customer-9" else 0
        return exposure._replace(exposed_at=exposure.exposed_at + off)

    return lambda events: _change(events, Exposure, one)


def _receive_late(events: list[Event]) -> list[Event]:
    return _change(events, Outcome, lambda each: each._replace(received_at=each.received_at + 30 * DAY))


def _come_before(events: list[Event]) -> list[Event]:
    return _change(events, Outcome, lambda each: each._replace(observed_at=each.observed_at - DAY))


def _tell_of_strangers(events: list[Event]) -> list[Event]:
    return [*events, *(of_unit(f"stranger-{number}", START + timedelta(days=1)) for number in range(50))]


def _stray(events: list[Event], every: int = 1) -> list[Event]:
    """Customers of b come again, and are answered by a server that knows of no experiment; so are some of a."""
    answers = [each for each in events if isinstance(each, Prediction)]
    again = [
        each._replace(prediction_id=prediction_id("churn", at), version="6", variant="champion",
                      requested_at=each.requested_at + 3_600_000_000)
        for at, each in enumerate(answers)
    ]  # fmt: skip
    of_b = [new for new, old in zip(again, answers, strict=True) if old.variant == "b"]
    return [*events, *of_b[::every], *(new for new, old in zip(again, answers, strict=True) if old.variant == "a")]


def _be_renamed(events: list[Event]) -> list[Event]:
    return _change(events, Exposure, lambda each: each._replace(variant={"a": "a", "b": "c"}[each.variant]))


FAULTS: dict[str, tuple[Callable[[list[Event]], list[Event]], str]] = {
    "sample ratio": (_lose_exposures, "sample-ratio mismatch: "),
    "both variants": (_see_both, "1 units were answered by more than one variant"),
    "clock ahead": (_move(30), "the clock of a server is off: 1 exposures in the future"),
    "clock behind": (_move(-30), "the clock of a server is off: 1 exposures before the start"),
    "clock of outcomes": (_receive_late, " outcomes in the future"),
    "outcome before": (_come_before, "outcomes before their exposure, 100.0% of all"),
    "stranger": (_tell_of_strangers, "50 outcomes before their exposure"),
    "stale server": (_stray, "50.0% of the answers to units of other variants came from servers that do not follow"),
    "unknown variant": (_be_renamed, "units were answered by 'c', which the experiment does not have"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_and_no_winner_is(tmp_path: Path, name: str) -> None:
    inject, sentence = FAULTS[name]
    report = measured(tmp_path, inject(Users(rates=BETTER).events()))
    assert report.action == "error"
    assert sentence in report.reason
    assert report.recommendation.startswith("Believe nothing of this: ")


def test_outcomes_that_come_twice_count_once_and_are_named(tmp_path: Path) -> None:
    events = Users(rates=BETTER).events()
    outcomes = [event for event in events if isinstance(event, Outcome)]
    again = [each._replace(source="shop", observed_at=each.observed_at + 1) for each in outcomes]
    once, twice = measured(tmp_path / "once", events), measured(tmp_path / "twice", [*events, *outcomes, *again])
    assert twice.effects == once.effects
    assert twice.notes == (f"{len(again):,} outcomes were said again of the same answer: the last one counts, once",)


def test_a_few_answers_of_a_server_that_does_not_follow_are_named(tmp_path: Path) -> None:
    report = measured(tmp_path, _stray(Users(rates=BETTER).events(), every=20))
    assert report.action == "winner"
    (note,) = report.notes
    assert note.startswith("4.8% of the answers to units of other variants came from servers that do not follow")


def test_words_and_few_early_outcomes_are_left_out_and_named(tmp_path: Path) -> None:
    events = Users(rates=BETTER).events()
    outcomes = [event for event in events if isinstance(event, Outcome)]
    early = outcomes[0]._replace(observed_at=outcomes[0].observed_at - 86_400_000_000)
    word = outcomes[1]._replace(value='"yes"', source="shop")
    report = measured(tmp_path, [*events, early, word])
    assert report.action == "winner"
    assert report.notes == (
        "1 outcomes came before the exposure, or of units that never were: left out",
        "1 outcomes are not numbers: left out",
    )


GUARDRAILS = [{"metric": "errors", "at_most_worse": 0.01}, {"metric": "latency", "at_most_times": 1.2}]


def _guarded() -> ExperimentStep:
    baseline = RolloutBaseline(500, 0.01, 0.01, (1, 2, 3))
    return replace(first_step(spec(guardrails=GUARDRAILS)), baseline=baseline.to_json())


def _fail(events: list[Event], variant: str, reason: str, share: float) -> list[Event]:
    """Some units of a variant fail, each of them twice."""
    exposures = [each for each in events if isinstance(each, Exposure) and each.variant == variant]
    units = exposures[: round(share * len(exposures))]
    twice = [(each, each.exposed_at + later) for each in units for later in (1, 2)]
    return [*events, *(VariantFailure(*each[:4], reason, each.prediction_id, at) for each, at in twice)]


@pytest.mark.parametrize(
    ("variant", "reason", "share", "action"),
    [("b", "error", 0.05, "none"), ("b", "slow p99", 0.1, "none"), ("a", "error", 0.05, "winner")],
)
def test_a_variant_that_breaks_a_guardrail_does_not_win(
    tmp_path: Path, variant: str, reason: str, share: float, action: str
) -> None:
    events = _fail(Users(rates=BETTER).events(), variant, reason, share)
    step = _guarded()
    report = measure(fill(tmp_path, events), "churn", step, START + timedelta(days=8), entity="customer")
    assert report.action == action
    assert report.recommendation.startswith("Ship b" if action == "winner" else "Keep a: b breaks a guardrail: ")
    assert [(each.variant, each.result.name) for each in report.guardrails] == [("b", "errors"), ("b", "latency")]
    assert read_report(report.to_json()) == report


def test_what_is_not_believed_breaks_no_guardrail(tmp_path: Path) -> None:
    events = _fail(_lose_exposures(Users().events()), "b", "error", 0.2)
    now = START + timedelta(days=8)
    assert measure(fill(tmp_path, events), "churn", _guarded(), now, entity="customer").action == "error"


def test_outcomes_that_are_told_late_are_named(tmp_path: Path) -> None:
    def tell_later(event: Outcome) -> Event:
        return event._replace(received_at=event.received_at + DAY)

    report = measured(tmp_path, _change(Users(count=300).events(), Outcome, tell_later), days=9)
    assert any("outcomes were told when their unit was counted already" in note for note in report.notes)


@pytest.mark.parametrize("days", [0.5, 8])
def test_without_traffic_it_goes_on_and_says_so(tmp_path: Path, days: float) -> None:
    report = measured(tmp_path, [], days)
    assert report.action == "continue"
    assert "0 of 1,000 units in the smallest variant" in report.reason
