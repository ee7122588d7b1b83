"""A task is a kind of label: how a model of it is scored, evaluated, compared, drawn, and how its labels read.

A further task (regression) is one more object of this interface, returned by `tasks.task_of`; nothing else asks which
task it is. Everywhere `p` is what a model says of rows: the probability of each class, [n, classes].
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ml_assets.spec.model import ModelSpec
from ml_assets.training.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from ml_assets.decisions.interval import Interval
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
    """

    spec: ModelSpec
    train: Frame
    test: Frame
    predict: "Predict"
    slices: "Slices" = field(default_factory=dict)
    others: "Mapping[str, Floats]" = field(default_factory=dict)
    title: str = ""


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
    def baseline(self, candidate: Candidate) -> "Floats":
        """`p` of the test rows by what a model must beat, [n, classes]."""

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

    @abstractmethod
    def evaluate(self, candidate: Candidate) -> "tuple[Evaluation, bytes]":
        """The evaluation beside a baseline and the candidate's `others`, and its picture, a PNG."""

    @abstractmethod
    def bands(self, declared: "Mapping[str, float]", evaluation: "Evaluation") -> "Mapping[str, float]":
        """The names of decisions with the score that each begins at; none where an answer names a class."""
