"""A fairness report as it is kept with a version, what follows from its limits, and how it is shown."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

import msgspec

from ml_assets.decisions.fairness import FairnessPolicy, FairnessVerdict, decide, largest_difference
from ml_assets.decisions.group_equalities import Equality
from ml_assets.decisions.group_rates import FEWEST, GroupComparison
from ml_assets.errors import TrainingError
from ml_assets.storage.registry import Version

if TYPE_CHECKING:
    from ml_assets.decisions.interval import Interval

REPORT, PLOT = "evaluation/fairness.json", "evaluation/fairness.png"


@dataclass(frozen=True)
class FairnessInputs:
    """What a report depends on, beside the version.

    Args:
        declared: the groups and the limits.
        threshold: from which on a row is selected; of several classes, below which it goes to review.
        seed: of the draws.
        groups: a fingerprint of the groups at each test date.
    """

    declared: str
    threshold: float
    seed: int
    groups: tuple[int, ...]


@dataclass(frozen=True)
class FairnessRecord:
    """A report as it is kept with the run of its version.

    Args:
        asked: what it depends on.
        entities: of the test rows.
        rows: test rows.
        comparison: every metric of every group.
        equalities: of each group whose base rate differs, what equal rates would take.
    """

    asked: FairnessInputs
    entities: int
    rows: int
    comparison: GroupComparison
    equalities: tuple[Equality, ...]

    def to_json(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """The record that `to_json` wrote.

        Raises:
            TrainingError: the content is something else.
        """
        try:
            return msgspec.json.decode(content, type=cls)
        except msgspec.MsgspecError as error:
            raise TrainingError(
                f"{REPORT} of a version cannot be read ({error}): materialize fairness_report again"
            ) from error


@dataclass(frozen=True)
class FairnessOutcome:
    """A report as one line of a list of checks.

    Args:
        status: passed, failed or not_judged.
        value: the largest difference of a metric that judges; None where no group is large enough.
        limit: that it is compared with.
        reason: in a sentence.
        evidence: SHA-256 of the report as it is kept; empty where there is none.
    """

    status: str
    value: float | None
    limit: float | None
    reason: str
    evidence: str


NO_GROUPS = FairnessOutcome("not_judged", None, None, "no groups are declared", "")


@dataclass(frozen=True)
class FairnessReport:
    """What was measured of a version, and what follows from the limits.

    Args:
        version: that was measured.
        record: everything that was.
        policy: the limits.
        evidence: SHA-256 of the record as it is kept.
        plot: a PNG.
    """

    version: Version
    record: FairnessRecord
    policy: FairnessPolicy
    evidence: str
    plot: bytes

    @property
    def verdict(self) -> FairnessVerdict:
        """By the limits."""
        return decide(self.policy, self.record.comparison.differences, self.record.entities, FEWEST)

    @property
    def outcome(self) -> FairnessOutcome:
        """As one line of a list of checks."""
        verdict = self.verdict
        value = largest_difference(verdict.numbers)
        return FairnessOutcome(verdict.action.value, value, self.policy.at_most, verdict.reason, self.evidence)

    def rows(self) -> list[dict[str, object]]:
        """A row for each metric of each group, for a table; only what judges has a status."""
        results = {(each.attribute, each.group, each.metric): each for each in self.verdict.numbers}
        return [
            {
                "group": f"{each.group.attribute} {each.group.name}",
                "entities": each.group.entities,
                "with each label": each.group.labelled,
                "metric": each.metric,
                "rate": "" if each.rate is None else each.rate,
                "all others": "" if each.others is None else each.others,
                "difference": _interval(each.interval),
                "p": "" if each.p is None else each.p,
                "outcome": results[key].status.value if key in results else "",
            }
            for each in self.record.comparison.differences
            for key in [(each.group.attribute, each.group.name, each.metric)]
        ]

    def costs(self) -> list[dict[str, object]]:
        """A row for each equality of each group whose base rate differs, for a table."""
        return [
            {
                "group": f"{each.attribute} {each.group}",
                "if equal": each.metric,
                "its threshold": each.threshold,
                **{f"then {metric}": difference for metric, difference in each.differences.items()},
            }
            for each in self.record.equalities
        ]

    def ratios(self) -> list[dict[str, object]]:
        """The four-fifths ratio of each attribute, beside how often groups of these sizes miss it by chance."""
        return [
            {"attribute": each.attribute, "lowest over highest selection rate": each.ratio,
             "below 0.8 by chance alone": f"{100 * each.false_alarms:.0f} %"}
            for each in self.record.comparison.ratios
        ]  # fmt: skip


def _interval(interval: "Interval | None") -> str:
    return "" if interval is None else f"{interval.estimate:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"
