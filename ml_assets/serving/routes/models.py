"""`GET /models` and `GET /models/{model}`: which versions answer, and all that was released of one."""

import time
from dataclasses import MISSING, fields
from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec

from ml_assets.decisions.route import Variant
from ml_assets.serving.models.loading import LoadedRoute
from ml_assets.serving.models.split import GRACE
from ml_assets.serving.services import Services
from ml_assets.storage.manifest import Band, Input, PassedGate, ServedProperties

_Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class ListedVariant(msgspec.Struct, forbid_unknown_fields=True):
    """A version that answers under a name.

    Args:
        variant: the name.
        version: in the registry.
        share: of the units that it answers, as long as the route is in force; 0: it answers in shadow only.
        loaded: false where the worker that was asked cannot answer with it, or not yet.
    """

    variant: str
    version: int
    share: float
    loaded: bool


class Listed(msgspec.Struct, forbid_unknown_fields=True):
    """A model that answers.

    Args:
        model: its name.
        version: that answers by default.
        as_of: the as-of date at which that was trained.
        since: when this server's follower first saw it.
        variants: the default one first.
        experiment: under which name units are measured: the stage of a rollout, or an experiment; null: nothing is.
        shadow: the share of the units that the other variants answer too, unseen.
        until: up to when the route is in force, unless it is renewed; null: for ever.
        in_force: false: nobody has renewed it, so the default variant answers everything.
    """

    model: str
    version: int
    as_of: str
    since: _Moment
    variants: tuple[ListedVariant, ...]
    experiment: str | None
    shadow: float
    until: _Moment | None
    in_force: bool


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


def summary(loaded: LoadedRoute) -> Listed:
    """The line of a model in the list."""
    route, manifest = loaded.route, loaded.default.manifest
    variants = [ListedVariant(each.name, each.version, each.share, _is_loaded(loaded, each)) for each in route.variants]
    return Listed(
        manifest.model, manifest.version, manifest.as_of, _moment(loaded.default.since), tuple(variants),
        route.experiment, route.shadow, None if route.until is None else _moment(route.until),
        route.is_in_force(time.time() - GRACE),
    )  # fmt: skip


def _is_loaded(loaded: LoadedRoute, variant: Variant) -> bool:
    model = loaded.models.get(variant.name)
    return model is not None and model.manifest.version == variant.version


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def details(services: Services, loaded: LoadedRoute) -> Any:  # noqa: ANN401 - a Struct that is made from the manifest
    """All that was released, and as of when the online store holds the features."""
    manifest = loaded.default.manifest
    return Model(
        **msgspec.structs.asdict(summary(loaded)),
        entity=manifest.entity, features=manifest.inputs, ttl_seconds=manifest.ttls,
        features_as_of=services.features_as_of.get(manifest.feature_set), bands=manifest.bands,
        classes=manifest.classes, metrics=manifest.metrics, gates=manifest.gates, reason=manifest.reason,
        mlflow_run=manifest.run_url,
        **{each.name: getattr(manifest, each.name) for each in fields(ServedProperties)},
    )  # fmt: skip
