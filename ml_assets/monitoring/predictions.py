"""The prediction report of an as-of date: how many were scored, how the scores lie, what was lacking, what was served.

Whether scores or features moved beyond chance is the drift report's question; here stand the shares themselves.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ml_assets.features.store import fingerprints, refresh
from ml_assets.lake import Lake, fingerprint_of
from ml_assets.monitoring import gaps
from ml_assets.monitoring.evaluated import tested
from ml_assets.monitoring.gaps import Share
from ml_assets.monitoring.traffic import Served, served
from ml_assets.registry import Registry, Version
from ml_assets.training.dataset import known_until
from ml_assets.training.folder import Folder
from ml_assets.training.record import Record, record
from ml_assets.training.report import REPORT
from ml_assets.training.score import prints, rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_ENGINE = 2  # raised when the same rows give other numbers: all reports are then made anew
_BINS = 20


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
    """What was predicted at an as-of date; a number that cannot be had is None.

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
            "stale_share", *(field.name for field in fields(Served)), "reason",
        )  # fmt: skip
        found = {name: getattr(self, name) for name in names}
        for name, scores in (("score", self.scores), ("reference", self.reference)):
            found |= {f"{name}_{key}": value for key, value in (asdict(scores) if scores else {}).items()}
        found["base_rate_of"] = self.base_rate_of and str(self.base_rate_of)
        return {name: value for name, value in found.items() if value is not None}

    def table(self) -> list[dict[str, Any]]:
        """One row for each feature and view, for a Markdown table."""
        found = [{"of": each.name, "what": "missing values", "share": each.share} for each in self.missing]
        return found + [{"of": each.name, "what": "stale view", "share": each.share} for each in self.stale]

    def plot(self, title: str = "") -> bytes:
        """A PNG: the scores beside the reference, and what is missing or stale."""
        from ml_assets.monitoring.plots import predictions  # matplotlib

        return predictions(self, title)


_SHARES = pa.list_(pa.struct([("name", pa.string()), ("share", pa.float64())]))
_SCORES = pa.struct([(field.name, pa.float64()) for field in fields(Scores)])
_KINDS = {
    "as_of": pa.date32(), "base_rate_of": pa.date32(), "reason": pa.string(), "scores": _SCORES, "reference": _SCORES,
    **dict.fromkeys(("missing", "stale"), _SHARES),
    **dict.fromkeys(("rows", "rows_before", "model_version", "requests", "served"), pa.int64()),
    "histogram": pa.list_(pa.struct([(field.name, pa.float64()) for field in fields(Bin)])),
}  # fmt: skip
_KEPT = [field.name for field in fields(PredictionReport) if field.name not in {"reused", "table_version"}]
_SCHEMA = pa.schema([(name, _KINDS.get(name, pa.float64())) for name in _KEPT])


@dataclass(frozen=True)
class _Plan:
    """What goes into a report, and what it is a function of. `labelled` is the latest date with mature labels."""

    version: Version
    kept: Record
    before: date | None
    labelled: date | None
    silent: tuple[bool, ...]
    fingerprint: int


def prediction_report(
    lake: Lake, registry: Registry, folder: Folder, as_of: date, *, workers: int = 2
) -> PredictionReport:
    """What was predicted at `as_of`; kept in the lake, one row a date, and not computed where it stands already.

    Without predictions the report is empty and says so.
    """
    plan, table, key = _plan(lake, registry, folder, as_of), f"{folder.name}/prediction_report", f"as_of={as_of}"
    online = served(lake, folder.name, as_of)
    scored = "nothing was scored" if plan is None else plan.fingerprint
    fingerprint = fingerprint_of(_ENGINE, scored, online.fingerprint)
    reused = lake.record(table, key) == fingerprint
    if not reused:
        found = _nothing(as_of) if plan is None else _report(lake, registry, folder, as_of, plan, workers)
        plain = {name: value for name, value in asdict(replace(found, **asdict(online))).items() if name in _KEPT}
        kept = pa.Table.from_pylist([plain], schema=_SCHEMA)
        lake.replace(table, kept, values=[as_of], records={key: fingerprint})
    return read(lake, folder.name, as_of, reused=reused)


