"""An evaluation: everything that a gate, a report or a person asks of a candidate on the test rows, and how it is kept.

A version's run keeps it as `evaluation/report.json`; whoever needs it reads it with `read_evaluation`.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import msgspec

from ml_assets.decisions.interval import Interval
from ml_assets.errors import TrainingError
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.baseline import Baseline
from ml_assets.training.explain import Importance

REPORT = "evaluation/report.json"


@dataclass(frozen=True)
class Evaluation:
    """A candidate on rows that it was not fitted on.

    Args:
        rows: number of test rows.
        entities: number of distinct entities among them.
        metrics: of `metrics.scores`.
        threshold: the score from which on acting is cheapest on these rows.
        cost: the mean cost of a row at that threshold.
        confusion: counts at that threshold.
        slices: by slice column and value, as `metrics.by_slice`.
        others: the metrics of each other score vector, such as `baseline` and `champion`, on the same rows.
        intervals: by other and metric, candidate minus other with its confidence interval.
        importance: by feature, where it was measured.
        baseline: the best single feature; None where there are several classes.
    """

    rows: int
    entities: int
    metrics: dict[str, float]
    threshold: float
    cost: float
    confusion: dict[str, int]
    slices: dict[str, dict[str, dict[str, float]]]
    others: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Interval]]
    importance: dict[str, Importance] = field(default_factory=dict)
    baseline: Baseline | None = None


@dataclass(frozen=True)
class EvaluationInputs:
    """The inputs of an evaluation, beside the version: `against`, the champion's number, and `declared` fields."""

    against: int | None
    declared: str


@dataclass(frozen=True)
class EvaluationRecord:
    """An evaluation as it is kept with the run of its version.

    Args:
        evaluation: everything that was measured.
        against: the champion that it was compared with and which of its artifacts; None: there was none.
        asked: what it depends on.
    """

    evaluation: Evaluation
    against: str | None
    asked: EvaluationInputs

    def to_json(self) -> bytes:
        """As JSON; without a baseline it says `{}`."""
        plain = asdict(self)
        plain["evaluation"]["baseline"] = plain["evaluation"]["baseline"] or {}
        return json.dumps(plain, default=float, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """The record that `to_json` wrote, also in an older release: what that did not say has its default.

        Raises:
            TrainingError: the content is something else.
        """
        try:
            plain: dict[str, Any] = json.loads(content)  # msgspec's own reader refuses NaN
            evaluation = plain["evaluation"]
            record = {**plain, "evaluation": {**evaluation, "baseline": evaluation.get("baseline") or None}}
            return msgspec.convert(record, cls)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TrainingError(
                f"{REPORT} of a version cannot be read ({error}): materialize evaluation_report again"
            ) from error


def read_evaluation(registry: Registry, version: Version) -> EvaluationRecord | None:
    """The last evaluation of a version; None where it has none."""
    content = registry.read(version.run_id, REPORT)
    return None if content is None else EvaluationRecord.from_json(content)


def required_evaluation(registry: Registry, version: Version) -> EvaluationRecord:
    """The last evaluation of a version.

    Raises:
        TrainingError: it has none.
    """
    record = read_evaluation(registry, version)
    if record is None:
        remedy = f"materialize {version.model}/evaluation_report first"
        raise TrainingError(f"{version.model} version {version.number} was not evaluated: {remedy}")
    return record
