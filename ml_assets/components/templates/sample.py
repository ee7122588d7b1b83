"""A small sample for a new model folder: accounts that are busy, fall asleep and wake up. Pure: no clock, no chance."""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

WEEKS = 28
ACCOUNTS = 400

_DAY = 86_400_000_000
_SEGMENTS = np.array(["small", "medium", "large"])
_KINDS = np.array(["view", "order", "support"])
# Per day: how likely a busy account falls asleep, and a sleeping one wakes up.
_ASLEEP, _AWAKE = 0.012, 0.015


def sample(name: str, end: date) -> Mapping[str, pa.Table]:
    """The sample of a model: source → rows, sorted by time; the same for the same name and end.

    Args:
        name: the model's name, which is the seed.
        end: the day after the last one that the sample covers.

    Returns:
        `accounts` (`account_id`, `opened_at`, `segment`) and `events` (`account_id`, `happened_at`, `kind`,
        `amount`), a few thousand rows over `WEEKS` weeks. Times are naive UTC.
    """
    rng = np.random.default_rng(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()))
    start = datetime.combine(end - timedelta(weeks=WEEKS), time())
    rates = 0.03 + rng.gamma(0.7, 0.45, ACCOUNTS)  # events a day, while awake
    awake = _awake(rng)
    counts = rng.poisson(rates[:, None] * awake)
    account, day = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), counts.shape[1])
    support = np.where(_leaves(awake)[account, day], 0.85, 0.02)  # who is about to fall asleep asks for help
    return {"accounts": _accounts(rng, start, rates), "events": _events(rng, start, account, day, support)}


def start_of(end: date) -> date:
    """The first as-of date of a weekly cadence over the sample: six weeks of history lie before it."""
    return end - timedelta(weeks=WEEKS - 6)


def _awake(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Accounts × days: a two-state Markov chain, stationary, so that nothing drifts."""
    states = np.empty((ACCOUNTS, WEEKS * 7), dtype=np.bool_)
    states[:, 0] = rng.random(ACCOUNTS) < _AWAKE / (_AWAKE + _ASLEEP)
    for day in range(1, states.shape[1]):
        flips = rng.random(ACCOUNTS) < np.where(states[:, day - 1], _ASLEEP, _AWAKE)
        states[:, day] = states[:, day - 1] ^ flips
    return states


def _leaves(awake: NDArray[np.bool_], days: int = 14) -> NDArray[np.bool_]:
    """Accounts × days: whether it falls asleep within the next `days`."""
    falls = np.zeros(awake.shape, dtype=np.int64)
    falls[:, :-1] = awake[:, :-1] & ~awake[:, 1:]
    before = np.pad(falls.cumsum(axis=1), ((0, 0), (1, days)), mode="edge")
    return np.asarray(before[:, days : days + awake.shape[1]] > before[:, : awake.shape[1]])


def _accounts(rng: np.random.Generator, start: datetime, rates: NDArray[np.float64]) -> pa.Table:
    """One row each, opened in the year before the first event; busier accounts tend to be larger."""
    opened = np.sort(rng.integers(-365 * _DAY, 0, ACCOUNTS))
    size = np.digitize(rates * rng.lognormal(0, 0.5, ACCOUNTS), [0.12, 0.25])
    return pa.table({
        "account_id": _ids(np.arange(ACCOUNTS)),
        "opened_at": _times(start, opened),
        "segment": _SEGMENTS[size],
    })  # fmt: skip


def _events(
    rng: np.random.Generator,
    start: datetime,
    account: NDArray[np.int64],
    day: NDArray[np.int64],
    support: NDArray[np.float64],
) -> pa.Table:
    at = day * _DAY + rng.integers(0, _DAY, len(day))
    order = np.argsort(at, kind="stable")
    return pa.table({
        "account_id": _ids(account[order]),
        "happened_at": _times(start, at[order]),
        "kind": _KINDS[np.where(rng.random(len(at)) < support[order], 2, rng.choice(2, len(at), p=[0.7, 0.3]))],
        "amount": np.round(rng.lognormal(3, 0.8, len(at)), 2),
    })  # fmt: skip


def _ids(numbers: NDArray[np.int64]) -> list[str]:
    return [f"A{number:05d}" for number in numbers]


def _times(start: datetime, microseconds: NDArray[np.int64]) -> NDArray[np.datetime64]:
    return np.datetime64(start, "us") + microseconds.astype("timedelta64[us]")