def read(lake: Lake, name: str, as_of: date, *, reused: bool = True) -> PredictionReport:
    """The report of a folder at an as-of date, as it stands; empty, with the reason, where there is none."""
    table = f"{name}/prediction_report"
    if lake.record(table, f"as_of={as_of}") is None:
        return PredictionReport(as_of, reason=f"there is no prediction report of {name} for {as_of} yet")
    (kept,) = lake.query("SELECT * FROM r WHERE as_of = $day", {"day": as_of}, r=table).to_pylist()
    kinds = {"missing": Share, "stale": Share, "histogram": Bin}
    lists = {field: tuple(kind(**each) for each in kept[field] or ()) for field, kind in kinds.items()}
    scores = {field: None if kept[field] is None else Scores(**kept[field]) for field in ("scores", "reference")}
    return PredictionReport(**(kept | lists | scores), reused=reused, table_version=lake.version(table))


def _nothing(as_of: date) -> PredictionReport:
    return PredictionReport(as_of, reason=f"nothing was scored at {as_of}")


def _plan(lake: Lake, registry: Registry, folder: Folder, as_of: date) -> _Plan | None:
    predictions, grid = f"{folder.name}/predictions", folder.spec.cadence.dates(as_of)
    stand = lake.records(predictions, [f"as_of={day}" for day in grid[-2:]])
    if f"as_of={as_of}" not in stand:
        return None
    made = "SELECT max(model_version) AS number FROM p WHERE as_of = $day"
    number = lake.query(made, {"day": as_of}, p=predictions)["number"][0].as_py()
    if number is None:
        return None
    version = registry.version(folder.name, number)
    kept = record(registry, version)
    until = known_until(lake, folder, as_of)
    mature = [day for day in grid if day + folder.spec.label.horizon <= until]
    labelled = None if kept.classes else max(mature, default=None)  # of several classes there is no one rate
    labels = fingerprints(lake, folder.labels, [labelled]) if labelled else {}
    silent = gaps.silent(lake, kept, as_of)
    before = next((day for day in grid[-2:-1] if f"as_of={day}" in stand), None)
    parts = (sorted(stand.items()), version.run_id, "verdict" in version.tags, prints(lake, folder, kept, as_of))
    fingerprint = fingerprint_of(_ENGINE, parts, sorted(labels.items()), silent)
    return _Plan(version, kept, before, labelled, silent, fingerprint)


def _report(lake: Lake, registry: Registry, folder: Folder, as_of: date, plan: _Plan, workers: int) -> PredictionReport:
    scores, reference = _scores(lake, folder, as_of), tested(lake, registry, plan.version, plan.kept).p
    threshold, kept = _threshold(registry, plan.version), plan.kept
    count = None if plan.before is None else len(_scores(lake, folder, plan.before))
    table = rows(lake, folder, kept, [as_of], workers=workers)
    missing = gaps.missing(table, kept.columns.all)
    stale = gaps.stale(lake, folder.population, kept.features, plan.silent, as_of)
    return PredictionReport(
        as_of,
        rows=len(scores),
        rows_before=count,
        rows_change=len(scores) / count - 1 if count else None,
        model_version=plan.version.number,
        scores=Scores.of(scores, threshold),
        reference=Scores.of(reference, threshold),
        threshold=threshold,
        base_rate=None if plan.labelled is None else _base_rate(lake, folder, plan.labelled, workers),
        base_rate_of=plan.labelled,
        missing_share=fmean(each.share for each in missing),
        stale_share=fmean(each.share for each in stale),
        missing=missing,
        stale=stale,
        histogram=_histogram(scores, reference),
    )


def _scores(lake: Lake, folder: Folder, day: date) -> "Floats":
    found = lake.query("SELECT score FROM p WHERE as_of = $day", {"day": day}, p=f"{folder.name}/predictions")
    return np.sort(np.asarray(found["score"], dtype=np.float64))  # in one order, for the same digits every time


def _histogram(scores: "Floats", reference: "Floats") -> tuple[Bin, ...]:
    edges = np.linspace(0, max(float(scores.max()), float(reference.max()), 1e-9), _BINS + 1)
    shares = [np.histogram(p, edges)[0] / len(p) for p in (scores, reference)]
    made = zip(edges[:-1].tolist(), edges[1:].tolist(), *(share.tolist() for share in shares), strict=True)
    return tuple(Bin(*each) for each in made)


def _threshold(registry: Registry, version: Version) -> float | None:
    content = registry.read(version.run_id, REPORT)
    return None if content is None else float(json.loads(content)["evaluation"]["threshold"])


def _base_rate(lake: Lake, folder: Folder, day: date, workers: int) -> float | None:
    refresh(lake, folder.labels, [day], workers=workers)
    found = lake.query("SELECT avg(label) AS rate FROM l WHERE as_of = $day", {"day": day}, l=folder.labels.kept)
    rate: float | None = found["rate"][0].as_py()
    return rate
