"""The check that a monitor fits its model: a rule on a number that is never measured would stay silent for ever."""

from difflib import get_close_matches
from typing import TYPE_CHECKING

from ml_assets.decisions.metric import METRICS, MULTICLASS, names, watchable
from ml_assets.errors import DeclarationError, list_values
from ml_assets.monitoring.numbers import numbers, require_number
from ml_assets.spec.monitor import MonitorSpec

if TYPE_CHECKING:
    from ml_assets.training.definition import ModelDefinition


def require_fitting(spec: MonitorSpec, folder: "ModelDefinition") -> None:
    """Check a monitor against the model of its folder.

    Raises:
        DeclarationError: it names a metric, a feature or a number that the model does not have.
    """
    classes, features = folder.spec.label.classes, folder.columns
    _require_metric(spec, several=bool(classes))
    for feature in spec.drift.features if features is not None else ():
        if feature not in (features or ()):
            near = get_close_matches(feature, features or (), n=1) or [list_values(features or (), 8)]
            raise DeclarationError(f"drift.features: {feature!r} is not a feature of the model: use {near[0]}")
    names = numbers(classes, features, text=folder.spec.text is not None)
    for rule in spec.alerts.judged:
        require_number(rule.metric, names, complete=features is not None)


def _require_metric(spec: MonitorSpec, *, several: bool) -> None:
    metric, retrain = spec.retrain.metric, spec.retrain
    used = [name for name in ("floor", "drop", "estimate") if getattr(retrain, name) is not None]
    if several and MULTICLASS not in METRICS[metric].tasks and used:
        measured = names(lambda each: each.can_be_estimated and MULTICLASS in each.tasks)
        right = ", ".join(sorted({*measured} & {*watchable()}))
        raise DeclarationError(
            f"retrain: {metric!r} is not measured of several classes, so {' and '.join(used)} could never be reached: "
            f"write metric: accuracy (measured are {right})"
        )
