"""`GET /predictions/{id}/lineage`: from an answer to the rows that trained the model."""

from typing import Any

import msgspec

from ml_assets.events.rows import EventRefusedError, EventStoreError, Outcome, Prediction, Search, model_of
from ml_assets.serving.problem import Problem, unavailable
from ml_assets.serving.services import Services
from ml_assets.storage.manifest import Manifest

_Value = float | str | bool | None


class OutcomeRow(msgspec.Struct, forbid_unknown_fields=True):
    """An outcome that was recorded; times in microseconds since 1970, UTC."""

    model: str
    prediction_id: str
    kind: str
    source: str
    value: _Value
    observed_at: int
    received_at: int


class PredictionRow(msgspec.Struct, forbid_unknown_fields=True):
    """An answer that was recorded; times in microseconds."""

    prediction_id: str
    model: str
    version: str
    variant: str
    entity: str | None
    as_of: str | None
    score: float
    decision: str | None
    missing: list[str]
    stale: list[str]
    requested_at: int
    latency: int
    predicted: str | None


class SearchRow(msgspec.Struct, forbid_unknown_fields=True):
    """A search that was recorded; times in microseconds."""

    prediction_id: str
    model: str
    serial: int
    query: str
    filters: dict[str, Any]
    hits: list[str]
    total: int
    requested_at: int
    latency: int


class VersionOrigin(msgspec.Struct, forbid_unknown_fields=True):
    """The version that answered; of one that was released before this server's disk was new, its number alone."""

    model: str
    version: str
    mlflow_run: str | msgspec.UnsetType = msgspec.UNSET
    mlflow_url: str | msgspec.UnsetType = msgspec.UNSET
    dagster_run: str | msgspec.UnsetType | None = msgspec.UNSET
    git_commit: str | msgspec.UnsetType | None = msgspec.UNSET
    artifact_sha256: str | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET


class TrainingOrigin(msgspec.Struct, forbid_unknown_fields=True):
    """The tables that trained a version, with their versions, and its as-of date."""

    tables: dict[str, int]
    as_of: str


class LineageOfPrediction(msgspec.Struct, forbid_unknown_fields=True):
    """Prediction → version → runs → tables, with feature values and outcomes."""

    prediction: PredictionRow
    features: dict[str, _Value]
    version: VersionOrigin
    training: TrainingOrigin | None
    outcomes: list[OutcomeRow]


class LineageOfSearch(msgspec.Struct, forbid_unknown_fields=True):
    """A search, the state of the index that answered, and outcomes such as clicks."""

    search: SearchRow
    outcomes: list[OutcomeRow]


async def lineage(services: Services, prediction_id: str) -> LineageOfPrediction | LineageOfSearch:
    """Prediction, version, runs, tables with their versions, feature values, outcomes.

    Raises:
        Problem: there is no such prediction here, or the event store does not answer.
    """
    try:
        model = model_of(prediction_id)
        event, outcomes = await services.lanes.tracing.run(_read, services, prediction_id)
    except EventRefusedError:
        raise unknown_prediction(prediction_id) from None
    except EventStoreError as error:
        raise unavailable("event-store", str(error)) from None
    if isinstance(event, Search):
        return LineageOfSearch(_search_row(event), _outcome_rows(outcomes))
    if event is None:
        raise unknown_prediction(prediction_id)
    manifest = await services.lanes.tracing.run(services.releases.manifest_of_version, model, event.version)
    return LineageOfPrediction(
        _prediction_row(event),
        msgspec.json.decode(event.features),
        _version(event, manifest),
        None if manifest is None else TrainingOrigin(manifest.tables, manifest.as_of),
        _outcome_rows(outcomes),
    )


def _read(services: Services, prediction_id: str) -> tuple[Prediction | Search | None, tuple[Outcome, ...]]:
    event = services.events.find(Prediction, prediction_id) or services.events.find(Search, prediction_id)
    return event, services.events.outcomes_of(prediction_id)


def _search_row(event: Search) -> SearchRow:
    lists = {key: msgspec.json.decode(getattr(event, key)) for key in ("filters", "hits")}
    return SearchRow(**event._asdict() | lists)


def _outcome_rows(outcomes: tuple[Outcome, ...]) -> list[OutcomeRow]:
    return [OutcomeRow(**row._asdict() | {"value": msgspec.json.decode(row.value)}) for row in outcomes]


def _prediction_row(event: Prediction) -> PredictionRow:
    row = {key: value for key, value in event._asdict().items() if key != "features"}
    lists = {key: msgspec.json.decode(row[key]) if row[key] else [] for key in ("missing", "stale")}
    return PredictionRow(**row | lists | {"entity": event.entity or None})  # stores of before wrote an empty one


def _version(event: Prediction, manifest: Manifest | None) -> VersionOrigin:
    if manifest is None:  # it was released before this server's disk was new
        return VersionOrigin(event.model, event.version)
    return VersionOrigin(
        event.model,
        event.version,
        mlflow_run=manifest.run_id,
        mlflow_url=manifest.run_url,
        dagster_run=manifest.tags.get("dagster_run_id"),
        git_commit=manifest.tags.get("mlflow.source.git.commit"),
        artifact_sha256=manifest.sha256,
        reason=manifest.reason,
    )


def unknown_prediction(prediction_id: str) -> Problem:
    """The refusal of an id that the event store does not hold."""
    return Problem(
        404, "unknown-prediction", "no prediction of this id is in the event store",
        "look into the lake's <model>/prediction_log: what is older than serve.retention is kept there only",
        field="prediction_id", value=prediction_id,
    )  # fmt: skip
