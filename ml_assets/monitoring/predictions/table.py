"""The contents of a prediction report, and its table in the lake. `report.py` computes it."""

from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ml_assets.monitoring.predictions.class_mix import Compared
from ml_assets.monitoring.predictions.missing import Share
from ml_assets.monitoring.predictions.traffic import Served
from ml_assets.spec.names import REVIEW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """A bin of scores: the share of entities in it, now and in the reference."""

    low: float
    high: float
    share: float
    reference: float


@dataclass(frozen=True)
class Scores:
    """How scores lie: mean, quantiles, and the share from the decision threshold on (None without an evaluation)."""

    mean: float
    p10: float
    p50: float
    p90: float
    acted: float | None

    @classmethod
    def of(cls, p: "Floats", threshold: float | None) -> "Scores":
        """Those of a vector, shape [n], n ≥ 1."""
        p10, p50, p90 = np.quantile(p, [0.1, 0.5, 0.9]).tolist()
        acted = None if threshold is None else float(np.mean(p >= threshold))
        return cls(float(np.mean(p)), p10, p50, p90, acted)


@dataclass(frozen=True)
class PredictionReport:
    """The predictions of an as-of date in numbers; a number that cannot be had is None.

    Args:
        as_of: `T`.
        rows: entities scored.
        rows_before: at the as-of date before.
        rows_change: relative to that; -0.1 is a tenth fewer.
        model_version: the version that scored.
        scores: of the entities.
        reference: of the version's test rows, by the artifact that was not fitted on them.
        threshold: the score from which on acting was cheapest in the evaluation.
        base_rate: of the latest mature labels.
        base_rate_of: their as-of date.
        missing_share: the mean of `missing`: of all feature values, those without a finite number or text.
        stale_share: the mean of `stale`.
        missing: by feature.
        stale: by feature view, the share of entities of which the view says nothing at `T`; of all of them where its
            sources have brought nothing for as long as its TTL.
        histogram: of the scores, in bins of equal width.
        classes, review_share, reference_review_share: of a model of several classes, see `mix.Named`.
        unseen, unseen_share, reference_unseen_share: of a model of running text, see `mix.Unseen`.
        requests, …, served_stale_share: what was served while `T` was due, see `traffic.Served`.
        reason: why there are no numbers.
        reused: the report stood already.
        table_version: of `<folder>/prediction_report`.
    """

    as_of: date
    rows: int = 0
    rows_before: int | None = None
    rows_change: float | None = None
    model_version: int | None = None
    scores: Scores | None = None
    reference: Scores | None = None
    threshold: float | None = None
    base_rate: float | None = None
    base_rate_of: date | None = None
    missing_share: float | None = None
    stale_share: float | None = None
    missing: tuple[Share, ...] = ()
    stale: tuple[Share, ...] = ()
    histogram: tuple[Bin, ...] = ()
    classes: tuple[Compared, ...] = ()
    review_share: float | None = None
    reference_review_share: float | None = None
    unseen: tuple[Compared, ...] = ()
    unseen_share: float | None = None
    reference_unseen_share: float | None = None
    requests: int | None = None
    refused_rate: float | None = None
    error_rate: float | None = None
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    served: int | None = None
    served_missing_share: float | None = None
    served_stale_share: float | None = None
    reason: str | None = None
    reused: bool = False
    table_version: int | None = None

    def metadata(self) -> dict[str, Any]:
        """The numbers, flat, as Dagster plots them; what is not known is left out."""
        names = (
            "rows", "rows_before", "rows_change", "model_version", "threshold", "base_rate", "missing_share",
            "stale_share", "review_share", "reference_review_share", "unseen_share", "reference_unseen_share",
            *(field.name for field in fields(Served)), "reason",
        )  # fmt: skip
        numbers = {name: getattr(self, name) for name in names}
        for name, scores in (("score", self.scores), ("reference", self.reference)):
            numbers |= {f"{name}_{key}": value for key, value in (asdict(scores) if scores else {}).items()}
        numbers |= {f"predicted_{each.name}": each.share for each in self.classes}
        numbers["base_rate_of"] = self.base_rate_of and str(self.base_rate_of)
        return {name: value for name, value in numbers.items() if value is not None}

    def table(self) -> list[dict[str, Any]]:
        """One row for each feature and view, for a Markdown table; before them classes and text, with a reference."""
        rows = [_row(each, "predicted") for each in self.classes]
        if self.review_share is not None:
            rows.append(_row(Compared(REVIEW, self.review_share, self.reference_review_share), "decision"))
        rows += [_row(each, "unseen words") for each in self.unseen]
        gaps = {"missing values": self.missing, "stale view": self.stale}
        rest = [{"of": each.name, "what": what, "share": each.share} for what, of in gaps.items() for each in of]
        return rows + [row | ({"reference": ""} if rows else {}) for row in rest]

    def plot(self, title: str = "") -> bytes:
        """A PNG: the scores beside the reference, the class mix if there is one, and what is missing or stale."""
        from ml_assets.monitoring.plots import predictions  # matplotlib

        return predictions(self, title)


def _row(of: Compared, what: str) -> dict[str, Any]:
    numbers = {"share": of.share, "reference": of.reference}
    return {"of": of.name, "what": what, **{name: "" if value is None else value for name, value in numbers.items()}}


_SHARES = pa.list_(pa.struct([("name", pa.string()), ("share", pa.float64())]))
_COMPARED = pa.list_(pa.struct([("name", pa.string()), ("share", pa.float64()), ("reference", pa.float64())]))
_SCORES = pa.struct([(field.name, pa.float64()) for field in fields(Scores)])
_KINDS = {
    "as_of": pa.date32(), "base_rate_of": pa.date32(), "reason": pa.string(), "scores": _SCORES, "reference": _SCORES,
    **dict.fromkeys(("missing", "stale"), _SHARES),
    **dict.fromkeys(("classes", "unseen"), _COMPARED),
    **dict.fromkeys(("rows", "rows_before", "model_version", "requests", "served"), pa.int64()),
    "histogram": pa.list_(pa.struct([(field.name, pa.float64()) for field in fields(Bin)])),
}  # fmt: skip
_KEPT = [field.name for field in fields(PredictionReport) if field.name not in {"reused", "table_version"}]
_SCHEMA = pa.schema([(name, _KINDS.get(name, pa.float64())) for name in _KEPT])
_LISTS = {"missing": Share, "stale": Share, "histogram": Bin, "classes": Compared, "unseen": Compared}


def to_table(report: PredictionReport) -> pa.Table:
    """The report as its row in the lake."""
    plain = {name: value for name, value in asdict(report).items() if name in _KEPT}
    return pa.Table.from_pylist([plain], schema=_SCHEMA)


def from_row(kept: dict[str, Any], *, reused: bool, table_version: int | None) -> PredictionReport:
    """The report of a row of the lake; of a number that came later, an old row says nothing."""
    lists = {name: tuple(kind(**each) for each in kept.get(name) or ()) for name, kind in _LISTS.items()}
    scores = {name: None if kept[name] is None else Scores(**kept[name]) for name in ("scores", "reference")}
    return PredictionReport(**(kept | lists | scores), reused=reused, table_version=table_version)
