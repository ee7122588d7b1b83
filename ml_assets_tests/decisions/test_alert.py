"""Alerts: said once, reminded of after the cooldown, recovered from once, and never without a value."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.decisions.alert import AlertEvent, Kind, MetricRule, RuleState, Severity, backoff, decide

DAY = date(2026, 6, 7)
WEEK = timedelta(weeks=1)
DRIFT = MetricRule("drift", "drifted_importance", above=0.3, cooldown=3 * WEEK)
AUC = MetricRule("auc", "roc_auc_measured", below=0.7, severity=Severity.CRITICAL)

values = st.one_of(st.none(), st.just(math.nan), st.floats(-1, 1), st.sampled_from([0.3, math.inf, -math.inf]))
histories = st.lists(values, min_size=1, max_size=30)
rules = st.builds(
    MetricRule,
    st.just("rule"),
    st.just("metric"),
    above=st.floats(-1, 1),
    cooldown=st.integers(0, 60).map(lambda days: timedelta(days=days)),
)


def walk(
    rule: MetricRule, history: Sequence[float | None], state: Mapping[str, RuleState] | None = None
) -> tuple[list[AlertEvent], Mapping[str, RuleState]]:
    """The events of weekly as-of dates, and the state after the last one."""
    said, known = list[AlertEvent](), dict(state or {})
    for number, value in enumerate(history):
        events, after = decide([rule], {rule.metric: value}, known, DAY + number * WEEK)
        said, known = said + list(events), dict(after)
    return said, known


@given(rules, histories)
def test_fired_and_recovered_alternate(rule: MetricRule, history: Sequence[float | None]) -> None:
    changes = [event.kind for event in walk(rule, history)[0] if event.kind is not Kind.REMINDER]
    assert changes == [Kind.FIRED, Kind.RECOVERED][:2] * (len(changes) // 2) + [Kind.FIRED] * (len(changes) % 2)


@given(rules, histories)
def test_it_says_nothing_twice_within_the_cooldown(rule: MetricRule, history: Sequence[float | None]) -> None:
    for before, event in pairwise(walk(rule, history)[0]):
        assert event.as_of > before.as_of
        if event.kind is Kind.REMINDER:
            assert event.as_of - before.as_of >= rule.cooldown


@given(rules, histories)
def test_no_reminder_is_forgotten(rule: MetricRule, history: Sequence[float | None]) -> None:
    """A date at which it fires has an event, unless one within the cooldown went before."""
    said = walk(rule, history)[0]
    for number, value in enumerate(history):
        as_of = DAY + number * WEEK
        if value is not None and rule.fires(value):
            assert any(as_of - max(rule.cooldown, timedelta(days=1)) < event.as_of <= as_of for event in said)


@given(rules, histories)
def test_an_as_of_date_that_is_judged_again_says_nothing(rule: MetricRule, history: Sequence[float | None]) -> None:
    _, state = walk(rule, history)
    for number, value in enumerate(history):
        assert decide([rule], {rule.metric: value}, state, DAY + number * WEEK) == ((), state)


@given(rules, histories)
def test_silence_is_no_evidence(rule: MetricRule, history: Sequence[float | None]) -> None:
    said, state = walk(rule, history)
    for missing in ({}, {rule.metric: None}, {rule.metric: math.nan}):
        assert decide([rule], missing, state, DAY + 99 * WEEK) == ((), state)
    for event in said:
        assert not math.isnan(event.value)
        assert rule.fires(event.value) == (event.kind is not Kind.RECOVERED)


@given(histories)
def test_below_is_the_mirror_of_above(history: Sequence[float | None]) -> None:
    above, below = MetricRule("r", "m", above=0.25), MetricRule("r", "m", below=-0.25)
    mirrored = [None if value is None else -value for value in history]
    assert [(event.kind, event.as_of) for event in walk(above, history)[0]] == [
        (event.kind, event.as_of) for event in walk(below, mirrored)[0]
    ]


@given(st.lists(st.tuples(values, values), max_size=20))
def test_rules_do_not_disturb_each_other(history: Sequence[tuple[float | None, float | None]]) -> None:
    together, state = list[AlertEvent](), dict[str, RuleState]()
    for number, (one, two) in enumerate(history):
        metrics = {DRIFT.metric: one, AUC.metric: two}
        events, after = decide([DRIFT, AUC], metrics, state, DAY + number * WEEK)
        together, state = together + list(events), dict(after)
    for rule, alone in ((DRIFT, [one for one, _ in history]), (AUC, [two for _, two in history])):
        assert [event for event in together if event.rule == rule.name] == walk(rule, alone)[0]


def test_what_a_person_reads() -> None:
    said, _ = walk(DRIFT, [0.1, 0.42, 0.5, None, 0.6, 0.3])
    assert [(event.kind.value, event.sentence) for event in said] == [
        ("fired", "drifted_importance is 0.42, above 0.3"),
        ("reminder", "drifted_importance is 0.6, still above 0.3; it has fired for 21 days, since 2026-06-14"),
        (
            "recovered",
            "drifted_importance is 0.3, no longer above 0.3; it fired for 28 days, from 2026-06-14 to 2026-07-12",
        ),
    ]


@pytest.mark.parametrize(
    ("rule", "value", "words"),
    [
        (MetricRule("r", "m", above=0.3), 0.300001, "m is 0.300001, above 0.3"),
        (MetricRule("r", "predictions", below=10_000), 1234, "predictions is 1,234, below 10,000"),
        (
            MetricRule("r", "m", above=0, description="ask the data team"),
            math.inf,
            "m is inf, above 0 (ask the data team)",
        ),
    ],
)
def test_a_sentence_tells_value_and_limit_apart(rule: MetricRule, value: float, words: str) -> None:
    ((event,), _) = decide([rule], {rule.metric: value}, {}, DAY)
    assert event.sentence == words


def test_a_correction_of_the_last_date_counts_and_an_older_date_does_not() -> None:
    calm, state = decide([DRIFT], {DRIFT.metric: 0.1}, {}, DAY)
    assert calm == ()
    assert decide([DRIFT], {DRIFT.metric: 0.9}, state, DAY - WEEK) == ((), state)
    (corrected,), _ = decide([DRIFT], {DRIFT.metric: 0.9}, state, DAY)
    assert (corrected.kind, corrected.value) == (Kind.FIRED, 0.9)


@pytest.mark.parametrize("limits", [{}, {"above": 1.0, "below": 0.0}, {"above": math.nan}, {"below": -math.inf}])
def test_a_rule_has_one_limit(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="alert r: exactly one of above and below is needed, a finite number"):
        MetricRule("r", "m", **limits)


def test_the_waiting_time_doubles_up_to_an_hour_and_never_ends() -> None:
    minutes = [backoff(attempts).total_seconds() / 60 for attempts in (0, 1, 2, 3, 6, 7, 8, 10_000)]
    assert minutes == [0, 1, 2, 4, 32, 60, 60, 60]
