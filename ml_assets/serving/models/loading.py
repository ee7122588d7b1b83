"""The models of one process: each answers once it is loaded and verified, and until another one is."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ml_assets.decisions.route import CHAMPION, Route
from ml_assets.errors import RegistryError
from ml_assets.serving.models.loader import Key, ReleaseLoader
from ml_assets.serving.models.lookups import Lookups
from ml_assets.serving.models.model import ServedModel
from ml_assets.serving.models.releases import ReleasedRoute, Releases, Routes, VariantRelease
from ml_assets.serving.models.split import GRACE, TrafficSplit, make_split
from ml_assets.serving.problem import Problem, unavailable
from ml_assets.serving.variants.crashes import CrashWatch

_SILENT = 15.0  # seconds without a word of the follower


@dataclass(frozen=True)
class LoadedRoute:
    """A route whose variants are loaded.

    Args:
        route: as the registry says it.
        models: name of the variant → the model that answers; the default variant has one.
        default: the model that answers by default.
        refused: variants that cannot be loaded.
        split: of the units among the variants; None: the default variant answers everything.
    """

    route: Route
    models: Mapping[str, ServedModel]
    refused: frozenset[str] = frozenset()
    default: ServedModel = field(init=False, compare=False)
    split: TrafficSplit | None = field(init=False, compare=False)

    def __post_init__(self) -> None:  # worked out once, not by requests
        object.__setattr__(self, "default", self.models[self.route.default.name])
        object.__setattr__(self, "split", make_split(self.route, self.models, self.refused))


def _unwatched(route: Route) -> str:
    until = datetime.fromtimestamp(route.until or 0, UTC).isoformat(timespec="seconds")
    return f"{route.default.name} answers everything: nobody has watched {route.experiment} since {until}"


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
        crashes: of releases that ended the process that tried them.
    """

    def __init__(self, releases: Releases, lookups: Lookups, crashes: CrashWatch) -> None:
        self._releases = releases
        self._loader = ReleaseLoader(releases, lookups, crashes)
        self.routes: dict[str, LoadedRoute] = {}
        self._models: dict[Key, ServedModel] = {}
        self._known = Routes()
        self._seen = -1.0
        self._unread: str | None = None
        self._settled = asyncio.Event()
        self._loading: asyncio.Task[None] | None = None

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
        return {
            (name, variant): why for name, some in unfetched for variant, why in some.items()
        } | self._loader.troubles

    def troubles(self) -> dict[str, str]:
        """Name of a variant for `/health` → why it does not answer with its newest version."""
        reasons = self.refusals()
        for name, route in self._known.models.items():
            for variant, release in route.releases.items():
                if release.trouble:
                    reasons.setdefault((name, variant), f"version {release.version} stays: {release.trouble}")
            if not route.route.is_in_force(time.time() - GRACE):
                for variant in route.route.shares:
                    reasons.setdefault((name, variant), _unwatched(route.route))
        return {f"model {variant_label(*key)}": why for key, why in reasons.items()}

    def registry_trouble(self) -> str | None:
        """The reason why the current champions are unknown; None: they are known."""
        silent = time.time() - self._seen
        if self._seen > 0 and silent > _SILENT:
            return f"nobody has looked for {silent:.0f} s: is the server's parent alive, and can it write its folder?"
        return self._unread or self._known.trouble

    async def follow(self) -> None:
        """Take up what the follower wrote since the last look.

        What is loaded already changes at once: a rollback waits for no release. What has to be loaded is loaded
        meanwhile; only a worker that has not answered yet waits for it.
        """
        if self._read():
            self._relabel()
            self._publish()
            await self._begin_loading()
        routes = self._known
        if routes.models or routes.asked or routes.trouble or self._unread:
            self._settled.set()

    def _read(self) -> bool:
        """Read the routes; false: nobody wrote any since the last look, or they are damaged."""
        changed = self._releases.last_change()
        if changed == self._seen:
            return False
        try:
            self._known, self._unread = self._releases.routes(), None
        except RegistryError as error:
            self._unread = str(error)
            return False
        self._seen = changed
        return True

    async def close(self) -> None:
        """Load nothing more."""
        if self._loading is not None:
            self._loading.cancel()
            with suppress(asyncio.CancelledError):
                await self._loading

    def _publish(self) -> None:
        """Swap the routes for those that are known, with the models that are loaded."""
        for name, released in self._known.models.items():
            if (name, released.route.default.name) in self._models:
                route = self._route(name, released)
                if route != self.routes.get(name):
                    self.routes[name] = route
        if self._known.trouble is None:  # else it is the registry that is away, not the model
            for name in self.routes.keys() - self._known.models.keys():
                del self.routes[name]

    def _route(self, name: str, released: ReleasedRoute) -> LoadedRoute:
        models, refused = dict[str, ServedModel](), set[str]()
        for variant, release in released.releases.items():
            key = name, variant
            if key in self._models:
                models[variant] = self._models[key]
            if self._loader.is_refused(key, release):
                refused.add(variant)
        return LoadedRoute(released.route, models, frozenset(refused))

    async def _begin_loading(self) -> None:
        if self._loading is not None and self._loading.done():
            self._loading.result()  # what nobody expects is said by the worker
            self._loading = None
        if self._loading is None:
            self._loading = asyncio.get_running_loop().create_task(self._load())
        if not self._settled.is_set():
            await self._loading

    async def _load(self) -> None:
        """Load what the routes name; each is in force as soon as it is loaded and verified."""
        for name, released in [*self._known.models.items()]:
            for variant, release in released.releases.items():
                await self._take((name, variant), release, released.route.default.name)
        current = {(name, variant) for name, route in self._known.models.items() for variant in route.releases}
        self._loader.forget(current)
        self._models = {key: model for key, model in self._models.items() if key in current}

    async def _take(self, key: Key, release: VariantRelease, default: str) -> None:
        """Swap the model of a variant, once its release is loaded and verified; until then the old one answers."""
        (name, variant), held = key, self._models.get(key)
        champion = None if variant == default else self._models.get((name, default))
        if champion is not None and self._loader.find_crashes(key, release):
            self._models.pop(key, None)
        elif held is not None and held.release == release.release:
            self._loader.accept(key)
            return
        elif variant == default or champion is not None:  # which could answer for it
            model = await self._loader.load(key, release, held, champion)
            if model is not None and self._wanted(key) == release.release:
                self._models[key] = model
        self._publish()

    def _wanted(self, key: Key) -> str | None:
        """The release that a variant has by what is known now: a rollback may have come while another was loaded."""
        route = self._known.models.get(key[0])
        release = route.releases.get(key[1]) if route else None
        return release.release if release else None

    def _relabel(self) -> None:
        """Let releases answer under their new names: one that is loaded as another variant is not loaded again."""
        loaded = {(name, model.release): model for (name, _), model in self._models.items()}
        for name, route in self._known.models.items():
            for variant, release in route.releases.items():
                model, held = loaded.get((name, release.release)), self._models.get((name, variant))
                if model is not None and (held is None or held.release != release.release):
                    self._models[name, variant] = ServedModel(release.release, model.artifact, release.since, variant)
