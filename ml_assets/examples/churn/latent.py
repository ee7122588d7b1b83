"""The hidden truth: who is engaged, slipping or gone in each week, and with what probability they cancel.

Each customer walks a weekly Markov chain, engaged ⇄ slipping → gone (rarely engaged → gone). The rates depend
on fixed traits and on the week of the year. A state holds from Sunday to Sunday; who is gone by the next
Sunday cancelled on one of the seven days between, each as likely as the others, so probabilities are exact
for every whole number of days.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ml_assets.examples.churn.parameters import Simulation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ENGAGED, SLIPPING, GONE = 0, 1, 2
NEVER = int(np.iinfo(np.int64).max)  # the moment at which somebody cancels who does not
DAY = 86_400
WEEK = 7 * DAY

PLANS = ("basic", "plus", "pro")
COUNTRIES = ("US", "GB", "DE", "FR", "ES", "BR")
CHANNELS = ("search", "referral", "ads", "partner")

_PLAN_MIX = (0.5, 0.35, 0.15)
_COUNTRY_MIX = {False: (0.4, 0.2, 0.15, 0.1, 0.1, 0.05), True: (0.1, 0.1, 0.05, 0.1, 0.25, 0.4)}
_CHANNEL_MIX = {False: (0.45, 0.25, 0.15, 0.15), True: (0.1, 0.05, 0.75, 0.1)}

# Logarithms of multipliers of the weekly chance to slip; a concept drift makes the dear plan the risky one.
_PLAN_RISK = {False: np.array([0.6, 0.0, -1.0]), True: np.array([-1.0, 0.0, 1.0])}
_CHANNEL_RISK = np.array([0.0, -0.7, 0.8, 0.2])
_FRAILTY = 0.9  # standard deviation of what no column shows
_SURVIVORS = -0.35  # the mean of those who are there at the start: the frailest have left by then

_SIGN_UPS = 0.012  # a week, as a share of the customers at the start: as many as leave
_SURGE = 3.0  # times as many under a covariate drift


class Stream(IntEnum):
    """A stream of random numbers for each purpose and week: what one draws never moves another."""

    FOUNDERS = 0
    SIGN_UPS = 1
    STEPS = 2
    SESSIONS = 3
    TRANSACTIONS = 4
    TICKETS = 5
    CUSTOMERS = 6
    DIRT = 7


@dataclass(frozen=True)
class Traits:
    """What stays the same about each customer; arrays of one entry a customer, in the order of sign-up.

    `frailty` and `taste` are logarithms of multipliers (of the chance to slip, of activity); `signed_up` is
    in seconds since the start of the history, negative for those who were there before.
    """

    plan: Ints
    country: Ints
    channel: Ints
    frailty: Floats
    taste: Floats
    signed_up: Ints

    def __len__(self) -> int:
        return len(self.plan)

    def __add__(self, others: Self) -> Self:
        pairs = ((getattr(self, field.name), getattr(others, field.name)) for field in fields(self))
        return type(self)(*(np.concatenate(pair) for pair in pairs))

    def take(self, index: Ints) -> Self:
        """The traits of the customers at `index`."""
        return type(self)(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True)
class Week:
    """One week of everybody who signed up before its end; arrays of one entry a customer.

    `state` holds at the week's first moment (newcomers start engaged); `left` is the second since the start
    of the history at which the customer cancelled, in this week or before, or `NEVER`. The last `newcomers`
    signed up in this week.
    """

    number: int
    traits: Traits
    state: Ints
    left: Ints
    newcomers: int

    @property
    def begins(self) -> int:
        """The first second of the week, since the start of the history."""
        return self.number * WEEK

    @property
    def population(self) -> Ints:
        """The index of those who signed up before the week and had not cancelled before it."""
        return np.flatnonzero((self.traits.signed_up < self.begins) & (self.left >= self.begins))

    @property
    def present(self) -> Ints:
        """The index of those who are there for a part of the week: the population and the newcomers."""
        return np.flatnonzero(self.left >= self.begins)


@dataclass(frozen=True)
class Rates:
    """The transition probabilities of one week, one entry a customer; staying is what remains.

    `slip` is engaged → slipping, `quit` engaged → gone, `recover` slipping → engaged, `leave` slipping →
    gone.
    """

    slip: Floats
    quit: Floats
    recover: Floats
    leave: Floats


def random(simulation: Simulation, stream: Stream, number: int) -> np.random.Generator:
    """The random numbers of one purpose in one week; they depend on nothing else."""
    return np.random.default_rng([simulation.seed, stream, number])


def moments(rng: np.random.Generator, number: int, size: int) -> Ints:
    """Random seconds of week `number`: any day alike, between 6:00 and 23:00, most in the early afternoon."""
    day = rng.integers(0, 7, size)
    hour = 6 + 17 * (rng.random(size) + rng.random(size)) / 2
    return number * WEEK + day * DAY + (hour * 3600).astype(np.int64)


def season(simulation: Simulation, number: int) -> float:
    """A yearly wave from -1 to 1 that peaks in the middle of January."""
    day = (simulation.start + timedelta(weeks=number)).timetuple().tm_yday
    return float(np.cos(2 * np.pi * (day - 15) / 365.25))


def rates(simulation: Simulation, traits: Traits, number: int) -> Rates:
    """The churn law of week `number`."""
    risk = traits.frailty + _PLAN_RISK[simulation.drifts(number, "concept")][traits.plan]
    risk = risk + _CHANNEL_RISK[traits.channel]
    wave = 1 + 0.25 * season(simulation, number)
    return Rates(
        slip=np.minimum(0.021 * wave * np.exp(risk), 0.4),
        quit=np.minimum(0.0003 * np.exp(0.5 * risk), 0.02),
        recover=np.minimum(0.015 * np.exp(-0.3 * risk), 0.3),
        leave=np.minimum(0.065 * wave * np.exp(0.25 * risk), 0.4),
    )


def probability(simulation: Simulation, traits: Traits, state: Ints, number: int, days: int) -> Floats:
    """P(cancel within `days` from the first moment of week `number` | state at that moment, traits), exactly.

    The product of the weekly transition matrices, applied from the last week to the first
    (Chapman-Kolmogorov); of a week that is cut short, the share of its days. Only the column of
    `gone` is kept: two numbers a customer, O(customers × weeks) in all.

    Args:
        simulation: the parameters of the process.
        traits: of the customers, [n].
        state: of each customer, [n].
        number: of the week, counted from 0.
        days: how far ahead.
    """
    whole, rest = divmod(days, 7)
    last = rates(simulation, traits, number + whole)
    engaged, slipping = last.quit * rest / 7, last.leave * rest / 7
    for week in reversed(range(number, number + whole)):
        p = rates(simulation, traits, week)
        engaged, slipping = (
            p.quit + p.slip * slipping + (1 - p.quit - p.slip) * engaged,
            p.leave + p.recover * engaged + (1 - p.leave - p.recover) * slipping,
        )
    return np.where(state == SLIPPING, slipping, engaged)


def weeks(simulation: Simulation, until: int) -> Iterator[Week]:
    """The hidden process from the start, for `until` weeks; week w depends on nothing after it."""
    traits, state = _founders(simulation)
    left = np.full(len(traits), NEVER)
    for number in range(until):
        new = _newcomers(simulation, number)
        traits += new
        state = np.concatenate([state, np.full(len(new), ENGAGED)])
        left = np.concatenate([left, np.full(len(new), NEVER)])
        after, left = _step(simulation, Week(number, traits, state, left, len(new)))
        yield Week(number, traits, state, left, len(new))
        state = after


def _step(simulation: Simulation, week: Week) -> tuple[Ints, Ints]:
    """The states at the next Sunday, and when those cancelled who did."""
    rng = random(simulation, Stream.STEPS, week.number)
    who = week.population
    p = rates(simulation, week.traits.take(who), week.number)
    slipping = week.state[who] == SLIPPING
    chance = rng.random(len(who))
    gone = chance < np.where(slipping, p.leave, p.quit)
    moves = ~gone & (chance < np.where(slipping, p.leave + p.recover, p.quit + p.slip))
    state, left = week.state.copy(), week.left.copy()
    state[who] = np.where(gone, GONE, np.where(moves, 1 - week.state[who], week.state[who]))
    left[who[gone]] = moments(rng, week.number, int(gone.sum()))
    return state, left


def _founders(simulation: Simulation) -> tuple[Traits, Ints]:
    """Those who are there at the start, up to four years old, in the long-run mixture of the two states."""
    rng = random(simulation, Stream.FOUNDERS, 0)
    age = np.minimum(rng.exponential(60.0, simulation.customers).astype(np.int64), 208)
    signed_up = np.sort(moments(rng, -1, simulation.customers) - age * WEEK)
    traits = _traits(rng, signed_up, frailty=_SURVIVORS, drifted=False)
    p = rates(simulation, traits, 0)
    slipping = rng.random(len(traits)) < p.slip / (p.slip + p.recover + p.leave)
    return traits, np.where(slipping, SLIPPING, ENGAGED)


def _newcomers(simulation: Simulation, number: int) -> Traits:
    rng = random(simulation, Stream.SIGN_UPS, number)
    drifted = simulation.drifts(number, "covariate")
    size = int(rng.poisson(simulation.customers * _SIGN_UPS * (_SURGE if drifted else 1.0)))
    return _traits(rng, np.sort(moments(rng, number, size)), frailty=0.0, drifted=drifted)


def _traits(rng: np.random.Generator, signed_up: Ints, *, frailty: float, drifted: bool) -> Traits:
    size = len(signed_up)
    frailties = rng.normal(frailty, _FRAILTY, size)
    return Traits(
        plan=rng.choice(len(PLANS), size, p=_PLAN_MIX),
        country=rng.choice(len(COUNTRIES), size, p=_COUNTRY_MIX[drifted]),
        channel=rng.choice(len(CHANNELS), size, p=_CHANNEL_MIX[drifted]),
        frailty=frailties,
        taste=rng.normal(-0.3 * frailties, 0.4),  # the fond ones stay
        signed_up=signed_up,
    )
