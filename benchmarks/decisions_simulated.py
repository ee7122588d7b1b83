"""Simulated traffic of known truth for the decisions of rollouts and experiments: each function gives a share of runs.

Units are counted once, at their first bad event. The champion is A, the challenger B.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from ml_assets.decisions import experiment, rollout
from ml_assets.decisions.guardrail import Guardrail, GuardrailEvidence, log_e_within
from ml_assets.decisions.means import Batch, Moments, sequence_bounds, stratified_difference
from ml_assets.decisions.rates import RateStage, log_e_worse
from ml_assets.decisions.sample_ratio import SampleCounts, log_e_mismatch
from ml_assets.spec.rollout import RolloutSpec

START = datetime(2026, 6, 1, tzinfo=UTC)
ERRORS, MISSING, DISAGREEMENT, TOLERANCE = 0.01, 0.01, 0.02, 1.2
ALPHA = 0.05

Stages = list[RateStage]
Test = Callable[[Stages, int, int], bool]
"""Bad events by stage, units of A, units of B → whether the challenger is called worse."""


def exact(stages: Stages, _units: int, _of_challenger: int) -> bool:
    """The test that ships."""
    return log_e_worse(stages) >= math.log(1 / ALPHA)


def z_test(stages: Stages, units: int, of_challenger: int) -> bool:
    """The test of the textbook, one-sided, at each look."""
    events, bad = sum(each.events for each in stages), sum(each.challenger_events for each in stages)
    pooled = events / (units + of_challenger)
    error = math.sqrt(max(pooled * (1 - pooled), 1e-12) * (1 / units + 1 / of_challenger))
    return (bad / of_challenger - (events - bad) / units) / error > 1.645


def looks(
    random: np.random.Generator,
    count: int,
    size: int,
    share: Callable[[int], float],
    rates: Callable[[int], tuple[float, float]],
) -> Iterator[tuple[Stages, int, int]]:
    """What is known at each look: the counts by stage, units of A and of B.

    Args:
        random: the source of chance.
        count: looks.
        size: units between two looks.
        share: look → the challenger's share.
        rates: look → rates of bad events of A and B.
    """
    stages: dict[float, tuple[int, int]] = {}
    units = of_challenger = 0
    for look in range(count):
        new_b = int(random.binomial(size, share(look)))
        bad_a, bad_b = (int(random.binomial(n, p)) for n, p in zip((size - new_b, new_b), rates(look), strict=True))
        events, bad = stages.get(share(look), (0, 0))
        stages[share(look)] = (events + bad_a + bad_b, bad + bad_b)
        units, of_challenger = units + size - new_b, of_challenger + new_b
        yield [RateStage(m, k, s) for s, (m, k) in stages.items()], units, of_challenger


def found_at(
    seed: int,
    simulations: int,
    count: int,
    size: int,
    rates: tuple[float, float],
    test: Test = exact,
    share: float = 0.1,
) -> list[int | None]:
    """The look at which each simulated challenger is called worse, from 1; None where it never is.

    Args:
        seed: of the simulation.
        simulations: how many challengers.
        count: looks at each.
        size: units between two looks.
        rates: of bad events, A's and B's.
        test: what is asked at each look.
        share: the challenger's.
    """
    results: list[int | None] = []
    for simulation in range(simulations):
        seen = looks(np.random.default_rng([seed, simulation]), count, size, lambda _: share, lambda _: rates)
        results.append(next((look for look, (stages, a, b) in enumerate(seen, 1) if b and test(stages, a, b)), None))
    return results


def ramp(seed: int, simulations: int, test: Test = exact) -> float:
    """Equal challengers rolled back while the share goes from 10 to 50 % and the rate of both from 3 to 8 %."""
    wrong = 0
    for simulation in range(simulations):
        seen = looks(
            np.random.default_rng([seed, simulation]), 60, 1_000,
            lambda look: 0.1 if look < 30 else 0.5, lambda look: (0.03 + 0.05 * look / 59,) * 2,
        )  # fmt: skip
        wrong += any(test(stages, a, b) for stages, a, b in seen)
    return wrong / simulations


def returning(seed: int, simulations: int, *, by_request: bool = False) -> float:
    """Equal challengers rolled back where 500 to 3,000 entities come back, each with a rate of its own that stays."""
    wrong = 0
    for simulation in range(simulations):
        random = np.random.default_rng([seed, simulation])
        entities = int(random.integers(500, 3_001))
        activity, rate = random.lognormal(0, 1, entities), random.beta(0.5, 9.5, entities)
        challenger = random.random(entities) < 0.1
        entity = random.choice(entities, 30_000, p=activity / activity.sum())
        bad = random.random(len(entity)) < rate[entity]
        if not by_request:
            first = np.unique(entity[bad], return_index=True)[1]
            at = np.flatnonzero(bad)[first]
            bad = np.zeros_like(bad)
            bad[at] = True
        events, of_challenger = bad.cumsum()[99::100], (bad & challenger[entity]).cumsum()[99::100]
        pairs = zip(events.tolist(), of_challenger.tolist(), strict=True)
        wrong += any(exact([RateStage(m, k, 0.1)], 0, 0) for m, k in dict.fromkeys(pairs))
    return wrong / simulations


def proven_at_margin(seed: int, simulations: int, rate: float, margin: float) -> float:
    """Challengers that are worse by exactly the margin and called within it at one of 80 looks."""
    wrong = 0
    for simulation in range(simulations):
        seen = looks(np.random.default_rng([seed, simulation]), 80, 500, lambda _: 0.1, lambda _: (rate, rate + margin))
        ratio, limit, guardrail = (rate + margin) / rate, math.log(1 / ALPHA), Guardrail("errors", margin)
        wrong += any(
            log_e_within(guardrail, GuardrailEvidence((tuple(stages),), rate, units), ratio) >= limit
            for stages, _, units in seen
        )
    return wrong / simulations


def mismatched(seed: int, simulations: int, true_share: float, count: int = 1_000) -> list[int | None]:
    """The look, after every 100 units, at which a declared share of 10 % is called wrong."""
    results: list[int | None] = []
    for simulation in range(simulations):
        units = np.random.default_rng([seed, simulation]).binomial(100, true_share, count).cumsum().tolist()
        alarms = (
            look
            for look, b in enumerate(units, 1)
            if log_e_mismatch([SampleCounts((100 * look - b, b), (0.9, 0.1))]) >= math.log(100)
        )
        results.append(next(alarms, None))
    return results


def means_called_better(seed: int, simulations: int, draw: Callable[[np.random.Generator, int], np.ndarray]) -> float:
    """Equal challengers whose mean value is called larger at one of 50 looks, after every 1,000 units."""
    wrong = 0
    for simulation in range(simulations):
        random, batches = np.random.default_rng([seed, simulation]), list[Batch]()
        for _ in range(50):
            b = int(random.binomial(1_000, 0.1))
            batches.append(Batch(_moments(draw(random, 1_000 - b)), _moments(draw(random, b))))
            if sum(each.challenger.units for each in batches) < 1_000:
                continue
            if sequence_bounds(stratified_difference(batches), ALPHA).low > 0:
                wrong += 1
                break
    return wrong / simulations


def _moments(values: np.ndarray) -> Moments:
    return Moments(len(values), float(values.sum()), float((values**2).sum()))


def rolled_out(
    seed: int,
    simulations: int,
    errors: float = ERRORS,
    slower: float = 1.0,
    missing: float = MISSING,
    disagreement: float = DISAGREEMENT,
) -> list[tuple[str, int, int]]:
    """How whole rollouts 10 → 50 → 100 % of the default policy end: action, look, units that the challenger answered.

    Args:
        seed: of the simulation.
        simulations: how many challengers.
        errors: the challenger's rate of errors; the champion's is 1 %, the margin half a point.
        slower: its latency divided by the champion's; 1.2 is tolerated.
        missing: its rate of answers without a feature; the champion's is 1 %, the margin two points.
        disagreement: its rate of other decisions on the same rows; 2 % were seen at the gate, twice that is tolerated.
    """
    policy = replace(RolloutSpec().policy, bake=timedelta(0))
    return [
        _roll_out(np.random.default_rng([seed, simulation]), policy, (errors, slower, missing, disagreement))
        for simulation in range(simulations)
    ]


class _Counts:
    """The counts of one stage of a simulated rollout."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.units = np.zeros(2, int)
        self.errors = np.zeros(2, int)
        self.missing = np.zeros(2, int)
        self.slow = np.zeros((3, 2), int)
        self.disagreeing = 0

    def stage(self, events: np.ndarray) -> RateStage:
        """Events of A and B as a stage."""
        return RateStage(int(events.sum()), int(events[1]), self.share)


