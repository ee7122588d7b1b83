"""How often drift is said where there is none, and how often it is missed: simulated weeks of the same customers.

The features look like those of churn: skewed, mostly zero, counts, categories; and as the same customers are scored
again each week, a row hardly differs from that of the week before. The reports are those of `drift`, the verdicts
those of `decide` with the triggers of the drift alone.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figure import Figure, figures
from benchmarks.process import Measured, call, say

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from ml_assets.decisions.retrain import RetrainVerdict
    from ml_assets.monitoring.drift.compare import SampleComparison

CUSTOMERS, REFERENCE, DATES, SIMULATIONS = 3000, 8, 200, 200
WITHIN = 3  # dates after a shift
SHIFT = 0.5  # standard deviations
MISSED = 5.0  # %
WEEK = timedelta(weeks=1)
START = date(2025, 1, 5)
NUMBERS = ("recency", "balance", "spent", "visits", "refunds", "minutes", "age")
"""Skewed (recency, spent), normal (balance, age), counts (visits), mostly zero (refunds), heavy-tailed (minutes)."""
WORDS = ("plan", "country")
IMPORTANCE = {"matters": 0.4, "other": 0.1}
"""Of the feature that moves, and of each other one: it alone holds the share at which the default policy triggers."""


def measure(quick: bool) -> list[Figure]:
    """False alarms at the defaults, of the tests alone, and what is missed."""
    dates, simulations, level = (20, 8, 0.01) if quick else (DATES, SIMULATIONS, 0.01)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        say(f"{dates} dates on which nothing changes")
        still = call("alarms:stationary", data, dates=dates, level=level)
        say("the tests alone, without limits")
        fresh = call("alarms:stationary", data, dates=5 * dates, level=0.05, tests_alone=True)
        say(f"{simulations} shifts of {SHIFT} standard deviations")
        moved = call("alarms:shifted", data, simulations=simulations)
    return [
        _rate(f"reports with drift in {dates} dates without, `false_alarms` {level:g}", still, "alarms", 100 * level),
        _rate(f"retrainings in {dates} dates without any drift", still, "retrainings", 100 * level),
        _rate(f"reports in {5 * dates} dates, limits off, other customers each date, `false_alarms` 0.05", fresh,
              "alarms", 5.0),
        _rate(f"shifts of {SHIFT} sd that no retraining answers within {WITHIN} dates, of {simulations}", moved,
              "missed", None if quick else MISSED),
        _rate(f"dates on which a shift of {SHIFT} sd is no drift", moved, "unseen", None),
    ]  # fmt: skip


def _rate(name: str, found: Measured, key: str, limit: float | None) -> Figure:
    """A rate in per cent; its 95 % interval (Clopper and Pearson 1934) stands in the name."""
    counted, of = found[key]
    low, high = found[f"{key}_interval"]
    return figures(f"{name} (95 %: {low:.1f} to {high:.1f} %)", "%", [100 * counted / of], (), limit)


# --- in the measured processes


@dataclass(frozen=True)
class Customers:
    """A population whose features wander: each is a monotone function of a normal score that keeps `memory` a week."""

    rng: "np.random.Generator"
    scores: "np.ndarray[Any, Any]"  # [customers, features]
    memory: float = 0.95

    @classmethod
    def new(cls, seed: int, customers: int = CUSTOMERS) -> "Customers":
        """Customers in the long-run distribution."""
        import numpy as np

        rng = np.random.default_rng(seed)
        return cls(rng, rng.normal(size=(customers, len(NUMBERS) + len(WORDS))))

    def next(self) -> "Customers":
        """The same customers a week later."""
        noise = self.rng.normal(size=self.scores.shape) * (1 - self.memory**2) ** 0.5
        return Customers(self.rng, self.memory * self.scores + noise, self.memory)

    def table(self) -> "pa.Table":
        """Their features."""
        import pyarrow as pa

        return pa.table(_features(self.scores))


def _features(scores: "np.ndarray[Any, Any]") -> dict[str, Any]:
    import numpy as np
    from scipy import stats

    share = stats.norm.cdf(scores)
    numbers = {
        "recency": stats.expon.ppf(share[:, 0], scale=30),
        "balance": 100 + 20 * scores[:, 1],
        "spent": np.exp(3 + scores[:, 2]),
        "visits": stats.poisson.ppf(share[:, 3], 4),
        "refunds": np.where(share[:, 4] < 0.8, 0.0, 10 * (share[:, 4] - 0.8)),
        "minutes": stats.t.ppf(share[:, 5], 4),
        "age": 40 + 12 * scores[:, 6],
    }
    plans, countries = np.array(["basic", "plus", "pro"]), np.array([f"country {i}" for i in range(12)])
    return numbers | {
        "plan": plans[np.searchsorted([0.6, 0.9], share[:, 7])],
        "country": countries[(12 * share[:, 8] ** 2).astype(int)],
    }


def _weeks(customers: Customers, weeks: int) -> "tuple[pa.Table, Customers]":
    """The rows of several weeks as one reference, and the customers after them."""
    import pyarrow as pa

    rows = []
    for _ in range(weeks):
        rows.append(customers.table())
        customers = customers.next()
    return pa.concat_tables(rows), customers


def _report(reference: "pa.Table", current: "pa.Table", **options: object) -> "SampleComparison":
    from ml_assets.monitoring.drift.compare import drift
    from ml_assets.spec.drift import DriftSpec

    return drift(reference, current, NUMBERS, WORDS, DriftSpec.model_validate(options))


def _decide(
    found: "SampleComparison", matters: str, number: int, before: Mapping[str, int]
) -> "tuple[RetrainVerdict, dict[str, int]]":
    from ml_assets.decisions.retrain import Policy, RetrainEvidence, counts, decide, drifted_importance

    verdicts = {name: bool(feature.drifted) for name, feature in found.features.items()}
    weights = {name: IMPORTANCE["matters" if name == matters else "other"] for name in verdicts}
    share = drifted_importance(verdicts, weights)
    evidence = RetrainEvidence(START + number * WEEK, trained=START - WEEK, drifted=share, before=before)
    verdict = decide(Policy(drift=0.3, after=2), evidence)
    return verdict, counts(evidence, verdict)


def stationary(dates: int, level: float, tests_alone: bool = False, seed: int = 1) -> dict[str, Any]:
    """Reports of dates on which nothing changes; of the tests alone, of other customers at each date.

    A p-value is about independent rows. With limits that make a difference matter nothing depends on it; the tests
    alone keep their promise on what it is made for.
    """
    customers = Customers.new(seed)
    reference, customers = _weeks(customers, 1 if tests_alone else REFERENCE)
    off = {"psi": 1e-9, "ks_statistic": 1e-9, "jensen_shannon": 1e-9, "missing": 1e-9} if tests_alone else {}
    alarms, retrainings, before = 0, 0, dict[str, int]()
    for number in range(dates):
        if tests_alone:
            reference, customers = Customers.new(1000 + number).table(), Customers.new(9000 + number)
        found = _report(reference, customers.table(), false_alarms=level, **off)
        verdict, before = _decide(found, "balance", number, before)
        alarms, retrainings = alarms + bool(found.drifted), retrainings + (verdict.action == "retrain")
        customers = customers.next()
    return _counted(dates, alarms=alarms, retrainings=retrainings)


def shifted(simulations: int, seed: int = 7) -> dict[str, Any]:
    """Shifts of one feature after the reference; each number takes its turn."""
    missed, unseen, dates = 0, 0, 0
    for number in range(simulations):
        matters = NUMBERS[number % len(NUMBERS)]
        reference, customers = _weeks(Customers.new(seed + number), REFERENCE)
        before, answered = dict[str, int](), False
        for week in range(WITHIN):
            found = _report(reference, _moved(reference, customers.table(), matters))
            verdict, before = _decide(found, matters, week, before)
            answered = answered or verdict.action == "retrain"
            unseen, dates = unseen + (matters not in found.drifted), dates + 1
            customers = customers.next()
        missed += not answered
    return _counted(simulations, missed=missed) | _counted(dates, unseen=unseen)


def _moved(reference: "pa.Table", current: "pa.Table", name: str) -> "pa.Table":
    import numpy as np
    import pyarrow as pa

    step = SHIFT * float(np.std(reference[name].to_numpy()))
    column = pa.array(current[name].to_numpy() + step)
    return current.set_column(current.column_names.index(name), name, column)


def _counted(of: int, **counts: int) -> dict[str, Any]:
    from scipy import stats

    found: dict[str, Any] = {}
    for name, count in counts.items():
        interval = stats.binomtest(count, of).proportion_ci()
        found |= {name: (count, of), f"{name}_interval": (100 * interval.low, 100 * interval.high)}
    return found
