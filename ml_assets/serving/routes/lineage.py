"""`GET /predictions/{id}/lineage`: from an answer to the rows that trained the model."""

from typing import Any

import msgspec

from ml_assets.events.rows import EventRefusedError, EventStoreError, Outcome, Prediction, Search, model_of
from ml_assets.serving.problem import Problem, unavailable
from ml_assets.serving.services import Services
from ml_assets.storage.manifest import Manifest


async def lineage(services: Services, prediction_id: str) -> dict[str, Any]:
    """Prediction, version, runs, tables with their versions, feature values, outcomes.

    Raises:
        Problem: there is no such prediction here, or the event store does not answer.
    """
    try:
        model = model_of(prediction_id)
        found, said = await services.lanes.tracing.run(_read, services, prediction_id)
    except EventRefusedError:
        raise _unknown(prediction_id) from None
    except EventStoreError as error:
        raise unavailable("event-store", str(error)) from None
    if isinstance(found, Search):
        return _of_search(found, said)
    if found is None:
        raise _unknown(prediction_id)
    manifest = await services.lanes.tracing.run(services.releases.of_version, model, found.version)
    return {
        "prediction": _plain(found),
        "features": msgspec.json.decode(found.features),
        "version": _version(found, manifest),
        "training": None if manifest is None else {"tables": manifest.tables, "as_of": manifest.as_of},
        "outcomes": _plainly(said),
    }


def _read(services: Services, prediction_id: str) -> tuple[Prediction | Search | None, tuple[Outcome, ...]]:
    found = services.events.find(Prediction, prediction_id) or services.events.find(Search, prediction_id)
    return found, services.events.outcomes_of(prediction_id)


def _of_search(found: Search, said: tuple[Outcome, ...]) -> dict[str, Any]:
    """What was looked for and found, in which state of the index."""
    lists = {key: msgspec.json.decode(getattr(found, key)) for key in ("filters", "hits")}
    return {"search": found._asdict() | lists, "outcomes": _plainly(said)}


def _plainly(said: tuple[Outcome, ...]) -> list[dict[str, Any]]:
    return [{**row._asdict(), "value": msgspec.json.decode(row.value)} for row in said]


def _plain(found: Prediction) -> dict[str, Any]:
    kept = {key: value for key, value in found._asdict().items() if key != "features"}
    lists = {key: msgspec.json.decode(kept[key]) if kept[key] else [] for key in ("missing", "stale")}
    return kept | lists | {"entity": found.entity or None}  # stores of before wrote an empty one


def _version(found: Prediction, manifest: Manifest | None) -> dict[str, Any]:
    named = {"model": found.model, "version": found.version}
    if manifest is None:  # it was released before this server's disk was new
        return named
    runs = {
        "mlflow_run": manifest.run_id,
        "mlflow_url": manifest.run_url,
        "dagster_run": manifest.tags.get("dagster_run_id"),
        "git_commit": manifest.tags.get("mlflow.source.git.commit"),
    }
    return {**named, **runs, "artifact_sha256": manifest.sha256, "reason": manifest.reason}


def _unknown(prediction_id: str) -> Problem:
    return Problem(
        404, "unknown-prediction", "no prediction of this id is in the event store",
        "look into the lake's <model>/prediction_log: what is older than serve.retention is kept there only",
        field="prediction_id", value=prediction_id,
    )  # fmt: skip