def _roll_out(
    random: np.random.Generator, policy: rollout.RolloutPolicy, truth: tuple[float, float, float, float]
) -> tuple[str, int, int]:
    errors, slower, missing, disagreement = truth
    limits = np.exp(0.6 * np.array([0.0, 1.6448536, 2.3263479]))
    stages = [_Counts(policy.stages[0])]
    for look in range(1, 121):
        now = stages[-1]
        units = np.array([1_000 - (b := random.binomial(1_000, now.share)), b])
        now.units += units
        now.errors += random.binomial(units, [ERRORS, errors])
        now.missing += random.binomial(units, [MISSING, missing])
        now.disagreeing += int(random.binomial(units[1], disagreement))
        for variant, factor in enumerate((1.0, slower / TOLERANCE)):
            latency = random.lognormal(0, 0.6, units[variant]) * factor
            now.slow[:, variant] += (latency[:, None] > limits).sum(axis=0)
        verdict = rollout.decide(policy, _evidence(stages), START)
        served = sum(int(each.units[1]) for each in stages)
        if verdict.action is rollout.RolloutAction.ADVANCE:
            stages.append(_Counts(policy.stages[len(stages)]))
        elif verdict.action is not rollout.RolloutAction.HOLD:
            return verdict.action.value, look, served
    return "hold", look, served


