"""Rows of the event store about variants: who was exposed to which, what went wrong, what another would have said."""

from typing import NamedTuple


class Exposure(NamedTuple):
    """An entity was answered by a variant of an experiment. The first time stands; later ones change nothing.

    Once its row is deleted (`EventStore.retain`), the entity is exposed anew: keep the earliest of what was exported.

    Args:
        model: the model's folder.
        experiment: its name, unique for the model.
        entity: who.
        variant: by which arm.
        prediction_id: of the first answer.
        exposed_at: microseconds since 1970, UTC.
    """

    model: str
    experiment: str
    entity: str
    variant: str
    prediction_id: str
    exposed_at: int


class VariantFailure(NamedTuple):
    """Something went wrong with an answer to a unit. The first time of each kind stands; later ones change nothing.

    It is the assigned variant's, whoever answered in its place.

    Args:
        model: the model's folder.
        experiment: under which the unit was exposed.
        entity: the unit.
        variant: that was assigned.
        reason: of what kind, one of `FAILURES`.
        prediction_id: of the answer; empty where there was none.
        failed_at: microseconds since 1970, UTC.
    """

    model: str
    experiment: str
    entity: str
    variant: str
    reason: str
    prediction_id: str
    failed_at: int


ERROR, MISSING = "error", "missing"
SLOW = ("slow p50", "slow p95", "slow p99")
FAILURES = (ERROR, MISSING, *SLOW)
"""The kinds of a `VariantFailure`: no answer, or one of another variant in its place; an answer without the value of a
feature that nearly all rows of its training had; one that took longer than each limit of the route."""


class ShadowAnswer(NamedTuple):
    """What another variant said of a row that was answered, unseen. The first time of a unit stands.

    Args:
        prediction_id: of the answer that was given.
        model: the model's folder.
        experiment: under which the unit was exposed.
        entity: the unit.
        variant: that answers in shadow.
        version: of it, in the registry.
        score: what it said; None where it failed.
        decision: what follows from it; None where it failed.
        predicted: of several classes the most probable one; else None.
        agrees: 1 where its decision is that of the answer, 0 where it is another one, or none.
        latency: microseconds that it took.
        error: why there is no score; None: there is one.
        answered_at: microseconds since 1970, UTC.
    """

    prediction_id: str
    model: str
    experiment: str
    entity: str
    variant: str
    version: str
    score: float | None
    decision: str | None
    predicted: str | None
    agrees: int
    latency: int
    error: str | None
    answered_at: int
