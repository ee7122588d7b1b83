"""The rule that most scripts have, as a peer: a limit on each look's own numbers, two bad looks in a row roll back."""

import numpy as np

from benchmarks.decisions_simulated import ERRORS, TOLERANCE

_MARGIN, _SAMPLE = 0.005, 1_000
_SHARES = (0.1, 0.5)


def rolled_out(seed: int, simulations: int, errors: float = ERRORS, slower: float = 1.0) -> list[str]:
    """How whole rollouts 10 → 50 → 100 % end under the rule: `roll_back` or `promote`.

    Of decisions that differ it knows nothing: a challenger that has lost a feature answers as fast and without errors.

    Args:
        seed: of the simulation.
        simulations: how many challengers.
        errors: the challenger's rate of errors; the champion's is 1 %, the margin half a point.
        slower: its latency divided by the champion's; 1.2 is tolerated.
    """
    return [_roll_out(np.random.default_rng([seed, each]), errors, slower) for each in range(simulations)]


def _roll_out(random: np.random.Generator, errors: float, slower: float) -> str:
    in_a_row = 0
    for share in _SHARES:
        served = 0
        while served < _SAMPLE:
            units = int(random.binomial(1_000, share))
            served += units
            in_a_row = in_a_row + 1 if _is_bad(random, units, errors, slower) else 0
            if in_a_row == 2:
                return "roll_back"
    return "promote"


def _is_bad(random: np.random.Generator, units: int, errors: float, slower: float) -> bool:
    """Whether a look of 1,000 units shows more errors than the margin, or a 99 % quantile beyond the tolerance."""
    rates = [random.binomial(n, p) / n for n, p in ((1_000 - units, ERRORS), (units, errors))]
    latencies = random.lognormal(0, 0.6, 1_000 - units), slower * random.lognormal(0, 0.6, units)
    champion, challenger = (float(np.quantile(each, 0.99)) for each in latencies)
    return rates[1] > rates[0] + _MARGIN or challenger > TOLERANCE * champion
