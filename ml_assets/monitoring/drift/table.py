"""The drift report in the lake: a row for each feature, and one for the report with the champion's scores."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any

import pyarrow as pa

from ml_assets.monitoring.drift.attribution import AttributionDrift
from ml_assets.monitoring.drift.feature import FeatureDrift
from ml_assets.monitoring.drift.score_drift import Change, ScoreDrift
from ml_assets.storage.lake import Lake
from ml_assets.storage.memo import Kept, memo
from ml_assets.storage.tables import ModelTables, as_of_key

_KINDS = {"str": pa.string(), "bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
_CHANGES = ("mean", "share")
_NOTHING = 0
"""The record of a date at which nobody is in the population, in the place of a fingerprint."""


@dataclass(frozen=True)
class Contents:
    """The contents of a report.

    Args:
        features: feature → its numbers and verdict.
        reference: what the population was compared with.
        rows_reference: rows compared; None where there is no reference yet.
        rows_current: the same of the population.
        chance: the p-value up to which a difference is more than chance.
        scores: of the champion; None without a reference.
        attribution: what the champion leans on; None without a reference.
        html: the page that a person opens.
        evidently: Evidently's page of a sample, where one was written.
    """

    features: Mapping[str, FeatureDrift]
    reference: str
    rows_reference: int | None = None
    rows_current: int | None = None
    chance: float | None = None
    scores: ScoreDrift | None = None
    attribution: AttributionDrift | None = None
    html: str | None = None
    evidently: str | None = None


def keep(lake: Lake, model: str, as_of: date, version: int, fingerprint: int, make: Callable[[], Contents]) -> Kept:
    """Keep the report of an as-of date under its fingerprint (`memo`).

    Args:
        lake: where the tables are.
        model: the model folder's name.
        as_of: `T`.
        version: the champion.
        fingerprint: what the report is a function of.
        make: gives the report; it is not called where it stands.
    """

    def rows() -> pa.Table:
        contents, fixed = make(), {"as_of": as_of, "model_version": version}
        # The row of the report comes before those of its features: the record that it is whole stands with these.
        summary = _table([fixed | _summary(contents)], _summary_schema())
        lake.replace(ModelTables(model).score_drift, summary, values=[as_of])
        return _table([fixed | row for row in _features(contents)], _feature_schema())

    return memo(lake, ModelTables(model).drift_report, as_of, fingerprint, rows)


def read(lake: Lake, model: str, as_of: date) -> Contents:
    """The report of an as-of date, as it was written."""
    ask = "SELECT * FROM t WHERE as_of = $day"
    rows = lake.query(ask, {"day": as_of}, t=ModelTables(model).drift_report).to_pylist()
    (summary,) = lake.query(ask, {"day": as_of}, t=ModelTables(model).score_drift).to_pylist()
    names = [each.name for each in fields(FeatureDrift)]
    features = {row["feature"]: FeatureDrift(**{name: row[name] for name in names}) for row in rows}
    plain = {name: summary[name] for name in _plain(Contents)}
    return Contents(features, scores=_scores(summary), attribution=_attribution(summary, rows), **plain)


def withdraw(lake: Lake, model: str, as_of: date) -> None:
    """Record that there is nothing to report of an as-of date; the rows of a report that stood there go."""
    tables, record = ModelTables(model), {as_of_key(as_of): _NOTHING}
    lake.replace(tables.score_drift, _table([], _summary_schema()), values=[as_of])
    lake.replace(tables.drift_report, _table([], _feature_schema()), values=[as_of], records=record)


def model_version(lake: Lake, model: str, as_of: date) -> int | None:
    """The version that the report of an as-of date is of; None where there is none, or it was withdrawn."""
    if lake.record(ModelTables(model).drift_report, as_of_key(as_of)) in {None, _NOTHING}:
        return None
    ask = "SELECT max(model_version) AS version FROM t WHERE as_of = $day"
    version: int | None = lake.query(ask, {"day": as_of}, t=ModelTables(model).score_drift)["version"][0].as_py()
    return version


@dataclass(frozen=True)
class LatestDrift:
    """The last drift report.

    Args:
        as_of: its date.
        features: how many it compared.
        drifted: the features that drifted, each with the reason.
    """

    as_of: date
    features: int
    drifted: dict[str, str]


def latest_drift(lake: Lake, model: str) -> LatestDrift | None:
    """The last drift report of a model; None before the first one."""
    table = ModelTables(model).drift_report
    if lake.version(table) is None:
        return None
    last = "SELECT as_of, feature, drifted, reason FROM t WHERE as_of = (SELECT max(as_of) FROM t) ORDER BY feature"
    rows = lake.query(last, t=table).to_pylist()
    drifted = {row["feature"]: row["reason"] for row in rows if row["drifted"]}
    return LatestDrift(rows[0]["as_of"], len(rows), drifted) if rows else None


def feature_rows(lake: Lake, model: str, as_of: date) -> list[dict[str, Any]]:
    """The rows of the report of an as-of date, a feature each; empty where there is no report."""
    table = ModelTables(model).drift_report
    if lake.version(table) is None:
        return []
    rows: list[dict[str, Any]] = lake.query("SELECT * FROM t WHERE as_of = $day", {"day": as_of}, t=table).to_pylist()
    return rows


def _features(contents: Contents) -> list[dict[str, Any]]:
    leant = contents.attribution
    before, after = (leant.reference, leant.current) if leant else ({}, {})
    return [
        {"feature": name, "html": contents.html, **asdict(feature)}
        | {"attribution_reference": before.get(name), "attribution_current": after.get(name)}
        for name, feature in contents.features.items()
    ]


def _summary(contents: Contents) -> dict[str, Any]:
    scores = contents.scores
    plain = {name: getattr(contents, name) for name in _plain(Contents)}
    plain_scores = {name: getattr(scores, name, None) for name in _plain(ScoreDrift)}
    changes = {
        f"{which}_{each.name}": getattr(getattr(scores, which, None), each.name, None)
        for which in _CHANGES
        for each in fields(Change)
    }
    leant = {f"attribution_{name}": getattr(contents.attribution, name, None) for name in _plain(AttributionDrift)}
    return plain | {f"scores_{name}": value for name, value in (plain_scores | changes).items()} | leant


def _scores(row: Mapping[str, Any]) -> ScoreDrift | None:
    if row["scores_psi"] is None:
        return None
    changes = {which: Change(*(row[f"scores_{which}_{each.name}"] for each in fields(Change))) for which in _CHANGES}
    share = None if row["scores_threshold"] is None else changes["share"]
    plain = {name: row[f"scores_{name}"] for name in _plain(ScoreDrift)}
    return ScoreDrift(mean=changes["mean"], share=share, **plain)


def _attribution(row: Mapping[str, Any], features: list[dict[str, Any]]) -> AttributionDrift | None:
    if row["attribution_reason"] is None:
        return None
    ordered = sorted(features, key=lambda each: (-each["attribution_reference"], each["feature"]))
    shares = ({each["feature"]: each[f"attribution_{side}"] for each in ordered} for side in ("reference", "current"))
    plain = {name: row[f"attribution_{name}"] for name in _plain(AttributionDrift)}
    return AttributionDrift(reference=next(shares), current=next(shares), **plain)


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema)


def _feature_schema() -> pa.Schema:
    shares = [("attribution_reference", pa.float64()), ("attribution_current", pa.float64())]
    return pa.schema([*_fixed(), ("feature", pa.string()), ("html", pa.string()), *_columns(FeatureDrift), *shares])


def _summary_schema() -> pa.Schema:
    changes = [(f"scores_{which}_{each.name}", pa.float64()) for which in _CHANGES for each in fields(Change)]
    parts = [_columns(Contents), _columns(ScoreDrift, "scores_"), changes, _columns(AttributionDrift, "attribution_")]
    return pa.schema([*_fixed(), *(column for part in parts for column in part)])


def _fixed() -> list[tuple[str, pa.DataType]]:
    return [("as_of", pa.date32()), ("model_version", pa.int64())]


def _columns(kind: Any, prefix: str = "") -> list[tuple[str, pa.DataType]]:  # noqa: ANN401 - any dataclass
    types = {each.name: str(getattr(each.type, "__name__", each.type)) for each in fields(kind)}
    return [
        (f"{prefix}{name}", next((arrow for word, arrow in _KINDS.items() if word in types[name]), pa.string()))
        for name in _plain(kind)
    ]


def _plain(kind: Any) -> list[str]:  # noqa: ANN401 - any dataclass
    """The fields that are one value each."""
    nested = ("Mapping", "Change", "Drift")
    return [each.name for each in fields(kind) if not any(word in str(each.type) for word in nested)]
