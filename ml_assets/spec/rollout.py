"""What a folder declares of its rollouts: how a candidate earns its traffic."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ml_assets.decisions.doubts import Reaction, Reactions
from ml_assets.decisions.guardrail import Guardrail
from ml_assets.decisions.quality import QualityGuardrail
from ml_assets.decisions.rollout import RolloutAction, RolloutPolicy
from ml_assets.spec.base import Declaration, Duration

_RATES = ("errors", "missing")
_TIMES = ("latency", "disagreement")
MEASURED = (*_RATES, *_TIMES)
"""The metrics that a guardrail can name."""

PAIRED = ("log_loss", "brier", "accuracy")
"""The metrics of which a quality guardrail compares two versions on the same rows."""

_LOOKS = 3
"""A lease outlives so many measurements."""


class GuardrailSpec(Declaration):
    """A limit that the challenger has to keep."""

    metric: str = Field(description=f"One of {', '.join(MEASURED)}")
    at_most_worse: float | None = Field(None, gt=0, lt=1, description="Of a rate: more units than the champion's share")
    at_most_times: float | None = Field(None, gt=1, description="Of latency and disagreement: times what is expected")

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.metric not in MEASURED:
            raise ValueError(f"metric {self.metric!r} is not measured while a model serves: use {', '.join(MEASURED)}")
        limit, other = (
            ("at_most_worse", "at_most_times") if self.metric in _RATES else ("at_most_times", "at_most_worse")
        )
        if getattr(self, limit) is None or getattr(self, other) is not None:
            raise ValueError(f"{self.metric}: give {limit}, which is what its test compares, and not {other}")
        return self

    @property
    def guardrail(self) -> Guardrail:
        """The guardrail that `decisions` judges."""
        return Guardrail(self.metric, self.at_most_worse, self.at_most_times)


class QualitySpec(Declaration):
    """A limit of the quality, judged on the same rows as labels mature."""

    metric: Literal["log_loss", "brier", "accuracy"] = Field(description="One of log_loss, brier, accuracy")
    at_most_worse: float = Field(0.01, gt=0, description="How much worse than the champion's, in the metric's unit")
    required: bool = Field(False, description="Promote only once it is proven; labels may take months")

    @property
    def guardrail(self) -> QualityGuardrail:
        """The limit that `decisions` judges."""
        return QualityGuardrail(self.metric, self.at_most_worse, self.required)


class ShadowSpec(Declaration):
    """What the other version answers too, unseen."""

    share: float = Field(0.1, ge=0, le=1, description="Of the units")
    first: Duration | None = Field(None, description="How long the challenger answers in shadow only, before stage one")
    after: Duration | Literal["horizon"] = Field(
        "horizon", description="How long the previous champion goes on in shadow after a promotion"
    )


class ReactionSpec(Declaration):
    """What follows where the evidence is doubtful."""

    sample_ratio: Reaction = Field(Reaction.HOLD, description="The variants do not get their shares")
    no_traffic: Reaction = Field(Reaction.HOLD, description="Nobody was exposed for 24 h")
    multiple_exposures: Reaction = Field(Reaction.HOLD, description="Units that both variants answered within a stage")


class RolloutSpec(Declaration):
    """How a candidate that passed its gates becomes the champion: in stages, by what is measured of it."""

    stages: tuple[float, ...] = Field((0.1, 0.5, 1.0), description="Shares of the challenger, ascending, to 1")
    shadow: ShadowSpec = Field(ShadowSpec(), description="Answers that the other version gives too, unseen")
    unit: Literal["entity", "request"] = Field("entity", description="What is assigned, and counted once")
    sample: int = Field(1000, ge=1, description="Units it answers in a stage before it moves on; of few entities fewer")
    bake: Duration = Field("1h", validate_default=True, description="Time in a stage before it moves on")
    every: Duration = Field("5m", validate_default=True, description="How often a measurement is kept")
    patience: Duration = Field("7d", validate_default=True, description="After so long a stage that proves nothing …")
    then: Literal["hold", "roll_back"] = Field("hold", description="… is held, or rolled back")
    level: float = Field(0.05, gt=0, lt=1, description="Probability of a false rollback in the whole rollout")
    proof: float = Field(0.05, gt=0, lt=1, description="Probability of a false proof, of each guardrail")
    prove: Literal["last", "each"] = Field("last", description="Stages at which margins have to be proven")
    lease: Duration = Field("1h", validate_default=True, description="Unwatched for so long: the champion answers all")
    guardrails: tuple[GuardrailSpec, ...] = Field(
        (
            GuardrailSpec(metric="errors", at_most_worse=0.005),
            GuardrailSpec(metric="latency", at_most_times=1.2),
            GuardrailSpec(metric="missing", at_most_worse=0.02),
            GuardrailSpec(metric="disagreement", at_most_times=2),
        ),
        description="Limits that the challenger keeps; `[]`: none",
    )
    quality: tuple[QualitySpec, ...] = Field(
        (QualitySpec(metric="log_loss"),),
        description="Limits of quality, judged as labels mature, also after a promotion; `[]`: no late verdict",
    )
    on: ReactionSpec = Field(ReactionSpec(), description="What follows where the evidence is doubtful")

    @field_validator("guardrails", "quality")
    @classmethod
    def _once(cls, listed: tuple[GuardrailSpec | QualitySpec, ...], info: ValidationInfo) -> object:
        metrics = [each.metric for each in listed]
        if repeated := sorted({metric for metric in metrics if metrics.count(metric) > 1}):
            raise ValueError(f"{info.field_name}: {', '.join(repeated)} comes twice: keep one limit of each metric")
        return listed

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _ = self.policy  # refuses stages that do not ascend
        if self.lease < _LOOKS * self.every:
            raise ValueError(f"lease: {self.lease} is shorter than {_LOOKS} measurements (every {self.every})")
        if self.shadow.share == 0 and any(each.metric == "disagreement" for each in self.guardrails):
            raise ValueError("guardrails: disagreement is measured in shadow: give shadow.share, or leave it out")
        return self

    @property
    def policy(self) -> RolloutPolicy:
        """The policy that `decisions` applies."""
        return RolloutPolicy(
            stages=self.stages,
            guardrails=tuple(each.guardrail for each in self.guardrails),
            sample=self.sample,
            bake=self.bake,
            patience=self.patience,
            then=RolloutAction(self.then),
            level=self.level,
            proof=self.proof,
            prove_each_stage=self.prove == "each",
            quality=tuple(each.guardrail for each in self.quality),
            shadow=self.shadow.first or timedelta(),
            reactions=Reactions(**self.on.model_dump()),
        )

    @property
    def tolerance(self) -> float:
        """How many times as long the challenger may take."""
        times = [each.at_most_times for each in self.guardrails if each.metric == "latency"]
        return times[0] or 1.0 if times else 1.0

    def shadow_after(self, horizon: timedelta) -> timedelta:
        """How long the previous champion answers in shadow after a promotion.

        Args:
            horizon: of the label.
        """
        return self.shadow.after if isinstance(self.shadow.after, timedelta) else horizon
