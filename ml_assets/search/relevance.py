"""Measures of a ranking: nDCG, reciprocal rank and recall, with confidence intervals over queries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.decisions.interval import Interval
from ml_assets.errors import DataError
from ml_assets.search.fusion import Mode
from ml_assets.search.query import Filters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ml_assets.search.index import SearchIndex

    Floats = NDArray[np.float64]

Judgements = Mapping[str, int]  # grades of the relevant documents by id; whatever is not named has grade 0

_FEWEST = 10  # queries; with fewer, draws repeat and the interval is far too short


@dataclass(frozen=True)
class JudgedQuestion:
    """A question and what its answers are worth.

    Args:
        text: as a person would type it.
        judgements: grade 3 is what was meant, 2 is closely related, 1 is about the same thing.
        kind: what sort of question it is, to tell results apart.
        filters: what was chosen beside the text.
    """

    text: str
    judgements: Judgements
    kind: str = ""
    filters: Filters = field(default_factory=Filters)


def ndcg(ranked: Sequence[str], judgements: Judgements, k: int = 10) -> float:
    """Normalized discounted cumulative gain of the first k, 0 to 1.

    Järvelin & Kekäläinen (2002), Cumulated gain-based evaluation of IR techniques, ACM TOIS 20, with the gain
    2^grade - 1 and the discount log2(rank + 1) of Burges et al. (2005).

    Args:
        ranked: document ids, best first, each once.
        judgements: grades above zero by document id.
        k: how far down a reader looks.

    >>> round(ndcg(["b", "a"], {"a": 1}), 3)
    0.631

    Raises:
        DataError: nothing is relevant, so that no ranking is better than another; or an impossible grade or k.
    """
    _require(ranked, judgements, k)
    best = sorted(judgements.values(), reverse=True)
    return _gain([judgements.get(name, 0) for name in ranked[:k]]) / _gain(best[:k])


def reciprocal_rank(ranked: Sequence[str], judgements: Judgements, k: int = 10) -> float:
    """1 / the rank of the first document with the highest grade; 0 where it is not among the first k.

    Raises:
        DataError: as `ndcg`.
    """
    _require(ranked, judgements, k)
    most = max(judgements.values())
    places = (place for place, name in enumerate(ranked[:k], 1) if judgements.get(name, 0) == most)
    return 1 / next(places, float("inf"))


def recall(ranked: Sequence[str], judgements: Judgements, k: int = 10) -> float:
    """The share of the relevant documents that is among the first k, of as many as there is room for.

    Raises:
        DataError: as `ndcg`.
    """
    _require(ranked, judgements, k)
    return sum(name in judgements for name in ranked[:k]) / min(k, len(judgements))


METRICS: Mapping[str, Callable[[Sequence[str], Judgements, int], float]] = {
    "ndcg": ndcg,
    "mrr": reciprocal_rank,
    "recall": recall,
}


@dataclass(frozen=True, eq=False)
class RelevanceEvaluation:
    """What each query was answered with.

    Args:
        mode: the parts of the search that answered.
        kinds: of each query.
        values: by metric, one number for each query.
    """

    mode: Mode
    kinds: Sequence[str]
    values: Mapping[str, "Floats"]

    def mean(self, metric: str, *, kind: str | None = None, seed: int = 0) -> Interval:
        """The mean over queries, of one kind or of all.

        Raises:
            DataError: fewer than ten queries.
        """
        return interval(self.of(metric, kind), seed=seed)

    def minus(self, other: "RelevanceEvaluation", metric: str, *, kind: str | None = None, seed: int = 0) -> Interval:
        """The mean of the differences to another evaluation of the same queries.

        Args:
            other: the evaluation that is subtracted.
            metric: of each query.
            kind: of the queries that count; None for all.
            seed: of the bootstrap.

        Raises:
            DataError: they are not of the same queries, or fewer than ten.
        """
        if self.kinds != other.kinds:
            raise DataError(f"{len(self.kinds)} queries against {len(other.kinds)} others: evaluate both on the same")
        return interval(self.of(metric, kind) - other.of(metric, kind), seed=seed)

    def of(self, metric: str, kind: str | None) -> "Floats":
        """The values of the queries of one kind, or of all."""
        mask = [kind is None or each == kind for each in self.kinds]
        return np.asarray(self.values[metric][np.array(mask, bool)])


def evaluate(
    index: "SearchIndex", queries: Sequence[JudgedQuestion], *, mode: Mode = "hybrid", k: int = 10
) -> RelevanceEvaluation:
    """Ask every query and measure the answers, without boosts by class or age.

    Args:
        index: to ask.
        queries: with their judgements.
        mode: `hybrid`, or one part alone.
        k: how far down a reader looks.

    Raises:
        DataError: a query without a relevant document.
    """
    answers = [index.ids(query.text, filters=query.filters, mode=mode) for query in queries]
    values = {
        name: np.array(
            [metric(*pair, k) for pair in zip(answers, (query.judgements for query in queries), strict=True)]
        )
        for name, metric in METRICS.items()
    }
    return RelevanceEvaluation(mode, tuple(query.kind for query in queries), values)


def interval(values: "Floats", *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0) -> Interval:
    """The mean and its percentile bootstrap interval: queries are drawn with replacement (Efron & Tibshirani 1993).

    Args:
        values: one for each query, [queries].
        resamples: how often the queries are drawn.
        confidence: the share of such intervals that hold the true mean.
        seed: of the draws.

    Raises:
        DataError: fewer than ten queries.
    """
    if len(values) < _FEWEST:
        raise DataError(f"{len(values)} queries say nothing about others: an interval needs at least {_FEWEST}")
    from scipy.stats import bootstrap  # half a second: only where relevance is measured

    draws = bootstrap(
        (values,), np.mean, n_resamples=resamples, confidence_level=confidence, method="percentile",
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    low, high = draws.confidence_interval
    return Interval(float(values.mean()), float(low), float(high))


def _gain(grades: Sequence[int]) -> float:
    ranks = np.arange(1, len(grades) + 1)
    return float(((2.0 ** np.array(grades, np.float64) - 1) / np.log2(ranks + 1)).sum())


def _require(ranked: Sequence[str], judgements: Judgements, k: int) -> None:
    if not judgements or min(judgements.values()) < 1:
        raise DataError(
            f"judgements {dict(judgements)}: name at least one relevant document, with a grade of 1 or more"
        )
    if k < 1:
        raise DataError(f"k is {k}: look at 1 document or more")
    if len(set(ranked)) < len(ranked):
        raise DataError(f"a ranking of {len(ranked)} names a document twice: each may stand in it once")
