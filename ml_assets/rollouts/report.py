"""What the ledger says of a rollout, for people: how it stands, what each guardrail saw, what is lacking."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from ml_assets.decisions.guardrail import GuardrailResult
from ml_assets.decisions.rollout import SHADOW_STAGE
from ml_assets.decisions.route import CHALLENGER, CHAMPION
from ml_assets.decisions.sample_ratio import SampleCounts, log_e_mismatch
from ml_assets.events.counts import TrafficCounts
from ml_assets.rollouts.late_verdict import late_verdict
from ml_assets.rollouts.ledger import RolloutStep, last_step, ledger, steps_of
from ml_assets.rollouts.measurement import read_evidence
from ml_assets.rollouts.offers import next_offer
from ml_assets.rollouts.plot import RolloutPoint
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.storage.lake import Lake


@dataclass(frozen=True)
class StageCounts:
    """What was counted in a stage.

    Args:
        stage: its number, from 0; -1: in shadow only.
        share: of the challenger.
        counts: by variant.
    """

    stage: int
    share: float
    counts: TrafficCounts

    def row(self) -> dict[str, object]:
        """For a table."""
        failures = [
            f"{reason}: {units.get(CHAMPION, 0):,} and {units.get(CHALLENGER, 0):,}"
            for reason, units in sorted(self.counts.failures.items())
        ]
        return {
            "stage": self.counts.experiment,
            "share": f"{self.share:.0%}",
            "units of the champion": f"{self.counts.exposed.get(CHAMPION, 0):,}",
            "units of the challenger": f"{self.counts.exposed.get(CHALLENGER, 0):,}",
            "first failures of both": "; ".join(failures) or "none",
            "shadowed": f"{self.counts.shadowed:,}, of which {self.counts.disagreeing:,} disagree",
        }


@dataclass(frozen=True)
class RolloutReport:
    """The last rollout of a model.

    Args:
        model: the model's name.
        steps: of the ledger, in order; one or more.
        results: what each guardrail said when the rollout was measured last; none before the first measurement.
        stages: what was counted by then.
    """

    model: str
    steps: tuple[RolloutStep, ...]
    results: tuple[GuardrailResult, ...] = ()
    stages: tuple[StageCounts, ...] = ()

    @property
    def last(self) -> RolloutStep:
        """The step in force."""
        return self.steps[-1]

    @property
    def spec(self) -> RolloutSpec:
        """The declaration as it was when the rollout started."""
        return RolloutSpec.model_validate_json(self.last.policy)

    @property
    def stage(self) -> str:
        """The stage in force, in words."""
        if self.last.stage == SHADOW_STAGE:
            return "in shadow"
        return f"{self.last.stage + 1} of {len(self.spec.stages)}"

    @property
    def title(self) -> str:
        """Which rollout, and what its last step did."""
        last = self.last
        return f"{self.model}: rollout {last.rollout} of version {last.challenger}, {last.action.replace('_', ' ')}"

    @property
    def sentence(self) -> str:
        """How the rollout stands."""
        last = self.last
        name = f"rollout {last.rollout} of version {last.challenger}"
        if last.is_open:
            return f"{name}, stage {self.stage}, share {last.share:.0%}: {last.action}, {last.reason}"
        return f"{name} ended at {last.at:%Y-%m-%d %H:%M} UTC: {last.action.replace('_', ' ')}, {last.reason}"

    @property
    def log_e_mismatch(self) -> float:
        """The logarithm of the e-value of the sample-ratio test over the stages."""
        return log_e_mismatch([_sample(each) for each in self.stages if each.stage != SHADOW_STAGE])

    @property
    def units_lacking(self) -> int:
        """The most units that an open margin takes if nothing differs; 0: none is open, or none is in reach."""
        return max((each.units or 0 for each in self.results), default=0)

    @property
    def unwatched(self) -> str | None:
        """Why the stage in force began anew: nobody had watched; None: somebody has since it began."""
        began = next((step for step in reversed(self.steps) if step.step == self.last.began), self.last)
        return began.reason if began.action == "restart" and "nobody watched" in began.reason else None

    def points(self) -> list[RolloutPoint]:
        """The looks at the rollout, for its picture."""
        return [RolloutPoint(step.at, step.action, step.share, read_results(step)) for step in self.steps]

    def table(self) -> list[dict[str, object]]:
        """A row for each guardrail."""
        return [_guardrail_row(each) for each in self.results]

    def metadata(self) -> dict[str, Any]:
        """Flat, numbers as numbers: Dagster plots them over the measurements."""
        last = self.last
        return {
            "rollout": last.rollout,
            "version": last.challenger,
            "champion_before": last.control,
            "stage": self.stage,
            "share": last.share,
            "verdict": last.action,
            "reason": last.reason,
            "actor": last.actor,
            "units_lacking": self.units_lacking,
            **{f"log_e_{each.name}": each.log_e for each in self.results},
        }


def read_report(lake: Lake, model: str) -> RolloutReport | None:
    """The last rollout of a model; None: there never was one."""
    past = ledger(model).history(lake)
    if not past:
        return None
    steps = tuple(step for step in past if step.rollout == past[-1].rollout)
    # A late verdict has numbers of quality only: the counts of the stages stand before it.
    results = next(filter(None, map(read_results, reversed(steps))), ())
    stages = next(filter(None, map(_read_stages, reversed(steps))), ())
    return RolloutReport(model, steps, results, stages)


def read_results(step: RolloutStep) -> tuple[GuardrailResult, ...]:
    """What each guardrail said at a step; none where nothing was measured."""
    return tuple(
        msgspec.convert(each | {"ratio": _finish(each["ratio"])}, GuardrailResult)
        for each in read_evidence(step).get("guardrails", [])
    )


def late_sentence(lake: Lake, model: str) -> str | None:
    """What the labels say of the last promotion up to now; None: nothing was promoted, or nothing is declared of it."""
    step = last_step(lake, model)
    if step is None:
        return None
    if step.action == "promote":
        verdict = late_verdict(lake, model, horizon=timedelta(0), now=step.at)
        return f"not decided: {verdict.reason}" if verdict else None
    promoted = any(each.action == "promote" for each in steps_of(lake, model, step.rollout))
    return f"{step.action.replace('_', ' ')}: {step.reason}" if promoted else None


def describe_rollout(lake: Lake, model: str) -> str | None:
    """The last rollout and what waits for its turn, in a sentence or two; None: there never was either."""
    report, waiting = read_report(lake, model), next_offer(lake, model)
    sentences = [report.sentence] if report else []
    if report and report.last.action == "promote" and (late := late_sentence(lake, model)):
        sentences.append(f"late verdict, {late}")
    if waiting is not None:
        sentences.append(f"version {waiting.version} waits for its rollout since {waiting.at:%Y-%m-%d %H:%M} UTC")
    return "\n".join(sentences) or None


def _finish(ratio: Mapping[str, float | None] | None) -> dict[str, float] | None:
    """JSON has no infinity: an end, or an estimate, that is null is one."""
    return None if ratio is None else {name: math.inf if end is None else end for name, end in ratio.items()}


def _read_stages(step: RolloutStep) -> tuple[StageCounts, ...]:
    return tuple(
        StageCounts(each["stage"], each["share"], msgspec.convert(each, TrafficCounts))
        for each in read_evidence(step).get("stages", [])
    )


def _sample(stage: StageCounts) -> SampleCounts:
    units = tuple(stage.counts.first.get(name, 0) for name in (CHAMPION, CHALLENGER))
    return SampleCounts(units, (1 - stage.share, stage.share))


def _guardrail_row(result: GuardrailResult) -> dict[str, object]:
    ratio = (
        "" if result.ratio is None else f"{result.ratio.estimate:.3g} ({_range(result.ratio.low, result.ratio.high)})"
    )
    return {
        "guardrail": result.name,
        "status": result.status.value,
        "evidence of harm": f"{result.log_e:.2f} of {result.limit:.2f}",
        "times the champion's": ratio,
        "tolerated": "" if result.needed is None else f"{result.needed:.3g}",
        "units lacking": "" if result.units is None else f"{result.units:,}",
        "reason": result.reason,
    }


def _range(low: float, high: float) -> str:
    return f"{low:.3g} to {'any' if math.isinf(high) else f'{high:.3g}'}"
