"""A candidate on its test rows, measured and drawn: by its score where the label is 0 or 1, else by the named class."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ml_assets.spec.model import ModelSpec
from ml_assets.training.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from ml_assets.training.task.binary import Evaluation

    Floats = NDArray[np.float64]
    Slices = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Candidate:
    """What is judged, and on what.

    Args:
        spec: the declaration.
        classes: the values of a label of several; else none.
        train: rows that it was fitted on.
        test: rows that it was not.
        predict: the probability of each class of each row, [n, classes].
    """

    spec: ModelSpec
    classes: tuple[str, ...]
    train: Frame
    test: Frame
    predict: "Callable[[pd.DataFrame], Floats]"

    def judged(self, slices: "Slices", others: "Mapping[str, Floats]", title: str) -> "tuple[Evaluation, bytes]":
        """The evaluation beside a baseline and `others`, and its picture.

        Args:
            slices: by name, the value of each test row, [n].
            others: by name, the probabilities that others give the test rows, [n, classes].
            title: of the picture.
        """
        judge = self._several if self.classes else self._two
        return judge(slices, others, title)

    def _two(self, slices: "Slices", others: "Mapping[str, Floats]", title: str) -> "tuple[Evaluation, bytes]":
        from ml_assets.training.baseline import baseline  # scikit-learn
        from ml_assets.training.explain import importance
        from ml_assets.training.metrics import curves
        from ml_assets.training.task.binary import Costs, evaluate
        from ml_assets.training.task.binary_plots import figure

        train, test, spec = self.train, self.test, self.spec
        p, costs = self._score(test.X), Costs(**spec.costs.model_dump())
        best, alone = baseline(train, test.X)
        theirs = {"baseline": alone, **{name: said[:, 1] for name, said in others.items()}}
        leaned = importance(self._score, test.X, test.y, seed=spec.seed)
        made = evaluate(
            test.y, p, test.groups, slices=slices, costs=costs, other=theirs, seed=spec.seed, importance=leaned
        )
        drawn = {name: curves(test.y, said) for name, said in {"candidate": p, **theirs}.items()}
        return replace(made, baseline=best.as_dict()), figure(drawn, leaned, title)

    def _several(self, slices: "Slices", others: "Mapping[str, Floats]", title: str) -> "tuple[Evaluation, bytes]":
        from ml_assets.training.explain import importance
        from ml_assets.training.task.multiclass import ClassPredictions, baseline, evaluate  # scikit-learn
        from ml_assets.training.task.multiclass_plots import figure

        test, seed = self.test, self.spec.seed
        named = ClassPredictions.of(self.predict(test.X))
        theirs = {"baseline": baseline(self.train.y, len(test.y))}
        theirs |= {name: ClassPredictions.of(said) for name, said in others.items()}
        leaned = importance(self._code, test.X, test.y, seed=seed, metric=_accuracy)
        made = evaluate(
            test.y, named, test.groups, classes=self.classes, review_below=self.spec.serve.review_below, slices=slices,
            others=theirs, seed=seed, importance=leaned,
        )  # fmt: skip
        return made, figure(test.y, {"candidate": named, **theirs}, self.classes, leaned, title)

    def _score(self, X: "pd.DataFrame") -> "Floats":  # noqa: N803 - scikit-learn's name
        return self.predict(X)[:, 1]

    def _code(self, X: "pd.DataFrame") -> "Floats":  # noqa: N803 - scikit-learn's name
        code: Floats = self.predict(X).argmax(axis=1).astype("float64")
        return code


def _accuracy(y: "NDArray[np.generic]", code: "Floats") -> float:
    return float((y == code).mean())