def _evidence(stages: list[_Counts]) -> rollout.RolloutEvidence:
    tolerated = 2 * DISAGREEMENT
    answered = sum(int(each.units[1]) for each in stages)
    compared = [(int(each.units[1]), each.disagreeing) for each in stages]
    return rollout.RolloutEvidence(
        len(stages) - 1,
        START,
        tuple(SampleCounts((int(each.units[0]), int(each.units[1])), (1 - each.share, each.share)) for each in stages),
        {
            "errors": GuardrailEvidence((tuple(each.stage(each.errors) for each in stages),), ERRORS, answered),
            "missing": GuardrailEvidence((tuple(each.stage(each.missing) for each in stages),), MISSING, answered),
            "latency": GuardrailEvidence(
                tuple(tuple(each.stage(each.slow[limit]) for each in stages) for limit in range(3)), 0.05
            ),
            "disagreement": GuardrailEvidence(
                (tuple(RateStage(units, count, tolerated) for units, count in compared),), DISAGREEMENT
            ),
        },
    )


def tested(seed: int, simulations: int, rates: tuple[float, float]) -> list[tuple[str, bool]]:
    """How A/B tests of 10,000 units a variant over 14 days end: the action, and whether the interval holds the truth.

    Args:
        seed: of the simulation.
        simulations: how many tests.
        rates: of conversion, the control's and the variant's.
    """
    policy, results = experiment.ExperimentPolicy(), list[tuple[str, bool]]()
    for simulation in range(simulations):
        random, batches = np.random.default_rng([seed, simulation]), list[Batch]()
        for day in range(1, 15):
            a = int(random.binomial(1_430, 0.5))
            bought = [int(random.binomial(n, p)) for n, p in zip((a, 1_430 - a), rates, strict=True)]
            batches.append(Batch(Moments(a, bought[0], bought[0]), Moments(1_430 - a, bought[1], bought[1])))
            exposures = SampleCounts(
                (sum(each.champion.units for each in batches), sum(each.challenger.units for each in batches)),
                (0.5, 0.5),
            )
            evidence = experiment.ExperimentEvidence(START, exposures, {"b": stratified_difference(batches)})
            verdict = experiment.decide(policy, evidence, START + timedelta(days=day))
            if verdict.action is not experiment.ExperimentAction.CONTINUE:
                break
        interval = verdict.numbers[0].interval
        results.append((verdict.action.value, interval.low <= rates[1] - rates[0] <= interval.high))
    return results
