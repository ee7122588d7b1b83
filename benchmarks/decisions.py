"""How often the decisions of traffic are wrong: simulated rollouts and experiments, with the code that ships.

The textbook's z-test at each look stands beside it, as a peer.
"""

import math
import time
from collections.abc import Sequence
from statistics import median

from benchmarks import decisions_intervals as intervals
from benchmarks import decisions_simulated as simulated
from benchmarks import decisions_threshold as threshold
from benchmarks.figure import Figure, figures
from benchmarks.process import say
from ml_assets.decisions.assignment import assign_variant, unit_point

SIMULATIONS, QUICK = 2_000, 100
UNITS = 1_000_000


def measure(quick: bool) -> list[Figure]:
    """False and missed decisions; in a quick run of so few simulations that no promise is compared."""
    simulations = QUICK if quick else SIMULATIONS
    parts = (
        _rates, _returning, _margins, _ratio, _means, _intervals, _rollouts, _threshold, _experiments, _assignment,
    )  # fmt: skip
    lines = [figure for part in parts for figure in part(simulations)]
    if quick:
        return [figures(each.name, each.unit, each.ours, each.peer) for each in lines]
    return lines


def _rates(simulations: int) -> list[Figure]:
    say("rates of bad events, a look after every 1,000 and every 100 units")
    equal, worse = (0.05, 0.05), (0.05, 0.09)
    found = simulated.found_at(2, simulations, 60, 1_000, worse)
    often = ((0.05, 0.1), (0.01, 0.1), (0.001, 0.1), (0.05, 0.5))
    ramp = simulated.ramp(4, simulations), simulated.ramp(4, simulations, simulated.z_test)
    return [
        _share("equal challengers rolled back, 60 looks at 5 %", simulated.found_at(1, simulations, 60, 1_000, equal),
               5.0, simulated.found_at(1, simulations, 60, 1_000, equal, simulated.z_test)),
        *(
            _share(f"… 1,000 looks at {100 * rate:g} %, share {100 * share:g} %",
                   simulated.found_at(3, simulations, 1_000, 100, (rate, rate), share=share), 5.0,
                   simulated.found_at(3, simulations // 4, 1_000, 100, (rate, rate), simulated.z_test, share))
            for rate, share in often
        ),
        figures(f"… while share and rate of both grow (z-test {100 * ramp[1]:.1f} %)", "%", [100 * ramp[0]], limit=5.0),
        _share("5 → 9 % of errors found at a share of 10 %", found, at_least=99.0),
        figures("… median look", "looks", [median(look for look in found if look)], limit=5.0),
    ]  # fmt: skip


def _returning(simulations: int) -> list[Figure]:
    say("entities that come back")
    ours = simulated.returning(5, simulations)
    by_request = simulated.returning(5, simulations, by_request=True)
    return [
        figures("equal challengers rolled back, returning entities", "%", [100 * ours], limit=5.0),
        figures("… if requests were counted instead of entities", "%", [100 * by_request]),
    ]


def _margins(simulations: int) -> list[Figure]:
    say("challengers that are worse by exactly the margin")
    cases = (0.01, 0.01), (0.05, 0.01), (0.001, 0.005)
    return [
        figures(f"worse by {100 * margin:g} points than {100 * rate:g} %, the margin, and called within it", "%",
                [100 * simulated.proven_at_margin(6, simulations, rate, margin)], limit=5.0)
        for rate, margin in cases
    ]  # fmt: skip


def _ratio(simulations: int) -> list[Figure]:
    say("shares of units")
    wrong = simulated.mismatched(7, simulations, 0.10)
    found = simulated.mismatched(8, simulations, 0.09)
    return [
        _share("right shares called wrong, 1,000 looks", wrong, 1.0),
        _share("10 → 9 % found within 100,000 units", found, at_least=99.0),
    ]


def _means(simulations: int) -> list[Figure]:
    say("means of skewed values")
    return [
        figures(f"equal challengers called better by their {name}", "%",
                [100 * simulated.means_called_better(9, simulations, draw)], limit=5.0)
        for name, draw in (("score", intervals.score), ("purchases, 2 % buy", intervals.purchases))
    ]  # fmt: skip


def _intervals(simulations: int) -> list[Figure]:
    say("intervals that are shown")
    ratios = [(share, rate, ratio) for share in (0.1, 0.5) for rate, ratio in ((0.02, 0.5), (0.05, 1.0), (0.05, 1.8))]
    means = [
        ("score", intervals.score, 2 / 7, 1.1),
        ("capped purchases", intervals.capped_purchases, intervals.CAPPED_MEAN, 2.0),
    ]
    return [
        *(
            figures(f"ratio of rates {ratio:g}, share {100 * share:g} %: its interval holds it at all looks", "%",
                    [100 - 100 * intervals.missed_ratio(16, simulations, share, rate, ratio)], at_least=95.0)
            for share, rate, ratio in ratios
        ),
        *(
            figures(f"mean {name} × {factor:g}, share {100 * share:g} %: its interval holds it at all looks", "%",
                    [100 - 100 * intervals.missed_mean(17, simulations, share, draw, mean, factor)], at_least=95.0)
            for share in (0.1, 0.5) for name, draw, mean, factor in means
        ),
    ]  # fmt: skip


def _rollouts(simulations: int) -> list[Figure]:
    say("whole rollouts 10 → 50 → 100 %")
    same = simulated.rolled_out(10, simulations)
    at_margin = simulated.rolled_out(11, simulations, errors=0.015)
    slow = simulated.rolled_out(12, simulations, slower=1.5)
    missing = simulated.rolled_out(13, simulations, missing=1.0, disagreement=0.08)
    sometimes = simulated.rolled_out(20, simulations, missing=0.1)
    wrong = simulated.rolled_out(21, simulations, disagreement=0.08)
    return [
        figures("whole rollouts: equal challengers rolled back", "%", [_ended(same, "roll_back")], limit=5.0),
        figures("… promoted", "%", [_ended(same, "promote")], at_least=95.0),
        figures("… promoted with errors at the margin", "%", [_ended(at_margin, "promote")], limit=5.0),
        figures("… 1.5 times as slow rolled back", "%", [_ended(slow, "roll_back")], at_least=99.0),
        figures("… without a feature rolled back", "%", [_ended(missing, "roll_back")], at_least=99.0),
        figures("… after how many units that it answered, at most", "units", [_most_units(missing)], limit=400.0),
        figures("… without it in 10 % of its answers", "%", [_ended(sometimes, "roll_back")], at_least=99.0),
        figures("… after how many units, 99 % of them", "units", [_most_units(sometimes, 0.99)]),
        figures("… with a wrong value of it (8 % disagree)", "%", [_ended(wrong, "roll_back")], at_least=99.0),
        figures("… after how many units, median", "units", [_most_units(wrong, 0.5)]),
        figures("… 99 % of them", "units", [_most_units(wrong, 0.99)]),
    ]


def _threshold(simulations: int) -> list[Figure]:
    say("the same by a rule of thresholds")
    same, bad = (threshold.rolled_out(seed, simulations, errors) for seed, errors in ((18, 0.01), (19, 0.015)))
    ended = [100 * runs.count(action) / simulations for runs, action in ((same, "roll_back"), (bad, "promote"))]
    return [
        figures("a rule of thresholds, two bad looks in a row: equal challengers rolled back", "%", ended[:1]),
        figures("… promoted with a feature missing, which it cannot see", "%", [100 - ended[0]]),
        figures("… promoted with errors at the margin", "%", ended[1:]),
    ]


def _experiments(simulations: int) -> list[Figure]:
    say("A/B tests of 14 days")
    equal, better = (
        simulated.tested(seed, simulations, rates) for seed, rates in ((14, (0.1, 0.1)), (15, (0.1, 0.115)))
    )
    covered = 100 * sum(holds for _, holds in [*equal, *better]) / (2 * simulations)
    winners = [100 * sum(action == "winner" for action, _ in runs) / simulations for runs in (equal, better)]
    return [
        figures("A/B tests of equal variants with a winner", "%", winners[:1], limit=5.0),
        figures("… of 10 and 11.5 % with the right one", "%", winners[1:], at_least=85.0),
        figures("… whose interval holds the truth", "%", [covered], at_least=95.0),
    ]


def _assignment(_simulations: int) -> list[Figure]:
    say(f"{UNITS:,} units")
    started = time.process_time()
    points = [unit_point("churn/rollout/7", str(unit)) for unit in range(UNITS)]
    of_challenger = sum(assign_variant(point, {"challenger": 0.1}, "champion") == "challenger" for point in points)
    spent = (time.process_time() - started) / UNITS * 1e6
    errors = abs(of_challenger - 0.1 * UNITS) / (0.1 * 0.9 * UNITS) ** 0.5
    return [
        figures("one assignment", "µs", [spent], limit=2.0),
        figures("share of a million units, off by", "standard errors", [errors], limit=4.0),
    ]


def _share(
    name: str,
    looks: Sequence[int | None],
    limit: float | None = None,
    peer: Sequence[int | None] = (),
    at_least: float | None = None,
) -> Figure:
    """The share of runs that ended; a peer is shown, and the limit is then on our own number.

    Args:
        name: what was simulated.
        looks: the look of each end; None where there was none.
        limit: the most, in per cent.
        peer: the same of the peer.
        at_least: the least, in per cent.
    """
    if peer:
        name += f" (z-test {100 * sum(look is not None for look in peer) / len(peer):.1f} %)"
    return figures(name, "%", [100 * sum(look is not None for look in looks) / len(looks)], (), limit, at_least)


def _most_units(runs: Sequence[tuple[str, int, int]], quantile: float = 1.0) -> float:
    """The units that this share of the challengers, or fewer of them, had answered when they ended."""
    units = sorted(served for *_, served in runs)
    return units[math.ceil(quantile * len(units)) - 1]


def _ended(runs: Sequence[tuple[str, int, int]], action: str) -> float:
    return 100 * sum(ended == action for ended, *_ in runs) / len(runs)
