"""The alerts of an as-of date: rules, metrics and the state of the rules in, events with their sentence out.

A metric that is missing, None or NaN neither fires nor clears a rule: silence is no evidence. A rule speaks once when
it starts to fire, again after its cooldown while it goes on, and once when it recovers. Each as-of date is said once:
judged again it gives no second event, and one older than what was judged gives none at all.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

_LONGEST = timedelta(hours=1)  # between two attempts to deliver


class Severity(StrEnum):
    """The severity of an alert, from harmless to bad."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Kind(StrEnum):
    """The kinds of events: it started, it goes on, it is over."""

    FIRED = "fired"
    REMINDER = "reminder"
    RECOVERED = "recovered"


@dataclass(frozen=True)
class MetricRule:
    """One metric and its limit; exactly one of `above` and `below` is set.

    Args:
        name: under which its state is kept.
        metric: a number of an as-of date.
        above: it fires where the metric is larger.
        below: it fires where the metric is smaller.
        severity: of what it says.
        cooldown: how long it stays silent while it goes on firing, on the clock of the as-of dates.
        description: what it means, for whoever is woken by it.
    """

    name: str
    metric: str
    above: float | None = None
    below: float | None = None
    severity: Severity = Severity.WARNING
    cooldown: timedelta = timedelta(days=7)
    description: str = ""

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None) or not math.isfinite(self.limit):
            raise ValueError(f"alert {self.name}: exactly one of above and below is needed, a finite number")

    @property
    def limit(self) -> float:
        """The number that the metric may not pass."""
        limit = self.below if self.above is None else self.above
        return math.nan if limit is None else limit

    @property
    def side(self) -> str:
        """`above` or `below`."""
        return "below" if self.above is None else "above"

    def fires(self, value: float) -> bool:
        """True if a value passes the limit; the limit itself does not."""
        return value < self.limit if self.above is None else value > self.limit


@dataclass(frozen=True)
class RuleState:
    """The state of a rule before an as-of date.

    Args:
        since: the as-of date at which it started to fire; None = it does not fire.
        last_event: the as-of date of its last event.
        last_judged: the last as-of date that was judged, with an event or without.
    """

    since: date | None = None
    last_event: date | None = None
    last_judged: date | None = None


@dataclass(frozen=True)
class AlertEvent:
    """An alert of a rule at an as-of date: the value against the limit, and the sentence that a person reads."""

    kind: Kind
    rule: str
    metric: str
    value: float
    limit: float
    as_of: date
    severity: Severity
    sentence: str


def decide(
    rules: Sequence[MetricRule], metrics: Mapping[str, float | None], state: Mapping[str, RuleState], as_of: date
) -> tuple[tuple[AlertEvent, ...], Mapping[str, RuleState]]:
    """The events of an as-of date, in the order of the rules, and the state that the next one takes.

    >>> rules = [MetricRule("auc", "roc_auc", below=0.7)]
    >>> events, state = decide(rules, {"roc_auc": 0.65}, {}, date(2026, 6, 7))
    >>> events[0].kind.value, events[0].sentence
    ('fired', 'roc_auc is 0.65, below 0.7')
    >>> decide(rules, {"roc_auc": 0.66}, state, date(2026, 6, 8))[0]  # its cooldown lasts
    ()

    Args:
        rules: with names of their own.
        metrics: name → number; None and NaN are not known.
        state: rule → what is known of it; a rule without one has never spoken.
        as_of: the date that the metrics stand for.
    """
    events, after = list[AlertEvent](), dict(state)
    for rule in rules:
        before, value = state.get(rule.name, RuleState()), metrics.get(rule.metric)
        if value is None or math.isnan(value) or not _new(before, as_of):
            continue
        kind = _kind(rule, value, before, as_of)
        if kind is not None:
            events.append(_event(kind, rule, float(value), before, as_of))
        after[rule.name] = _after(kind, before, as_of)
    return tuple(events), after


def backoff(attempts: int) -> timedelta:
    """The pause after so many failed attempts in a row: 1, 2, 4 … 60 minutes; it never gives up.

    Truncated binary exponential backoff, Metcalfe & Boggs (1976), Ethernet: Distributed Packet Switching.

    >>> [backoff(attempts).seconds // 60 for attempts in (0, 1, 2, 3, 9)]
    [0, 1, 2, 4, 60]
    """
    return min(timedelta(minutes=2 ** min(attempts - 1, 10)), _LONGEST) if attempts > 0 else timedelta(0)


def _new(state: RuleState, as_of: date) -> bool:
    return (state.last_judged is None or as_of >= state.last_judged) and (
        state.last_event is None or as_of > state.last_event
    )


def _kind(rule: MetricRule, value: float, state: RuleState, as_of: date) -> Kind | None:
    if not rule.fires(value):
        return None if state.since is None else Kind.RECOVERED
    if state.since is None:
        return Kind.FIRED
    over = state.last_event is None or as_of - state.last_event >= rule.cooldown
    return Kind.REMINDER if over else None


def _after(kind: Kind | None, before: RuleState, as_of: date) -> RuleState:
    since = {Kind.FIRED: as_of, Kind.RECOVERED: None}.get(kind, before.since) if kind else before.since
    return RuleState(since, as_of if kind else before.last_event, as_of)


def _event(kind: Kind, rule: MetricRule, value: float, before: RuleState, as_of: date) -> AlertEvent:
    sentence = _sentence(kind, rule, value, before.since or as_of, as_of)
    if rule.description and kind is not Kind.RECOVERED:
        sentence = f"{sentence} ({rule.description})"
    return AlertEvent(kind, rule.name, rule.metric, value, rule.limit, as_of, rule.severity, sentence)


def _sentence(kind: Kind, rule: MetricRule, value: float, since: date, as_of: date) -> str:
    number, limit = _numbers(value, rule.limit)
    days = (as_of - since).days
    lasted = f"{days} day{'' if days == 1 else 's'}"
    if kind is Kind.RECOVERED:
        return (
            f"{rule.metric} is {number}, no longer {rule.side} {limit}; it fired for {lasted}, from {since} to {as_of}"
        )
    if kind is Kind.REMINDER:
        return f"{rule.metric} is {number}, still {rule.side} {limit}; it has fired for {lasted}, since {since}"
    return f"{rule.metric} is {number}, {rule.side} {limit}"


def _numbers(value: float, limit: float) -> tuple[str, str]:
    """Both in four digits, and in all of them where four do not tell them apart."""
    short = (_shown(value), _shown(limit))
    return (repr(value), repr(limit)) if short[0] == short[1] and value != limit else short


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) < 1e15 and value == round(value) else f"{value:.4g}"
