"""A task is a kind of label: how a model of it is scored, evaluated, compared, drawn, and how its labels read.

A further task (regression) is one more object of this interface, returned by `tasks.task_of`; nothing else asks which
task it is. Everywhere `p` is what a model says of rows: the probability of each class, [n, classes].
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ml_assets.spec.model import ModelSpec
from ml_assets.training.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from ml_assets.decisions.entity_sums import EntityRatio
    from ml_assets.decisions.interval import Interval
    from ml_assets.training.baseline import Baseline
    from ml_assets.training.bootstrap import Clusters, ComparedModel
    from ml_assets.training.evaluation import Evaluation
    from ml_assets.training.explain import Importance

    Floats = NDArray[np.float64]
    Labels = NDArray[np.int64]
    Predict = Callable[[pd.DataFrame], Floats]
    Slices = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Candidate:
    """A candidate with the rows and the opponents that it is evaluated on.

    Args:
        spec: the declaration.
        train: rows that it was fitted on.
        test: rows that it was not.
        predict: gives `p` of a DataFrame of features.
        slices: by name, the value of each test row, [n].
        others: by name, the `p` that others give the test rows, [n, classes].
        title: of the picture.
        resamples: of the bootstrap.
    """

    spec: ModelSpec
    train: Frame
    test: Frame
    predict: "Predict"
    slices: "Slices" = field(default_factory=dict)
    others: "Mapping[str, Floats]" = field(default_factory=dict)
    title: str = ""
    resamples: int = 1000


class Task(ABC):
    """One kind of label; `y` are its integers, [n], as `frame.labels` makes them."""

    name: ClassVar[str]
    """As `decisions.metric` knows it."""
    objective: ClassVar[str]
    """The metric of validation rows that a search of parameters raises."""
    names_classes: ClassVar[bool]
    """Whether an answer names a class and may go to review, and a label may be null, which says that nobody knows it;
    else an answer is a score, and labels have one base rate."""
    classes: tuple[str, ...]
    """The names of the classes; none where a label is 0 or 1."""

    @property
    @abstractmethod
    def expected_labels(self) -> str:
        """The values that labels must have, for an error message."""

    @abstractmethod
    def score(self, p: "Floats") -> "Floats":
        """The one number of each row that is kept and drawn, [n]."""

    @abstractmethod
    def outcome(self, y: "Labels", p: "Floats") -> "Floats":
        """The event that `score` is the probability of: 1 where it came true, else 0, [n]."""

    @abstractmethod
    def answer_columns(self, p: "Floats", review_below: float, familiar: "NDArray[np.bool_]") -> "dict[str, pa.Array]":
        """The columns of batch predictions.

        Args:
            p: of the rows, [n, classes].
            review_below: the confidence below which a row goes to review.
            familiar: whether the model knows enough of the row's words to be trusted, [n].
        """

    @abstractmethod
    def outcome_sql(self, label: str, predicted: str) -> str:
        """`outcome` as SQL, of a column of labels and one of named classes; null where the label is."""

    @abstractmethod
    def reviewed_sql(self, value: str, predicted: str) -> str:
        """`outcome` as SQL, of an outcome that was reported as JSON; null where its value is no label."""

    @abstractmethod
    def validate(self, model: Any, rows: Frame) -> float:  # noqa: ANN401 - a scikit-learn classifier
        """`objective` of a fitted classifier."""

    @abstractmethod
    def threshold(self, y: "Labels", p: "Floats", spec: ModelSpec) -> float:
        """The score from which on acting is cheapest on these rows."""

    @abstractmethod
    def evaluated_threshold(self, evaluation: "Evaluation") -> float:
        """The same as an evaluation kept it."""

    @abstractmethod
    def evaluated_metrics(self, evaluation: "Evaluation") -> dict[str, float]:
        """The metrics of an evaluation, those at its threshold included."""

    @abstractmethod
    def measure(self, y: "Labels", p: "Floats", threshold: float) -> dict[str, float]:
        """Every metric of `decisions.metric.realisable`.

        Raises:
            TrainingError: they are not defined for these rows.
        """

    @abstractmethod
    def baseline(self, candidate: Candidate) -> "tuple[Floats, Baseline | None]":
        """`p` of the test rows by what a model must beat, [n, classes]; and the feature, where it is a single one."""

    @abstractmethod
    def compared_model(self, y: "Labels", p: "Floats", entities: "Clusters") -> "ComparedModel":
        """A model on labelled rows, summed by entity, as the bootstrap takes it."""

    @property
    @abstractmethod
    def compared_metrics(self) -> "tuple[str, ...]":
        """The metrics by which two models are compared."""

    def compare(
        self, y: "Labels", mine: "Floats", theirs: "Floats", groups: "NDArray[Any]", *,
        metrics: "Sequence[str] | None" = None, resamples: int = 1000, seed: int,
    ) -> "dict[str, Interval]":  # fmt: skip
        """Metrics of `mine` minus those of `theirs` on the same rows, by the paired cluster bootstrap.

        Args:
            y: labels, [n].
            mine: `p` of one model, [n, classes].
            theirs: `p` of the other, [n, classes].
            groups: the entity of each row, [n].
            metrics: which; default: all that have an interval.
            resamples: how often entities are drawn.
            seed: of the draws.

        Raises:
            TrainingError: too few entities, or draws without two classes.
        """
        from ml_assets.training.bootstrap import clusters, paired_intervals

        entities = clusters(groups, len(y))
        models = [self.compared_model(y, p, entities) for p in (mine, theirs)]
        return paired_intervals(models, metrics or self.compared_metrics, resamples=resamples, seed=seed)

    @abstractmethod
    def importance(self, predict: "Predict", rows: Frame, seed: int) -> "dict[str, Importance]":
        """The importance of each feature for a model (`explain.importance`)."""

    def evaluate(self, candidate: Candidate) -> "tuple[Evaluation, bytes]":
        """The evaluation beside a baseline and the candidate's `others`, and its picture, a PNG."""
        p, (baseline, best) = candidate.predict(candidate.test.X), self.baseline(candidate)
        models = {"candidate": p, "baseline": baseline, **candidate.others}
        importance = self.importance(candidate.predict, candidate.test, candidate.spec.seed)
        evaluation = replace(self.judge(candidate, models, importance), baseline=best)
        return evaluation, self.figure(candidate, models, importance)

    def judge(
        self, candidate: Candidate, models: "Mapping[str, Floats]", importance: "dict[str, Importance]"
    ) -> "Evaluation":
        """The evaluation of the first of some models beside the others; `models` has their `p` of the test rows."""
        from ml_assets.training.evaluation import Evaluation

        rows, spec, ((_, p), *others) = candidate.test, candidate.spec, models.items()
        threshold, cost, confusion = self.consequences(rows.y, p, spec)
        return Evaluation(
            rows=len(rows.y),
            entities=len(np.unique(rows.groups)),
            metrics=self.scores(rows.y, p),
            threshold=threshold,
            cost=cost,
            confusion=confusion,
            slices=self.slices(rows.y, p, candidate.slices),
            others={name: self.scores(rows.y, theirs) for name, theirs in others},
            intervals={
                name: self.compare(rows.y, p, theirs, rows.groups, resamples=candidate.resamples, seed=spec.seed)
                for name, theirs in others
            },
            importance=importance,
        )

    @abstractmethod
    def scores(self, y: "Labels", p: "Floats") -> dict[str, float]:
        """The metrics of an evaluation, and `rows`.

        Raises:
            TrainingError: they are not defined for these rows.
        """

    @abstractmethod
    def consequences(self, y: "Labels", p: "Floats", spec: ModelSpec) -> tuple[float, float, dict[str, int]]:
        """The threshold from which on a row is acted on, the mean cost of a row there, and the counts of outcomes."""

    @abstractmethod
    def slices(self, y: "Labels", p: "Floats", declared: "Slices") -> dict[str, dict[str, dict[str, float]]]:
        """By slice and value, the metrics of the rows."""

    @abstractmethod
    def entity_ratios(
        self, y: "Labels", p: "Floats", entities: "Clusters", threshold: float
    ) -> "tuple[list[EntityRatio], NDArray[np.bool_]]":
        """The metrics by which groups of entities are compared, and whether an entity has each kind of label.

        Args:
            y: labels, [n].
            p: of the rows, [n, classes].
            entities: of the rows.
            threshold: of an evaluation.
        """

    @abstractmethod
    def figure(
        self, candidate: Candidate, models: "Mapping[str, Floats]", importance: "dict[str, Importance]"
    ) -> bytes:
        """A picture, a PNG, of models, the candidate first."""

    @abstractmethod
    def bands(self, declared: "Mapping[str, float]", evaluation: "Evaluation") -> "Mapping[str, float]":
        """The names of decisions with the score that each begins at; none where an answer names a class."""
