"""What a model declares of fairness: groups of entities, and which differences between them it may make."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from ml_assets.decisions.fairness import CALIBRATION, OF_CLASSES, OF_SCORES, FairnessPolicy
from ml_assets.spec.base import Declaration

_METRICS = tuple(dict.fromkeys((*OF_SCORES, *OF_CLASSES)))


class FairnessSpec(Declaration):
    """Groups that are compared with all others on the test rows; the model never sees them."""

    groups: tuple[str, ...] = Field(
        min_length=1, description="Columns of the query, by whose values entities are grouped"
    )
    sql: str = Field("groups.sql", description="The `.sql` file of the groups, as of a date; no input of the model")
    metrics: tuple[str, ...] = Field(
        (CALIBRATION,),
        min_length=1,
        description=f"Those that judge: of 0 and 1 {', '.join(OF_SCORES)}; of `classes` {', '.join(OF_CLASSES)}",
    )
    at_most: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="How much a group may differ from all others")
    level: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="Share of reports with a false alarm, whatever the number of groups and metrics"
    )

    @field_validator("groups", "metrics")
    @classmethod
    def _once(cls, listed: tuple[str, ...]) -> tuple[str, ...]:
        if repeated := sorted({name for name in listed if listed.count(name) > 1}):
            raise ValueError(f"{', '.join(repeated)} comes twice: keep it once")
        return listed

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if unknown := [name for name in self.metrics if name not in _METRICS]:
            raise ValueError(f"metrics name {unknown[0]!r}, which is not measured: use {', '.join(_METRICS)}")
        return self

    def require_metrics(self, several: bool) -> None:
        """Refuse a metric that is not of the kind of label: of `several` classes, or of 0 and 1.

        Raises:
            ValueError: naming the metric and those that are.
        """
        measured = OF_CLASSES if several else OF_SCORES
        for metric in self.metrics:
            if metric not in measured:
                raise ValueError(f"fairness.metrics: {metric} is not of this label, use {' or '.join(measured)}")

    @property
    def policy(self) -> FairnessPolicy:
        """The limits that `decisions` applies."""
        return FairnessPolicy(self.metrics, self.at_most, self.level)
