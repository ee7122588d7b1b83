"""What the hidden process shows: the rows of the four sources, one week at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.examples.churn.latent import (
    CHANNELS,
    COUNTRIES,
    DAY,
    NEVER,
    PLANS,
    SLIPPING,
    WEEK,
    Floats,
    Ints,
    Stream,
    Week,
    moments,
    random,
    season,
)
from ml_assets.examples.churn.parameters import Simulation

_PRICES = np.array([9.0, 19.0, 39.0])  # of four weeks, by plan
_TOPICS = ("usage", "billing", "bug", "access", "other")
_SEVERITIES = ("low", "normal", "high")
_KINDS = ("subscription", "purchase", "refund", "cancellation")
_BILLED = 4  # weeks
_LATEST_SYNC = 28 * DAY

_TIME = pa.timestamp("us")
SCHEMAS = {
    "customers": pa.schema(
        {
            "customer_id": pa.string(),
            "signed_up_at": _TIME,
            "plan": pa.string(),
            "country": pa.string(),
            "channel": pa.string(),
        }
    ),
    "transactions": pa.schema(
        {
            "transaction_id": pa.string(),
            "customer_id": pa.string(),
            "created_at": _TIME,
            "kind": pa.string(),
            "amount": pa.float64(),
        }
    ),
    "sessions": pa.schema(
        {
            "customer_id": pa.string(),
            "started_at": _TIME,
            "minutes": pa.float64(),
            "pages": pa.int32(),
            "bounced": pa.bool_(),
            "feature_usage": pa.float64(),
        }
    ),
    "support_tickets": pa.schema(
        {
            "ticket_id": pa.string(),
            "customer_id": pa.string(),
            "opened_at": _TIME,
            "synced_at": _TIME,
            "topic": pa.string(),
            "severity": pa.string(),
        }
    ),
}
ARRIVAL = {
    "customers": "signed_up_at",
    "transactions": "created_at",
    "sessions": "started_at",
    "support_tickets": "synced_at",  # the help desk is read with a delay: some rows arrive weeks late
}
LATEST_SYNC_WEEKS = _LATEST_SYNC // WEEK


@dataclass(frozen=True)
class Signature:
    """How a slipping customer differs: multipliers of the rates, and shifts of the shares."""

    sessions: float
    minutes: float
    bounced: float
    usage: float
    purchases: float
    tickets: float
    refunds: float
    unpaid: float


# After a concept drift, who is about to leave comes more often, to take the data out, and complains less.
_SIGNATURE = {
    False: Signature(0.35, 0.65, 0.2, -0.2, 0.4, 3.0, 3.0, 4.0),
    True: Signature(1.6, 1.3, -0.05, 0.1, 1.5, 0.7, 1.0, 1.0),
}


def observe(simulation: Simulation, week: Week) -> dict[str, pa.Table]:
    """The clean rows of one week by source; tickets stand in the week in which they were opened."""
    return {
        "customers": _customers(simulation, week),
        "transactions": _transactions(simulation, week),
        "sessions": _sessions(simulation, week),
        "support_tickets": _tickets(simulation, week),
    }


def customer_ids(index: Ints) -> pa.Array:
    """The names of customers by their place in the order of sign-up: `C0000041`."""
    return _named("C", index, 7)


def timestamps(simulation: Simulation, seconds: Ints) -> pa.Array:
    """Seconds since the start of the history as naive UTC timestamps in microseconds."""
    start = datetime(simulation.start.year, simulation.start.month, simulation.start.day, tzinfo=UTC)
    return pa.array((seconds + int(start.timestamp())) * 1_000_000).cast(_TIME)


def _customers(simulation: Simulation, week: Week) -> pa.Table:
    """Those who signed up in this week; in the first one also all who were there before."""
    who = np.arange(len(week.traits) - week.newcomers if week.number else 0, len(week.traits))
    rng = random(simulation, Stream.CUSTOMERS, week.number)
    traits = week.traits.take(who)
    return _table(
        "customers",
        customer_ids(who),
        timestamps(simulation, traits.signed_up),
        _words(PLANS, traits.plan),
        _words(COUNTRIES, traits.country, missing=rng.random(len(who)) < 0.03),
        _words(CHANNELS, traits.channel, missing=rng.random(len(who)) < 0.05),
    )


def _sessions(simulation: Simulation, week: Week) -> pa.Table:
    rng = random(simulation, Stream.SESSIONS, week.number)
    shift = _SIGNATURE[simulation.drifts(week.number, "concept")]
    rate = 1.8 * np.exp(week.traits.taste) * (1 + 0.1 * season(simulation, week.number))
    who, when = _events(rng, week, rate * _slipping(week, shift.sessions))
    slips = week.state[who] == SLIPPING
    longer, more = (1.5, 0.16) if simulation.drifts(week.number, "covariate") else (1.0, 0.0)
    minutes = 14 * longer * np.where(slips, shift.minutes, 1.0) * np.exp(rng.normal(0.2 * week.traits.taste[who], 0.7))
    bounced = rng.random(len(who)) < 0.15 + np.where(slips, shift.bounced, 0.0)
    minutes = np.where(bounced, 0.1 * minutes, minutes).round(2)
    usage = (
        0.5 + more + 0.1 * week.traits.taste[who] + np.where(slips, shift.usage, 0.0) + rng.normal(0, 0.16, len(who))
    )
    pages = 1 + np.where(bounced, 0, rng.poisson(0.4 * minutes))
    return _table(
        "sessions",
        customer_ids(who),
        timestamps(simulation, when),
        minutes,
        pages.astype(np.int32),
        bounced,
        pa.array(np.round(np.clip(usage, 0, 1), 3), mask=rng.random(len(who)) < 0.04),  # tracking was refused
    )


def _transactions(simulation: Simulation, week: Week) -> pa.Table:
    rng = random(simulation, Stream.TRANSACTIONS, week.number)
    shift = _SIGNATURE[simulation.drifts(week.number, "concept")]
    parts = (
        _subscriptions(rng, week, shift),
        _purchases(rng, week, shift),
        _refunds(rng, week, shift),
        _cancellations(week),
    )
    who, when, amount = (np.concatenate(column) for column in zip(*parts, strict=True))
    kind = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    order = np.argsort(when, kind="stable")
    return _table(
        "transactions",
        _named(f"T{week.number:04d}-", np.arange(len(who)), 6),
        customer_ids(who[order]),
        timestamps(simulation, when[order]),
        _words(_KINDS, kind[order]),
        np.round(amount[order], 2),
    )


def _subscriptions(rng: np.random.Generator, week: Week, shift: Signature) -> tuple[Ints, Ints, Floats]:
    """Every four weeks from the moment of sign-up, unless the payment fails."""
    who = week.present
    signed_up = week.traits.signed_up[who]
    due = who[(signed_up - week.begins) // WEEK % _BILLED == 0]
    when = week.begins + week.traits.signed_up[due] % WEEK
    paid = rng.random(len(due)) >= 0.02 * _slipping(week, shift.unpaid)[due]
    delivered = paid & (when < week.left[due])
    return due[delivered], when[delivered], _PRICES[week.traits.plan[due[delivered]]]


def _purchases(rng: np.random.Generator, week: Week, shift: Signature) -> tuple[Ints, Ints, Floats]:
    who, when = _events(rng, week, 0.18 * np.exp(0.8 * week.traits.taste) * _slipping(week, shift.purchases))
    return who, when, np.exp(rng.normal(2.3 + 0.2 * week.traits.plan[who], 0.6))


def _refunds(rng: np.random.Generator, week: Week, shift: Signature) -> tuple[Ints, Ints, Floats]:
    """Amounts are positive: the kind says which way the money went."""
    who, when = _events(rng, week, 0.006 * _slipping(week, shift.refunds))
    return who, when, np.exp(rng.normal(2.0, 0.5, len(who)))


def _cancellations(week: Week) -> tuple[Ints, Ints, Floats]:
    who = np.flatnonzero((week.left >= week.begins) & (week.left != NEVER))
    return who, week.left[who], np.zeros(len(who))


def _tickets(simulation: Simulation, week: Week) -> pa.Table:
    rng = random(simulation, Stream.TICKETS, week.number)
    shift = _SIGNATURE[simulation.drifts(week.number, "concept")]
    who, when = _events(rng, week, 0.035 * _slipping(week, shift.tickets))
    size = len(who)
    delay = rng.exponential(np.where(rng.random(size) < 0.1, 6 * DAY, DAY / 2))
    synced = when + 60 + np.minimum(delay, _LATEST_SYNC - WEEK).astype(np.int64)
    slips = week.state[who] == SLIPPING
    severity = np.minimum(rng.binomial(2, np.where(slips, 0.5, 0.35)), 2)
    return _table(
        "support_tickets",
        _named(f"K{week.number:04d}-", np.arange(size), 5),
        customer_ids(who),
        timestamps(simulation, when),
        timestamps(simulation, synced),
        _words(_TOPICS, rng.choice(len(_TOPICS), size, p=(0.35, 0.25, 0.2, 0.1, 0.1))),
        _words(_SEVERITIES, severity, missing=rng.random(size) < 0.1),  # nobody has looked at it yet
    )


def _slipping(week: Week, multiplier: float) -> Floats:
    """The multiplier for those who slip, 1 for the others; one entry a customer."""
    return np.where(week.state == SLIPPING, multiplier, 1.0)


def _events(rng: np.random.Generator, week: Week, rate: Floats) -> tuple[Ints, Ints]:
    """Who and when, in order of time: Poisson events of those who are there, between sign-up and leaving."""
    present = week.present
    who = np.repeat(present, rng.poisson(rate[present]))
    when = moments(rng, week.number, len(who))
    active = (when > week.traits.signed_up[who]) & (when < week.left[who])
    order = np.argsort(when[active], kind="stable")
    return who[active][order], when[active][order]


def _words(words: Sequence[str], codes: Ints, missing: np.ndarray | None = None) -> pa.Array:
    return pa.array(words).take(pa.array(codes, mask=missing))


def _named(prefix: str, numbers: Ints, width: int) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(numbers, pa.int64()).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


def _table(source: str, *columns: pa.Array | np.ndarray) -> pa.Table:
    return pa.table([pa.array(column) for column in columns], schema=SCHEMAS[source])
