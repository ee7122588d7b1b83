"""When assets run by themselves: declarative automation over as-of dates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

Condition = dg.AutomationCondition[Any]
Dates = Callable[[], Sequence[date]]
_is = dg.AutomationCondition


@dataclass(frozen=True, eq=False)
class AtDates(dg.AutomationCondition[dg.AssetKey]):
    """True at the as-of dates that a plain function names: what the lake holds decides, and no event can be missed."""

    what: str
    dates: Dates

    @property
    def name(self) -> str:
        """What the UI shows."""
        return self.what

    def evaluate(self, context: "dg.AutomationContext[dg.AssetKey]") -> "dg.AutomationResult[dg.AssetKey]":
        """The named dates among the candidates."""
        keys = {str(day) for day in self.dates()}
        subset = context.candidate_subset.compute_intersection_with_partition_keys(keys)
        return dg.AutomationResult(context, true_subset=subset)


@dataclass(frozen=True, eq=False)
class When(dg.AutomationCondition[dg.AssetKey]):
    """True of all that is asked for while a plain function says so."""

    what: str
    true: Callable[[], bool]

    @property
    def name(self) -> str:
        """What the UI shows."""
        return self.what

    def evaluate(self, context: "dg.AutomationContext[dg.AssetKey]") -> "dg.AutomationResult[dg.AssetKey]":
        """All candidates, or none."""
        subset = context.candidate_subset if self.true() else context.get_empty_subset()
        return dg.AutomationResult(context, true_subset=subset)


def when_stale(due: Dates, stale: Dates) -> Condition:
    """Of a feature view: run at the as-of date that is due, when it is not there or not what the sources say now.

    A run that failed is not repeated before new rows arrive. A blocking check of a source that failed stops the views
    that read it, and nothing else.
    """
    outdated = _is.missing() | AtDates("stale", stale)
    return AtDates("due", due) & outdated & _since_handled(outdated.newly_true() | _is.any_deps_updated()) & _ready()


def when_upstream_new(due: Dates, *, whether_or_not: dg.AssetKey | None = None) -> Condition:
    """Run at the as-of date that is due when what it stands on is new there.

    Older dates are left alone: what a champion said then is what its performance report is about.

    Args:
        due: the as-of date that the loop works on.
        whether_or_not: a dependency that may be missing: the champion of before still answers.
    """
    missing, passed = _is.any_deps_missing(), _is.all_deps_blocking_checks_passed()
    if whether_or_not:
        spared = dg.AssetSelection.assets(whether_or_not)
        missing, passed = missing.ignore(spared), passed.ignore(spared)
    new = _since_handled(_is.newly_missing() | _is.any_deps_updated())
    return AtDates("due", due) & new & ~missing & passed & _free()


def when_undated_upstream_new() -> Condition:
    """Run when what it stands on is new, of assets without as-of dates that stand on such."""
    new = _since_handled(_is.newly_missing() | _is.any_deps_updated())
    return new & _ready()


def when_refresh_due(lacking: Dates) -> Condition:
    """Of online features: run where the store lacks a refresh, or records that it had.

    One that failed is tried again a day later.
    """
    here = AtDates("lacking", lacking)
    return here & _since_handled(here.newly_true() | _is.cron_tick_passed("0 0 * * *")) & _free()


def when_rows_wait(waiting: Callable[[], bool]) -> Condition:
    """Of the prediction log: run while rows wait, at most every five minutes, for a run costs more than they do."""
    often = _since_handled(_is.newly_missing() | _is.cron_tick_passed("*/5 * * * *"))
    return When("rows wait", waiting) & often & ~_is.in_progress()


def when_measurement_due(goes_on: Callable[[], bool], *, often: bool) -> Condition:
    """Of an experiment: run at once, and while it goes on every hour, or `often`, every quarter of an hour."""
    cron = "*/15 * * * *" if often else "0 * * * *"
    due = _since_handled(_is.newly_missing() | _is.cron_tick_passed(cron))
    return When("it goes on", goes_on) & due & ~_is.in_progress()


def _since_handled(new: Condition) -> Condition:
    """Also what was so before the first look: Dagster's `since_last_handled` forgets it."""
    return new.since(_is.newly_requested() | _is.newly_updated())


def _ready() -> Condition:
    return ~_is.any_deps_missing() & _is.all_deps_blocking_checks_passed() & _free()


def _free() -> Condition:
    """Nobody is at work on it, or on what it stands on."""
    return ~_is.any_deps_in_progress() & ~_is.in_progress()
