"""How often a fairness report is wrong: simulated groups without a disparity, and with one of a known size.

Beside it stand the rules that people use, on the same customers: the four-fifths rule, and a largest gap of .1.
"""

import math
import time
from collections.abc import Iterable, Iterator

from benchmarks.fairness_simulated import SHARES, compare, missed, population, true_differences
from benchmarks.figure import Figure, figures
from benchmarks.process import say
from ml_assets.decisions.fairness import BASE_RATE
from ml_assets.decisions.group_rates import GroupComparison, GroupDifference

ATTRIBUTES, FOUND, QUICK = 600, 200, 10
LEVEL = 0.05
APART = (0.0, 0.3, -0.3, 0.5, 0.0, 0.0, 0.2)
"""Log-odds of seven groups whose base rates differ."""
UNLUCKY = SHARES.index(0.09)
"""The group that loses true positives: 9 % of the customers."""


def measure(quick: bool) -> list[Figure]:
    """False alarms, power, coverage, time; in a quick run of so few simulations that no promise is compared."""
    runs, found = (QUICK, QUICK) if quick else (ATTRIBUTES, FOUND)
    lines = [*_equal(runs), *_unlucky(found), *_apart(found), *_time()]
    return [figures(each.name, each.unit, each.ours) for each in lines] if quick else lines


def _equal(runs: int) -> Iterator[Figure]:
    say(f"{runs} attributes without a disparity")
    reports = [compare(population(1_000 + seed), seed=seed) for seed in range(runs)]
    alarms = _share(any(_p(each) <= LEVEL for each in _rates(report)) for report in reports)
    yield figures(
        f"seven equal groups, one called different, of {runs} attributes", "%", [alarms], limit=_most(LEVEL, runs)
    )
    failed = _share(any(_p(each) <= LEVEL and abs(_seen(each)) > 0.1 for each in _rates(report)) for report in reports)
    yield figures("… and by more than .1, which fails", "%", [failed], limit=_most(LEVEL, runs))
    outside = _share(any(_misses(each, 0.0) for each in _rates(report)) for report in reports)
    yield figures("… an interval without 0", "%", [outside])
    ruled = _share(any(each.ratio < 0.8 for each in report.ratios) for report in reports)
    said = sum(100 * each.false_alarms for report in reports for each in report.ratios) / runs
    yield figures(f"… by the four-fifths rule (the reports say {said:.0f} %)", "%", [ruled])
    yield figures("… by a gap of TPR above .1", "%", [_share(_gap(report, "tpr") > 0.1 for report in reports)])


def _unlucky(runs: int) -> Iterator[Figure]:
    for customers, loss, least in ((3_000, 0.15, None), (3_000, 0.25, None), (6_000, 0.25, None), (9_000, 0.25, 95.0)):
        say(f"a group of 9 % of {customers} customers loses {loss} of its true positives")
        found, labelled = list[bool](), list[int]()
        for seed in range(runs):
            people = missed(population(20_000 + seed, customers), UNLUCKY, loss, seed)
            (tpr,) = (each for each in compare(people, seed=seed).differences if _is_unlucky(each))
            found.append(_p(tpr) <= LEVEL)
            labelled.append(tpr.group.labelled)
        who = f"{customers:,} customers ({sum(labelled) / runs:.0f} of the group have a label 1)"
        yield figures(f"TPR −{loss:g} of a group of 9 %, found: {who}", "%", [_share(found)], at_least=least)


def _apart(runs: int) -> Iterator[Figure]:
    say("groups whose base rates differ")
    truth = true_differences(APART)
    reports = [compare(population(30_000 + seed, odds=APART), seed=seed) for seed in range(runs)]
    held = _share(
        not any(_misses(each, truth[each.group.name, each.metric]) for each in _rates(report)) for report in reports
    )
    yield figures("base rates differ: all intervals hold the truth at once", "%", [held], at_least=93.0)
    wrong = _share(
        any(_p(each) <= LEVEL for each in _rates(report) if each.metric == "calibration") for report in reports
    )
    yield figures("… a calibrated group called uncalibrated", "%", [wrong], limit=_most(LEVEL, runs))
    seen = _share(
        any(_p(each) <= LEVEL for each in report.differences if each.metric == BASE_RATE) for report in reports
    )
    yield figures("… and the base rates called different", "%", [seen])


def _time() -> Iterator[Figure]:
    people = population(1)
    started = time.process_time()
    compare(people, draws=1_000)
    spent = time.process_time() - started
    name = "28 tests and intervals of 12,000 rows of 3,000 customers, 1,000 permutations and draws, processor time"
    yield figures(name, "s", [spent], limit=1.0)


def _rates(report: GroupComparison) -> Iterator[GroupDifference]:
    return (each for each in report.differences if each.metric != BASE_RATE and each.interval is not None)


def _p(found: GroupDifference) -> float:
    return 1.0 if found.p is None else found.p


def _seen(found: GroupDifference) -> float:
    return found.interval.estimate if found.interval else 0.0


def _misses(found: GroupDifference, truth: float) -> bool:
    return found.interval is not None and not found.interval.low <= truth <= found.interval.high


def _gap(report: GroupComparison, metric: str) -> float:
    rates = [each.rate for each in _rates(report) if each.metric == metric and each.rate is not None]
    return max(rates, default=0.0) - min(rates, default=0.0)


def _is_unlucky(found: GroupDifference) -> bool:
    return found.metric == "tpr" and found.group.name == str(UNLUCKY)


def _share(said: Iterable[bool]) -> float:
    listed = [*said]
    return 100 * sum(listed) / len(listed)


def _most(level: float, runs: int) -> float:
    """The level and two standard errors of as many runs, in per cent."""
    return 100 * (level + 2 * math.sqrt(level * (1 - level) / runs))
