"""The models of one process: each answers once it is loaded and verified, and until another one is."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from ml_assets.decisions.route import CHAMPION, Route
from ml_assets.documents.extractor import load_extractor
from ml_assets.errors import RegistryError
from ml_assets.serving.models.artifact import Artifact
from ml_assets.serving.models.lookups import Lookups
from ml_assets.serving.models.model import ServedModel
from ml_assets.serving.models.releases import ReleasedRoute, Releases, Routes, VariantRelease
from ml_assets.serving.models.split import TrafficSplit, make_split
from ml_assets.serving.problem import Problem, unavailable
from ml_assets.storage.manifest import Manifest

_SILENT = 15.0  # seconds without a word of the follower


@dataclass(frozen=True)
class LoadedRoute:
    """A route whose variants are loaded.

    Args:
        route: as the registry says it.
        models: name of the variant → the model that answers; the default variant has one.
        default: the model that answers by default.
        split: of the units among the variants; None: the default variant answers everything.
    """

    route: Route
    models: Mapping[str, ServedModel]
    default: ServedModel = field(init=False, compare=False)
    split: TrafficSplit | None = field(init=False, compare=False)

    def __post_init__(self) -> None:  # worked out once, not by requests
        object.__setattr__(self, "default", self.models[self.route.default.name])
        object.__setattr__(self, "split", make_split(self.route, self.models))


def variant_label(model: str, variant: str) -> str:
    """The name of a variant for people; the champion has that of its model.

    >>> variant_label("churn", "champion"), variant_label("churn", "challenger")
    ('churn', 'churn (challenger)')
    """
    return model if variant == CHAMPION else f"{model} ({variant})"


class LoadedModels:
    """The models that answer, by their routes.

    Args:
        releases: on the disk of the server.
        lookups: the online store, whose features a new version may have to wait for.
    """

    def __init__(self, releases: Releases, lookups: Lookups) -> None:
        self._releases = releases
        self._lookups = lookups
        self.routes: dict[str, LoadedRoute] = {}
        self._known = Routes()
        self._seen = -1.0
        self._unread: str | None = None
        self._trouble: dict[tuple[str, str], str] = {}
        self._settled = asyncio.Event()

    def model(self, name: str) -> ServedModel:
        """The default variant of a model.

        Raises:
            Problem: there is none here, or not yet.
        """
        return self.route(name).default

    def route(self, name: str) -> LoadedRoute:
        """The route of a model.

        Raises:
            Problem: there is none here, or not yet.
        """
        route = self.routes.get(name)
        if route is not None:
            return route
        if trouble := self.refusals().get((name, CHAMPION)):
            raise unavailable("no-release", f"{name} has no release that this server can load: {trouble}")
        self.require_loaded(name)
        raise Problem(
            404, "unknown-model", f"no model {name!r} is released",
            f"released are {', '.join(self.routes) or 'none yet'}", field="model", value=name,
        )  # fmt: skip

    def ended_experiments(self) -> dict[str, tuple[str, str]]:
        """Experiment that has ended → its model, and its verdict; those whose versions do not answer are forgotten."""
        routes = self._known.models.items()
        return {name: (model, verdict) for model, route in routes for name, verdict in route.ended.items()}

    def defaults(self) -> list[ServedModel]:
        """The models that answer by default, one of each route."""
        return [route.default for route in self.routes.values()]

    def require_loaded(self, name: str | None = None) -> None:
        """Return if it is known who the champions are, and the one of a model is not being loaded.

        Raises:
            Problem: nobody can say yet that a model is not released.
        """
        if self._known.asked == 0:
            raise unavailable("loading", self._known.trouble or "the registry is being asked who the champions are")
        if name in self._known.models and name not in self.routes:
            raise unavailable(
                "loading", f"version {self._known.models[name].default.version} of {name} is being loaded"
            )

    async def wait(self, patience: float) -> None:
        """Return once the follower has named champions, or said why it cannot, and they are loaded, or cannot be.

        Args:
            patience: seconds after which it returns all the same.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._settled.wait()

    def variants(self) -> list[ServedModel]:
        """All models that are loaded, of each route one or more."""
        return [model for route in self.routes.values() for model in route.models.values()]

    def refusals(self) -> dict[tuple[str, str], str]:
        """Model and variant → why it has no release here, or not its newest."""
        unfetched = self._known.unfetched.items()
        return {(name, variant): why for name, some in unfetched for variant, why in some.items()} | self._trouble

    def troubles(self) -> dict[str, str]:
        """Name of a variant for `/health` → why it does not answer with its newest version."""
        reasons = self.refusals()
        for name, route in self._known.models.items():
            for variant, release in route.releases.items():
                if release.trouble:
                    reasons.setdefault((name, variant), f"version {release.version} stays: {release.trouble}")
        return {f"model {variant_label(*key)}": why for key, why in reasons.items()}

    def registry_trouble(self) -> str | None:
        """The reason why the current champions are unknown; None: they are known."""
        silent = time.time() - self._seen
        if self._seen > 0 and silent > _SILENT:
            return f"nobody has looked for {silent:.0f} s: is the server's parent alive, and can it write its folder?"
        return self._unread or self._known.trouble

    async def follow(self) -> None:
        """Take up what the follower wrote since the last look."""
        await self._take_up()
        routes = self._known
        if routes.models or routes.asked or routes.trouble or self._unread:
            self._settled.set()

    async def _take_up(self) -> None:
        changed = self._releases.last_change()
        if changed == self._seen:
            return
        try:
            self._known, self._unread = self._releases.routes(), None
        except RegistryError as error:
            self._unread = str(error)
            return
        self._seen = changed
        for name, route in self._known.models.items():
            await self._take(name, route)
        current = {(name, variant) for name, route in self._known.models.items() for variant in route.releases}
        self._trouble = {key: why for key, why in self._trouble.items() if key in current}
        if self._known.trouble is None:  # else it is the registry that is away, not the model
            for name in self.routes.keys() - self._known.models.keys():
                del self.routes[name]

    async def _take(self, name: str, released: ReleasedRoute) -> None:
        """Swap a pointer, once new releases are loaded and verified; until then the old ones answer."""
        current = self.routes[name].models if name in self.routes else {}
        models = {
            variant: await self._variant(name, variant, release, current.get(variant))
            for variant, release in released.releases.items()
        }
        loaded = {variant: model for variant, model in models.items() if model is not None}
        if released.route.default.name in loaded:
            route = LoadedRoute(released.route, loaded)
            if route != self.routes.get(name):
                self.routes[name] = route

    async def _variant(
        self, name: str, variant: str, release: VariantRelease, held: ServedModel | None
    ) -> ServedModel | None:
        """The model of a release, or the one that is held while it cannot be loaded yet; None: there is none."""
        key = name, variant
        if held is not None and held.release == release.release:
            self._trouble.pop(key, None)
            return held
        try:
            manifest = await asyncio.to_thread(self._releases.manifest, release.release)
            waits = held is not None and await self._waits(held.manifest.feature_set, manifest.feature_set)
            loaded = None if waits else await asyncio.to_thread(self._load, variant, release, manifest)
        except Exception as error:  # noqa: BLE001 - of one model; ONNX Runtime's errors derive from nothing else
            stays = "" if held is None else f"version {held.version} stays: "
            self._trouble[key] = f"{stays}version {release.version} cannot be loaded: {error or type(error).__name__}"
            return held
        if loaded is None:
            self._trouble[key] = f"version {release.version} waits for its online features ({name}/online_features)"
            return held
        self._trouble.pop(key, None)
        return loaded

    def _load(self, variant: str, release: VariantRelease, manifest: Manifest) -> ServedModel:
        if manifest.extract:
            load_extractor(manifest.extract)  # a request is not to find out that it cannot be imported
        artifact = Artifact(manifest, self._releases.artifact(manifest))
        return ServedModel(release.release, artifact, release.since, variant)

    async def _waits(self, old: str, new: str) -> bool:
        """Tell whether the online store holds the features of the old version only: then the new one comes later.

        It does as well while the store cannot say so.
        """
        if old == new:
            return False
        dates = await self._lookups.probe([old, new])
        return not dates or (dates[old] is not None and dates[new] is None)
