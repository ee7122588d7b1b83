"""The tasks that there are: a label 0 or 1, and a label of several classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from ml_assets.decisions.metric import BINARY, MULTICLASS
from ml_assets.errors import list_values
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.names import REVIEW
from ml_assets.storage.duck import literal
from ml_assets.training import bootstrap, metrics
from ml_assets.training.evaluation import Evaluation
from ml_assets.training.explain import Importance, importance
from ml_assets.training.frame import Frame
from ml_assets.training.task import group_metrics, multiclass
from ml_assets.training.task.multiclass import ClassPredictions
from ml_assets.training.task.task import Candidate, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from ml_assets.decisions.entity_sums import EntityRatio
    from ml_assets.training.baseline import Baseline
    from ml_assets.training.task.task import Floats, Labels, Predict, Slices


def task_of(classes: Sequence[str]) -> Task:
    """The task of a label with these classes.

    >>> task_of(()).name, task_of(("lease", "amendment", "other")).name
    ('binary', 'multiclass')
    """
    return Multiclass(tuple(classes)) if classes else Binary()


@dataclass(frozen=True)
class Binary(Task):
    """A label 0 or 1: a model says P(label = 1)."""

    name: ClassVar[str] = BINARY
    objective: ClassVar[str] = "roc_auc"
    names_classes: ClassVar[bool] = False
    classes: tuple[str, ...] = ()

    @property
    def expected_labels(self) -> str:
        """See `Task`."""
        return "0 and 1"

    def score(self, p: "Floats") -> "Floats":
        """P(label = 1)."""
        return p[:, 1]

    def outcome(self, y: "Labels", p: "Floats") -> "Floats":  # noqa: ARG002 - the label is what came true
        """The label."""
        return y.astype(np.float64)

    def answer_columns(self, p: "Floats", review_below: float, familiar: "NDArray[np.bool_]") -> dict[str, pa.Array]:  # noqa: ARG002 - nothing goes to review
        """`score`."""
        return {"score": pa.array(self.score(p), pa.float64())}

    def outcome_sql(self, label: str, predicted: str) -> str:  # noqa: ARG002 - no class is named
        """See `Task`."""
        return f"{label}::DOUBLE"

    def reviewed_sql(self, value: str, predicted: str) -> str:  # noqa: ARG002 - no class is named
        """See `Task`."""
        return f"TRY_CAST({value} AS DOUBLE)"

    def validate(self, model: Any, rows: Frame) -> float:  # noqa: ANN401 - a scikit-learn classifier
        """ROC AUC."""
        from sklearn.metrics import roc_auc_score  # 2 s

        return float(roc_auc_score(rows.y, model.predict_proba(rows.X)[:, 1]))

    def threshold(self, y: "Labels", p: "Floats", spec: ModelSpec) -> float:
        """By the costs that a folder declares."""
        return metrics.threshold(y, self.score(p), spec.costs.false_positive, spec.costs.false_negative)

    def evaluated_threshold(self, evaluation: Evaluation) -> float:
        """See `Task`."""
        return evaluation.threshold

    def evaluated_metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """With `accuracy` at the threshold."""
        counts = evaluation.confusion
        return {**evaluation.metrics, "accuracy": (counts["tp"] + counts["tn"]) / sum(counts.values())}

    def measure(self, y: "Labels", p: "Floats", threshold: float) -> dict[str, float]:
        """With `accuracy` at the threshold."""
        return self.scores(y, p) | {"accuracy": float(((self.score(p) >= threshold) == y).mean())}

    def baseline(self, candidate: Candidate) -> "tuple[Floats, Baseline | None]":
        """The best single feature."""
        from ml_assets.training.baseline import baseline  # scikit-learn

        best, alone = baseline(candidate.train, candidate.test.X)
        return np.stack([1 - alone, alone], axis=1), best

    @property
    def compared_metrics(self) -> tuple[str, ...]:
        """See `Task`."""
        return bootstrap.compared_metrics()

    def compared_model(self, y: "Labels", p: "Floats", entities: bootstrap.Clusters) -> bootstrap.ScoredModel:
        """See `Task`."""
        return bootstrap.ScoredModel.of(*metrics.checked_scores(y, self.score(p)), entities)

    def importance(self, predict: "Predict", rows: Frame, seed: int) -> dict[str, Importance]:
        """By the loss of ROC AUC."""
        return importance(lambda features: self.score(predict(features)), rows.X, rows.y, seed=seed)

    def scores(self, y: "Labels", p: "Floats") -> dict[str, float]:
        """See `Task`."""
        return metrics.scores(y, self.score(p))

    def consequences(self, y: "Labels", p: "Floats", spec: ModelSpec) -> tuple[float, float, dict[str, int]]:
        """At the cheapest threshold on these rows."""
        threshold = self.threshold(y, p, spec)
        counts = metrics.confusion(y, self.score(p), threshold)
        cost = spec.costs.false_positive * counts["fp"] + spec.costs.false_negative * counts["fn"]
        return threshold, cost / len(y), counts

    def slices(self, y: "Labels", p: "Floats", declared: "Slices") -> dict[str, dict[str, dict[str, float]]]:
        """See `Task`."""
        return {name: metrics.by_slice(y, self.score(p), values) for name, values in declared.items()}

    def entity_ratios(
        self, y: "Labels", p: "Floats", entities: bootstrap.Clusters, threshold: float
    ) -> "tuple[list[EntityRatio], NDArray[np.bool_]]":
        """See `Task`: of what is selected, from the threshold on."""
        return group_metrics.of_scores(self.outcome(y, p), self.score(p), entities, threshold)

    def figure(self, candidate: Candidate, models: "Mapping[str, Floats]", importance: dict[str, Importance]) -> bytes:
        """Ranking, calibration, gains and importance."""
        from ml_assets.training.task.binary_plots import figure

        curves = {name: metrics.curves(candidate.test.y, self.score(p)) for name, p in models.items()}
        return figure(curves, importance, candidate.title)

    def bands(self, declared: "Mapping[str, float]", evaluation: Evaluation) -> "Mapping[str, float]":
        """Those that are declared; else `yes` from the threshold on."""
        threshold = self.evaluated_threshold(evaluation)
        return declared or ({"no": 0.0, "yes": threshold} if threshold > 0 else {"yes": 0.0})


@dataclass(frozen=True)
class Multiclass(Task):
    """A label of several classes: a model names the most probable one, and its probability is how sure it is."""

    classes: tuple[str, ...]
    name: ClassVar[str] = MULTICLASS
    objective: ClassVar[str] = "accuracy"
    names_classes: ClassVar[bool] = True

    @property
    def expected_labels(self) -> str:
        """See `Task`."""
        return f"two or more of {list_values(self.classes, 8)}"

    def score(self, p: "Floats") -> "Floats":
        """The probability of the most probable class."""
        return np.asarray(p.max(axis=1))

    def outcome(self, y: "Labels", p: "Floats") -> "Floats":
        """Whether the named class is the true one."""
        return np.asarray(p.argmax(axis=1) == y, np.float64)

    def answer_columns(self, p: "Floats", review_below: float, familiar: "NDArray[np.bool_]") -> dict[str, pa.Array]:
        """`score`, `predicted`, the most probable class, and `decision`, the same if it is sure enough."""
        sure = (self.score(p) >= review_below) & familiar
        names = [self.classes[number] for number in p.argmax(axis=1)]
        decided = [name if certain else REVIEW for name, certain in zip(names, sure, strict=True)]
        return {
            "score": pa.array(self.score(p), pa.float64()),
            "predicted": pa.array(names, pa.string()),
            "decision": pa.array(decided, pa.string()),
        }

    def outcome_sql(self, label: str, predicted: str) -> str:
        """See `Task`."""
        return f"({label} = {predicted})::DOUBLE"

    def reviewed_sql(self, value: str, predicted: str) -> str:
        """See `Task`."""
        classes = ", ".join(literal(name) for name in self.classes)
        return f"CASE WHEN {value} ->> '$' IN ({classes}) THEN ({value} ->> '$' = {predicted})::DOUBLE END"

    def validate(self, model: Any, rows: Frame) -> float:  # noqa: ANN401 - a scikit-learn classifier
        """Accuracy."""
        from sklearn.metrics import accuracy_score  # 2 s

        return float(accuracy_score(rows.y, model.predict(rows.X)))

    def threshold(self, y: "Labels", p: "Floats", spec: ModelSpec) -> float:  # noqa: ARG002 - of any rows
        """0: each answer is right or wrong, however sure it was."""
        return 0.0

    def evaluated_threshold(self, evaluation: Evaluation) -> float:  # noqa: ARG002 - of any evaluation
        """0, as `threshold`."""
        return 0.0

    def evaluated_metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """See `Task`."""
        return dict(evaluation.metrics)

    def measure(self, y: "Labels", p: "Floats", threshold: float) -> dict[str, float]:  # noqa: ARG002 - see `threshold`
        """See `Task`."""
        return self.scores(y, p)

    def baseline(self, candidate: Candidate) -> "tuple[Floats, Baseline | None]":
        """The share of each class of the train rows, so the most frequent one is named."""
        counts = np.bincount(candidate.train.y, minlength=len(self.classes))
        return np.tile(counts / counts.sum(), (len(candidate.test.y), 1)), None

    @property
    def compared_metrics(self) -> tuple[str, ...]:
        """See `Task`."""
        return multiclass.compared_metrics()

    def compared_model(self, y: "Labels", p: "Floats", entities: bootstrap.Clusters) -> multiclass.ClassModel:
        """See `Task`."""
        return multiclass.ClassModel.of(y, ClassPredictions.of(p), entities)

    def importance(self, predict: "Predict", rows: Frame, seed: int) -> dict[str, Importance]:
        """By the loss of accuracy."""

        def code(X: "pd.DataFrame") -> "Floats":  # noqa: N803 - scikit-learn's name
            return np.asarray(predict(X).argmax(axis=1), np.float64)

        return importance(code, rows.X, rows.y, seed=seed, metric=lambda y, named: float((y == named).mean()))

    def scores(self, y: "Labels", p: "Floats") -> dict[str, float]:
        """See `Task`."""
        return multiclass.scores(y, ClassPredictions.of(p))

    def consequences(self, y: "Labels", p: "Floats", spec: ModelSpec) -> tuple[float, float, dict[str, int]]:
        """The confidence from which on a row is answered, and the share of errors if each one were."""
        predicted = ClassPredictions.of(p)
        cost = 1 - multiclass.scores(y, predicted)["accuracy"]
        return spec.serve.review_below, cost, multiclass.confusion(y, predicted.code, self.classes)

    def slices(self, y: "Labels", p: "Floats", declared: "Slices") -> dict[str, dict[str, dict[str, float]]]:
        """Those that are declared, and the true classes, as `class`."""
        slices = {
            name: metrics.slices(values, lambda rows: self.scores(y[rows], p[rows]))
            for name, values in declared.items()
        }
        return {**slices, "class": multiclass.by_class(y, ClassPredictions.of(p).code, self.classes)}

    def entity_ratios(
        self, y: "Labels", p: "Floats", entities: bootstrap.Clusters, threshold: float
    ) -> "tuple[list[EntityRatio], NDArray[np.bool_]]":
        """See `Task`: of what is named, and what goes to review."""
        return group_metrics.of_classes(self.outcome(y, p), self.score(p), entities, threshold)

    def figure(self, candidate: Candidate, models: "Mapping[str, Floats]", importance: dict[str, Importance]) -> bytes:
        """Confusion, calibration, coverage and importance."""
        from ml_assets.training.task.multiclass_plots import figure

        predicted = {name: ClassPredictions.of(p) for name, p in models.items()}
        return figure(candidate.test.y, predicted, self.classes, importance, candidate.title)

    def bands(self, declared: "Mapping[str, float]", evaluation: Evaluation) -> "Mapping[str, float]":  # noqa: ARG002 - an answer names a class
        """None."""
        return {}
