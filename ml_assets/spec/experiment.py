"""What a folder declares of an experiment: an A/B test of released versions on a business metric."""

import math
from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from ml_assets.decisions.experiment import ExperimentPolicy
from ml_assets.decisions.route import CHAMPION
from ml_assets.decisions.time_span import write_span
from ml_assets.spec.base import Declaration, Duration
from ml_assets.spec.rollout import GuardrailSpec

_NAME = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
SCORE = "score"
"""The primary metric that every model has: its own score."""


class ArmSpec(Declaration):
    """A variant of an experiment."""

    version: int | Literal["champion", "previous"] = Field(description="A released version, or an alias")
    share: float = Field(gt=0, lt=1, description="Of the units")


class UnitMetricSpec(Declaration):
    """A metric of an experiment: one value of each unit."""

    metric: str = Field(min_length=1, max_length=100, description="`score`, or the kind of an outcome")
    better: Literal["higher", "lower"] = Field("higher", description="Which way is better")
    window: Duration = Field("7d", validate_default=True, description="Outcomes so long after the first exposure count")
    delay: Duration = Field("1h", validate_default=True, description="After the window, until outcomes have been told")
    cap: float | None = Field(None, gt=0, description="Larger values count as this one: a single sale decides nothing")

    @property
    def matures(self) -> timedelta:
        """So long after its first exposure the value of a unit is known."""
        return timedelta() if self.metric == SCORE else self.window + self.delay

    @property
    def direction(self) -> int:
        """1 where a larger value is better, -1 where a smaller one is."""
        return 1 if self.better == "higher" else -1

    @property
    def label(self) -> str:
        """The metric for people: a kind of outcome may stand there with several windows."""
        return self.metric if self.metric == SCORE else f"{self.metric} within {write_span(self.window)}"


class PrimaryMetricSpec(UnitMetricSpec):
    """What an experiment is decided by."""

    cuped: bool = Field(False, description="Take out what the champion's batch score explains")


class ExperimentSpec(Declaration):
    """An A/B test."""

    name: str = Field(pattern=_NAME, max_length=40, description="Lowercase letters, digits and single _")
    variants: dict[str, ArmSpec] = Field(
        default={"a": ArmSpec(version="champion", share=0.5), "b": ArmSpec(version="previous", share=0.5)},
        description="Name → version and share; the first one is the control",
    )
    unit: Literal["entity", "request"] = Field("entity", description="What is assigned, and counted once")
    salt: str | None = Field(None, max_length=200, description="Another one draws other units; `<folder>/<name>`")
    start: datetime | None = Field(None, description="From when on; at once")
    duration: Duration = Field("14d", validate_default=True, description="From the start to the last day")
    minimum: Duration = Field("7d", validate_default=True, description="Time before a winner may be named")
    sample: int = Field(1000, ge=1, description="Units that each variant needs")
    level: float = Field(0.05, gt=0, lt=1, description="Probability of calling a difference that does not exist")
    primary: PrimaryMetricSpec = Field(description="What decides")
    secondary: tuple[UnitMetricSpec, ...] = Field((), description="What is reported beside it, and decides nothing")
    guardrails: tuple[GuardrailSpec, ...] = Field((), description="Limits that the other variants keep")
    detect: float | None = Field(None, gt=0, description="The smallest effect that matters, in the metric's unit")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if len(self.variants) < 2:
            raise ValueError(f"variants: {len(self.variants)}: an experiment compares two or more")
        total = math.fsum(arm.share for arm in self.variants.values())
        if not math.isclose(total, 1.0, abs_tol=1e-9):
            raise ValueError(f"variants: their shares add up to {total:g}, not to 1")
        if self.minimum > self.duration:
            raise ValueError(f"minimum: {self.minimum} is longer than the duration of {self.duration}")
        self._require_windows()
        if any(each.metric == "disagreement" for each in self.guardrails):
            raise ValueError("guardrails: disagreement is measured in shadow, by a Rollout: name another metric")
        control = next(iter(self.variants.values()))
        if control.version != CHAMPION:
            raise ValueError("variants: the first one is the control: give it `version: champion`")
        return self

    def _require_windows(self) -> None:
        """Refuse a metric whose values nobody would know before the end, and one that stands there twice."""
        named = [("primary", self.primary), *((f"secondary[{at}]", each) for at, each in enumerate(self.secondary))]
        labels = dict[str, str]()
        for where, metric in named:
            if metric.matures >= self.duration:
                raise ValueError(
                    f"{where}.window: no unit's {metric.matures} (with {where}.delay) pass within the duration of "
                    f"{self.duration}: shorten the window, or lengthen the duration"
                )
            if metric.label in labels:
                raise ValueError(f"{where}: {metric.label} is {labels[metric.label]} already: give it another window")
            labels[metric.label] = where

    @property
    def policy(self) -> ExperimentPolicy:
        """The policy that `decisions` applies."""
        return ExperimentPolicy(
            duration=self.duration,
            minimum=self.minimum,
            sample=self.sample,
            level=self.level,
            direction=self.primary.direction,
            detect=self.detect,
        )

    @property
    def tolerance(self) -> float:
        """How many times as long as the control the other variants may take."""
        return max((each.at_most_times or 1.0 for each in self.guardrails if each.metric == "latency"), default=1.0)

    def full_salt(self, folder: str) -> str:
        """What units are assigned by.

        Args:
            folder: the model's.
        """
        return self.salt or f"{folder}/{self.name}"
