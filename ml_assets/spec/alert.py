"""The alerts of a folder, as its `defs.yaml` declares them."""

from collections import Counter
from typing import Self

from pydantic import Field, model_validator

from ml_assets.decisions.alert import MetricRule, Severity
from ml_assets.spec.base import Declaration, Duration

PROJECT = "project"
"""The folder of what belongs to no model."""


class AlertRule(Declaration):
    """One metric of an as-of date and its limit: exactly one of `above` and `below`."""

    metric: str = Field(
        min_length=1,
        description="A number of the reports: drifted_importance, psi_<feature>, review_share, unseen_share, …",
    )
    above: float | None = Field(None, allow_inf_nan=False, description="It fires where the metric is larger")
    below: float | None = Field(None, allow_inf_nan=False, description="It fires where the metric is smaller")
    severity: Severity = Field(Severity.WARNING, description="info, warning or critical")
    cooldown: Duration = Field(
        "7d", validate_default=True, description="How long it stays silent while it goes on firing; then it reminds"
    )
    name: str = Field("", description="Under which its state is kept; default: <metric>_above or <metric>_below")
    description: str = Field("", description="What it means, for whoever is woken by it")

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"alert on {self.metric}: write one limit, either above or below")
        return self

    @property
    def rule(self) -> MetricRule:
        """The rule that `decisions` judges."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        side = "below" if self.above is None else "above"
        return MetricRule(**fields | {"name": self.name or f"{self.metric}_{side}"})


class AlertSpec(Declaration):
    """What a folder tells people, through the URLs of `ML_ASSETS_ALERTS`."""

    rules: tuple[AlertRule, ...] = Field((), description="Limits of metrics")
    failed_runs: Severity | None = Field(Severity.CRITICAL, description="Severity of a failed run; null: not told")

    @model_validator(mode="after")
    def _names(self) -> Self:
        counted = Counter(rule.name for rule in self.judged)
        if twice := [name for name, count in counted.items() if count > 1]:
            raise ValueError(f"two alerts are named {twice[0]!r}: give one of them another name")
        return self

    @property
    def judged(self) -> tuple[MetricRule, ...]:
        """The rules that `decisions` judges."""
        return tuple(rule.rule for rule in self.rules)
