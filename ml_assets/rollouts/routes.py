"""The route that a step of a rollout puts into force: what servers are told."""

from datetime import UTC, datetime, timedelta

from ml_assets.decisions.route import CHALLENGER, CHAMPION, PREVIOUS, Route, Variant
from ml_assets.errors import RegistryError
from ml_assets.rollouts.baseline import RolloutBaseline
from ml_assets.rollouts.ledger import RolloutStep
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.storage.registry import Registry

TOLERANCE = timedelta(seconds=60)
"""So far the clocks of machines may be apart."""


def to_seconds(moment: datetime) -> float:
    """Seconds since 1970 of a naive UTC moment.

    >>> to_seconds(datetime(1970, 1, 2))
    86400.0
    """
    return moment.replace(tzinfo=UTC).timestamp()


def split_route(model: str, step: RolloutStep, until: datetime) -> Route:
    """The route of a rollout that is running.

    Args:
        model: the model's folder.
        step: in force.
        until: when the lease ends, naive UTC.
    """
    spec, baseline = RolloutSpec.model_validate_json(step.policy), RolloutBaseline.from_json(step.baseline)
    variants = (Variant(CHAMPION, step.control, 1 - step.share), Variant(CHALLENGER, step.challenger, step.share))
    return Route(
        model, step.salt, variants, spec.unit, step.experiment, spec.shadow.share, baseline.latency, spec.tolerance,
        to_seconds(until),
    )  # fmt: skip


def shadow_end(step: RolloutStep) -> datetime:
    """When the previous champion stops to answer in shadow, naive UTC.

    Args:
        step: the promotion.
    """
    return step.began_at + timedelta(seconds=RolloutBaseline.from_json(step.baseline).shadow_after)


def shadow_route(model: str, step: RolloutStep) -> Route:
    """The route after a promotion: the new champion answers everything, the previous one some of it in shadow.

    Args:
        model: the model's folder.
        step: the promotion.
    """
    spec = RolloutSpec.model_validate_json(step.policy)
    variants = (Variant(CHAMPION, step.challenger, 1.0), Variant(PREVIOUS, step.control, 0.0))
    end = to_seconds(shadow_end(step))
    return Route(model, step.salt, variants, spec.unit, step.experiment, spec.shadow.share, until=end)


def current_route(registry: Registry, model: str) -> Route | None:
    """The route of the registry; None: there is none, or it is damaged."""
    try:
        return registry.route(model)
    except RegistryError:
        return None


def belongs_to(route: Route | None, step: RolloutStep) -> bool:
    """Whether a route is one of a step's rollout."""
    return route is not None and (route.experiment or "").startswith(f"{step.rollout}/")


def owner_of(route: Route | None) -> str | None:
    """The experiment that a route is of; None: of none, or of a rollout, whose stages have a `/` in their name."""
    name = route.experiment if route is not None else None
    return name if name is not None and "/" not in name else None
