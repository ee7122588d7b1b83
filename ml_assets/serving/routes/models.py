"""`GET /models` and `GET /models/{model}`: which versions answer, and all that was released of one."""

from dataclasses import MISSING, fields
from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec

from ml_assets.serving.models.model import ServedModel
from ml_assets.serving.services import Services
from ml_assets.storage.manifest import Band, Input, PassedGate, ServedProperties

_Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class Listed(msgspec.Struct, forbid_unknown_fields=True):
    """A model that answers.

    Args:
        model: its name.
        version: that answers by default.
        as_of: the as-of date at which that was trained.
        since: when this server's follower first saw it.
    """

    model: str
    version: int
    as_of: str
    since: _Moment


class Models(msgspec.Struct, forbid_unknown_fields=True):
    """The models that this server answers with."""

    models: list[Listed]


class Released(Listed, forbid_unknown_fields=True):
    """What was released of a model, but for the properties of `serve:` in its defs.yaml, and what the gates said.

    Args:
        entity: the column that identifies what is scored.
        features: the inputs of the model.
        ttl_seconds: feature view → how long after the as-of date its values may be used.
        features_as_of: as of when the online store holds the features; null where it holds none.
        bands: of the decisions.
        classes: where they are several; then there are no bands.
    """

    entity: str
    features: tuple[Input, ...]
    ttl_seconds: dict[str, float]
    features_as_of: date | None
    bands: tuple[Band, ...]
    classes: tuple[str, ...]


# Every property that is declared under `serve:` is shown; a new one is not named here.
_PROPERTIES: Any = [
    (each.name, each.type) if each.default is MISSING else (each.name, each.type, each.default)
    for each in fields(ServedProperties)
]
_VERDICT: Any = [
    ("metrics", dict[str, float]), ("gates", tuple[PassedGate, ...]), ("reason", str), ("mlflow_run", str)
]  # fmt: skip
Model: Any = msgspec.defstruct(
    "Model", [*_PROPERTIES, *_VERDICT], bases=(Released,), kw_only=True, forbid_unknown_fields=True,
    namespace={"__doc__": "A model: features, bands, metrics, gates."},
)  # fmt: skip


def summary(model: ServedModel) -> Listed:
    """The line of a model in the list."""
    since = datetime.fromtimestamp(model.since, UTC).isoformat(timespec="seconds")
    return Listed(model.manifest.model, model.manifest.version, model.manifest.as_of, since)


def details(services: Services, model: ServedModel) -> Any:  # noqa: ANN401 - a Struct that is made from the manifest
    """All that was released, and as of when the online store holds the features."""
    manifest = model.manifest
    return Model(
        **msgspec.structs.asdict(summary(model)),
        entity=manifest.entity, features=manifest.inputs, ttl_seconds=manifest.ttls,
        features_as_of=services.features_as_of.get(manifest.feature_set), bands=manifest.bands,
        classes=manifest.classes, metrics=manifest.metrics, gates=manifest.gates, reason=manifest.reason,
        mlflow_run=manifest.run_url,
        **{each.name: getattr(manifest, each.name) for each in fields(ServedProperties)},
    )  # fmt: skip
