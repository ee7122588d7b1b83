"""Every metric, each named once: what it is a metric of, which way is better, and where it is used.

A new metric is an entry here and a function of the same name in `training/measures.py` (or, of several classes, in
`training/task/multiclass.py`): gates, policies, alerts, reports, intervals and replays find it by its entry.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Source = Literal["scores", "export", "machine", "features"]

BINARY, MULTICLASS = "binary", "multiclass"
ALL_TASKS = frozenset({BINARY, MULTICLASS})


@dataclass(frozen=True)
class Metric:
    """A metric and where it is used.

    Args:
        name: as gates, policies and reports write it.
        direction: 1 where a larger value is better, -1 where a smaller one is, 0 where neither is.
        tasks: the tasks whose evaluation can have it.
        has_interval: it is bootstrapped, so that two models can be compared by it and a policy may watch it.
        can_be_estimated: calibrated scores alone tell what it will be (`decisions.estimate`).
        at_threshold: with a label 0 or 1 it depends on the threshold: an evaluation, which chooses that, has no gate
            on it; reports and replays know it.
        in_report: the performance report measures it.
        in_table: it is a column of that report's table, and alerts may name its numbers.
        headline: its place in the one line of a candidate's metrics, from 1; 0 = it is not there.
        source: what it is computed from: labels and scores, the exported artifact, the speed of this machine, or the
            features alone.
    """

    name: str
    direction: int = 0
    tasks: frozenset[str] = ALL_TASKS
    has_interval: bool = False
    can_be_estimated: bool = False
    at_threshold: bool = False
    in_report: bool = False
    in_table: bool = False
    headline: int = 0
    source: Source = "scores"

    def in_evaluation(self, task: str) -> bool:
        """True if the evaluation of a candidate has it, so that a gate may name it."""
        return task in self.tasks and not (self.at_threshold and task == BINARY)


_BINARY, _MULTICLASS = frozenset({BINARY}), frozenset({MULTICLASS})

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", 1, _BINARY, True, can_be_estimated=True, in_report=True, in_table=True, headline=3),
        Metric("pr_auc", 1, _BINARY, True, in_report=True, in_table=True, headline=4),
        Metric("log_loss", -1, has_interval=True, can_be_estimated=True, in_report=True, in_table=True),
        Metric("brier", -1, has_interval=True, can_be_estimated=True, in_report=True, in_table=True, headline=5),
        Metric(
            "accuracy", 1, has_interval=True, can_be_estimated=True, at_threshold=True, in_report=True, in_table=True,
            headline=1,
        ),
        Metric("calibration_error", -1, in_report=True, in_table=True, headline=6),
        Metric("lift_at_10", 1, _BINARY, True, in_report=True, headline=7),
        Metric("macro_f1", 1, _MULTICLASS, True, headline=2),
        Metric("base_rate", can_be_estimated=True, in_report=True),
        Metric("mean_score", in_report=True),
        Metric("onnx_parity", -1, source="export"),
        Metric("latency_p99_ms", -1, source="machine"),
        # Of the best feature alone: close to 1, it knows the label.
        Metric("single_feature_roc_auc", -1, _BINARY, source="features"),
    )
}  # fmt: skip
"""In the order of reports."""


def names(condition: Callable[[Metric], bool]) -> tuple[str, ...]:
    """The metrics of which a condition holds.

    >>> names(lambda metric: metric.can_be_estimated)
    ('roc_auc', 'log_loss', 'brier', 'accuracy', 'base_rate')
    """
    return tuple(name for name, metric in METRICS.items() if condition(metric))


def operations() -> tuple[str, ...]:
    """The metrics that a training measures of its artifact, and logs with its run.

    >>> operations()
    ('onnx_parity', 'latency_p99_ms')
    """
    return names(lambda metric: metric.source in {"export", "machine"})


def directions() -> Mapping[str, int]:
    """1 or -1 of every metric that has a better and a worse; a gate may name each of them."""
    return {name: metric.direction for name, metric in METRICS.items() if metric.direction}


def comparable() -> tuple[str, ...]:
    """The metrics with a paired confidence interval, so that a candidate can be compared with another model by it."""
    return names(lambda metric: metric.has_interval)


def watchable() -> tuple[str, ...]:
    """The metrics that a retraining policy may watch: measured by reports, with an interval to suspect by."""
    return names(lambda metric: metric.in_report and metric.has_interval)


def estimable() -> tuple[str, ...]:
    """The metrics that calibrated scores alone tell."""
    return names(lambda metric: metric.can_be_estimated)


def report_metrics() -> tuple[str, ...]:
    """The numbers of a group of the performance report, in its order."""
    return names(lambda metric: metric.in_report)


def table_metrics() -> tuple[str, ...]:
    """The columns of the performance report's table."""
    return names(lambda metric: metric.in_table)


def headline() -> tuple[str, ...]:
    """The metrics that people look at first, in their order."""
    return tuple(sorted(names(lambda metric: metric.headline > 0), key=lambda name: METRICS[name].headline))


def realisable(task: str) -> tuple[str, ...]:
    """The metrics that labels give the answers of a model: policies can be compared by them over history."""
    return names(lambda metric: metric.source == "scores" and metric.direction != 0 and task in metric.tasks)
