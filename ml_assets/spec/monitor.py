"""What a folder declares of its monitoring."""

from typing import Self

from pydantic import Field, model_validator

from ml_assets.decisions.metric import estimable, watchable
from ml_assets.decisions.retrain import Policy
from ml_assets.spec.alert import AlertSpec
from ml_assets.spec.base import Declaration, Duration
from ml_assets.spec.drift import DriftSpec
from ml_assets.spec.performance import PerformanceSpec


class RetrainSpec(Declaration):
    """When to retrain; a trigger that is null is off. `ml-assets replay` shows what a policy would have done."""

    metric: str = Field("roc_auc", description="The metric of `floor`, `drop` and `estimate`")
    rows: float | None = Field(None, gt=0, description="New mature rows from this share of the champion's rows")
    drift: float | None = Field(0.3, gt=0, le=1, description="Share of the importance that drifted features hold")
    floor: float | None = Field(None, description="Measured metric: it may not fall below (or, for a loss, rise above)")
    drop: float | None = Field(0.05, gt=0, description="Measured metric: so much worse than in the evaluation")
    estimate: float | None = Field(None, gt=0, description="Estimated metric: so much worse than in the evaluation")
    age: Duration | None = Field(None, description="Age of the champion")
    every: Duration | None = Field(None, description="Time since the last training, whatever else is seen")
    after: int = Field(2, ge=1, description="As-of dates in a row after which a suspicion counts")
    cooldown: Duration = Field("14d", validate_default=True, description="Time after a training without another one")

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.metric not in watchable():
            raise ValueError(f"metric {self.metric!r} has no interval: use one of {', '.join(sorted(watchable()))}")
        right = sorted({*estimable()} & {*watchable()})
        if self.estimate is not None and self.metric not in right:
            raise ValueError(f"estimate: {self.metric} cannot be estimated: use one of {', '.join(right)}")
        return self

    @property
    def policy(self) -> Policy:
        """The policy that `decisions` applies."""
        return Policy(**{name: getattr(self, name) for name in type(self).model_fields if name != "metric"})


class MonitorSpec(Declaration):
    """Reports that follow the champion, and what they lead to."""

    drift: DriftSpec = Field(DriftSpec(), description="The drift report: limits for all features and for single ones")
    performance: PerformanceSpec = Field(PerformanceSpec(), description="The performance report")
    retrain: RetrainSpec = Field(RetrainSpec(), description="When to retrain")
    alerts: AlertSpec = Field(AlertSpec(), description="What is told to people")
    freshness: Duration | None = Field(None, description="How old the reports and the verdict may grow")
    owners: tuple[str, ...] = Field((), description="E-mail addresses or `team:name`")
