"""The report of an experiment: what was counted of each variant, the faults of it, and the verdict in plain words."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from ml_assets.decisions.experiment import ExperimentAction, VariantEffect
from ml_assets.decisions.interval import Interval
from ml_assets.decisions.secondary import SecondaryEffect
from ml_assets.rollouts.experiment_guardrails import VariantGuardrail


@dataclass(frozen=True)
class VariantCounts:
    """Units of a variant.

    Args:
        name: of the variant.
        version: that answers.
        share: of the units.
        exposed: units at their first exposure.
        units: those of them whose window has passed, and which have a value.
        mean: of the primary metric; None without units.
    """

    name: str
    version: int
    share: float
    exposed: int
    units: int
    mean: float | None


@dataclass(frozen=True)
class ExperimentReport:
    """A measurement of an experiment.

    Args:
        at: when, naive UTC.
        action: what follows.
        reason: in a sentence.
        variants: the control first.
        effects: the others against the control.
        faults: why nothing may be believed.
        notes: what was left out, and why.
        by_day: variant → its difference by day since the exposure, from the first day on.
        guardrails: of each variant.
        secondary: metrics of each variant beside the primary one; they decide nothing.
    """

    at: datetime
    action: ExperimentAction
    reason: str
    variants: tuple[VariantCounts, ...]
    effects: tuple[VariantEffect, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    by_day: Mapping[str, tuple[Interval, ...]]
    guardrails: tuple[VariantGuardrail, ...] = ()
    secondary: tuple[SecondaryEffect, ...] = ()

    @property
    def winner(self) -> str | None:
        """The variant that won; None: none has."""
        best = [each for each in self.effects if each.reason == self.reason]
        return best[0].name if self.action is ExperimentAction.WINNER else None

    @property
    def recommendation(self) -> str:
        """What to do, in plain words."""
        control = self.variants[0].name
        match self.action:
            case ExperimentAction.WINNER:
                return f"Ship {self.winner}: {self.reason}{self.lift(self.winner or '')}"
            case ExperimentAction.NONE:
                return f"Keep {control}: {self.reason}"
            case ExperimentAction.ERROR:
                return f"Believe nothing of this: {self.reason}"
            case _:
                return f"Wait: {self.reason}"

    def lift(self, name: str) -> str:
        """The difference of a variant as a share of the control's mean, in words; empty where that is not above 0."""
        mean = self.variants[0].mean or 0.0
        effect = next((each.interval for each in self.effects if each.name == name), None)
        if effect is None or mean <= 0:
            return ""
        low, high = effect.low / mean, effect.high / mean
        return f", {effect.estimate / mean:+.1%} of the mean of {self.variants[0].name} ({low:+.1%} to {high:+.1%})"

    def rows(self) -> list[dict[str, object]]:
        """A row for each variant, for people."""
        effects = {each.name: each.interval for each in self.effects}
        return [
            {
                "variant": each.name, "version": each.version, "share": f"{each.share:.0%}", "exposed": each.exposed,
                "units": each.units, "mean": "" if each.mean is None else f"{each.mean:.4g}",
                "difference": _written(effects.get(each.name)), "lift": self.lift(each.name).removeprefix(", "),
            }
            for each in self.variants
        ]  # fmt: skip

    def secondary_rows(self) -> list[dict[str, object]]:
        """A row for each secondary metric of each variant, for people."""
        return [
            {
                "metric": each.metric, "variant": each.variant, "difference": _written(each.interval),
                "e-value": f"{each.e_value:.3g}", "stands": "yes" if each.stands else "no", "says": each.reason,
            }
            for each in self.secondary
        ]  # fmt: skip

    def to_json(self) -> str:
        """The text that `read_report` takes."""
        return msgspec.json.encode(self).decode()


def _written(effect: Interval | None) -> str:
    return "" if effect is None else f"{effect.estimate:+.4g} ({effect.low:+.4g} to {effect.high:+.4g})"


def read_report(text: str) -> ExperimentReport | None:
    """The report of a step's evidence; None where the step measured nothing."""
    plain = msgspec.json.decode(text)
    for judged in plain["guardrails"] if plain else ():
        ratio = judged["result"]["ratio"] or {}  # JSON has no infinity: an end that is null is one
        ratio.update({name: math.inf for name, end in ratio.items() if end is None})
    return msgspec.convert(plain, ExperimentReport | None)
