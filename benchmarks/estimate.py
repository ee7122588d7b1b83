"""Estimated performance (CBPE) against the truth, on simulated data; the peer says what the evaluation said.

Each data set is one model's life: it is fitted, evaluated on 5,000 labelled rows, and then scores rows whose labels
come later. The error is |estimated - realised|, so it holds the chance in the labels, which nobody can foresee. Under
concept drift the law between features and label changes and the scores do not show it: the estimate is blind there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.figure import Figure, figures
from benchmarks.process import say
from ml_assets.decisions.estimate import estimate_metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FITTED, EVALUATED, DRAWS, BATCHES = 5000, 5000, 500, 5
METRICS = {"roc_auc": "AUC", "brier": "Brier"}
_WEIGHTS = np.array([1.0, -0.7, 0.4])
_BEND = 0.2
_BASE = -1.8  # about a fifth of the labels are 1


@dataclass(frozen=True)
class Law:
    """How rows come about.

    Args:
        shift: the mean of each feature.
        spread: their standard deviation; less of it makes rows alike and hard to rank.
        turn: 0 = the law that the model was fitted on, 1 = the first two weights have changed places.
        bend: weight of a square and a product that a linear model does not see.
    """

    shift: float = 0.0
    spread: float = 1.0
    turn: float = 0.0
    bend: float = 0.0

    def draw(self, rng: np.random.Generator, rows: int) -> "tuple[Floats, Floats, NDArray[np.bool_]]":
        """Features [n, 3], P(label = 1) [n] and labels [n]."""
        x = rng.normal(self.shift, self.spread, (rows, 3))
        weights = _WEIGHTS + self.turn * (_WEIGHTS[[1, 0, 2]] - _WEIGHTS)
        bent = self.bend * (x[:, 0] ** 2 - 1 + x[:, 0] * x[:, 1])
        truth = 1 / (1 + np.exp(-(_BASE + x @ weights + bent)))
        return x, truth, rng.random(rows) < truth


@dataclass(frozen=True)
class Scenario:
    """One line of the table: how many rows, today's law at random strength, and whether the scores are the truth."""

    name: str
    rows: int
    now: Callable[[np.random.Generator], Law]
    before: Law = Law()
    perfect: bool = False
    miss: float | None = None
    ratio: float | None = None


def _shifted(rng: np.random.Generator, bend: float = 0.0) -> Law:
    return Law(rng.uniform(-0.5, 0.5), rng.uniform(0.5, 1.5), bend=bend)


SCENARIOS = (
    *(Scenario(f"perfectly calibrated, {rows:,} rows", rows, lambda _: Law(), perfect=True, miss=8.0)
      for rows in (500, 5000, 20_000)),
    Scenario("fitted model, nothing changes, 5,000 rows", 5000, lambda _: Law()),
    Scenario("covariate shift, 5,000 rows", 5000, _shifted, ratio=0.5),
    Scenario("covariate shift of a model that misses a term, 5,000 rows", 5000,
             lambda rng: _shifted(rng, _BEND), Law(bend=_BEND)),
    Scenario("concept drift, 5,000 rows", 5000, lambda rng: Law(turn=rng.uniform(0, 0.5))),
)  # fmt: skip


def measure(quick: bool) -> list[Figure]:
    """Error of ROC AUC and Brier score, and how often the 95 % interval misses, for each scenario."""
    sets = 4 if quick else 80
    return [figure for scenario in SCENARIOS for figure in _figures(scenario, sets, quick)]


def _figures(scenario: Scenario, sets: int, quick: bool) -> list[Figure]:
    say(scenario.name)
    lives = [[_life(scenario, 1000 * batch + number) for number in range(sets)] for batch in range(BATCHES)]
    found = []
    for metric, title in METRICS.items():
        ours, peer = ([float(np.mean([life[metric][i] for life in batch])) for batch in lives] for i in (0, 1))
        limit = None if quick else scenario.ratio
        found.append(figures(f"{scenario.name}: mean error", title, ours, peer, limit))
    missed = 100 * np.mean([life["roc_auc"][2] for batch in lives for life in batch])
    limit = None if quick else scenario.miss
    return [
        *found,
        figures(f"{scenario.name}: 95 % intervals of the AUC that miss", "%", [float(missed)], (), limit),
    ]


def _life(scenario: Scenario, seed: int) -> dict[str, tuple[float, float, bool]]:
    """By metric: our error, the peer's, and whether our interval missed."""
    rng = np.random.default_rng(seed)
    score = _model(scenario, rng)
    before, now = (
        law.draw(rng, rows) for law, rows in ((scenario.before, EVALUATED), (scenario.now(rng), scenario.rows))
    )
    evaluated, realised = (_realised(labels, score(x, truth)) for x, truth, labels in (before, now))
    estimated = estimate_metrics(
        score(*now[:2]), seed=seed + 1_000_000, draws=DRAWS
    )  # not the draws that made the rows
    return {
        metric: (
            abs(estimated[metric].estimate - realised[metric]),
            abs(evaluated[metric] - realised[metric]),
            not estimated[metric].low <= realised[metric] <= estimated[metric].high,
        )
        for metric in METRICS
    }


def _model(scenario: Scenario, rng: np.random.Generator) -> "Callable[[Floats, Floats], Floats]":
    """P(label = 1) of features and truth: the truth itself, or a logistic regression that was fitted before."""
    if scenario.perfect:
        return lambda _, truth: truth
    from sklearn.linear_model import LogisticRegression

    x, _, labels = scenario.before.draw(rng, FITTED)
    fitted = LogisticRegression(C=np.inf).fit(x, labels)
    return lambda x, _: np.asarray(fitted.predict_proba(x)[:, 1])


def _realised(labels: "NDArray[np.bool_]", p: "Floats") -> dict[str, float]:
    """scikit-learn's numbers: not the code that estimates."""
    from sklearn.metrics import brier_score_loss, roc_auc_score

    return {"roc_auc": float(roc_auc_score(labels, p)), "brier": float(brier_score_loss(labels, p))}
