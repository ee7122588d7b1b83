"""The champions of one process: each answers once it is loaded and verified, and until another one is."""

import asyncio
import time
from contextlib import suppress

from ml_assets.errors import RegistryError
from ml_assets.serving.models.artifact import Artifact
from ml_assets.serving.models.lookups import Lookups
from ml_assets.serving.models.model import ServedModel
from ml_assets.serving.models.releases import Champion, Champions, Releases
from ml_assets.serving.problem import Problem, unavailable
from ml_assets.storage.manifest import Manifest

_SILENT = 15.0  # seconds without a word of the follower


class LoadedModels:
    """The models that answer.

    Args:
        releases: on the disk of the server.
        lookups: the online store, whose features a new version may have to wait for.
    """

    def __init__(self, releases: Releases, lookups: Lookups) -> None:
        self._releases = releases
        self._lookups = lookups
        self.models: dict[str, ServedModel] = {}
        self._champions = Champions()
        self._seen = -1.0
        self._unread: str | None = None
        self._trouble: dict[str, str] = {}
        self._settled = asyncio.Event()

    def model(self, name: str) -> ServedModel:
        """The champion of a model.

        Raises:
            Problem: there is none here, or not yet.
        """
        found = self.models.get(name)
        if found is not None:
            return found
        if trouble := self.refused().get(name):
            raise unavailable("no-release", f"{name} has no release that this server can load: {trouble}")
        self.require_loaded(name)
        raise Problem(
            404, "unknown-model", f"no model {name!r} is released",
            f"released are {', '.join(self.models) or 'none yet'}", field="model", value=name,
        )  # fmt: skip

    def require_loaded(self, name: str | None = None) -> None:
        """Return if it is known who the champions are, and the one of a model is not being loaded.

        Raises:
            Problem: nobody can say yet that a model is not released.
        """
        if self._champions.asked == 0:
            raise unavailable("loading", self._champions.trouble or "the registry is being asked who the champions are")
        if name in self._champions.models and name not in self.models:
            raise unavailable("loading", f"version {self._champions.models[name].version} of {name} is being loaded")

    async def wait(self, patience: float) -> None:
        """Return once the follower has named champions, or said why it cannot, and they are loaded, or cannot be.

        Args:
            patience: seconds after which it returns all the same.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._settled.wait()

    def refused(self) -> dict[str, str]:
        """Why a model has no release here, or not its newest, by name."""
        return self._champions.refused | self._trouble

    def troubles(self) -> dict[str, str]:
        """What is wrong with which model, as `/health` names it."""
        found = {f"model {name}": why for name, why in self.refused().items()}
        for name, champion in self._champions.models.items():
            if champion.trouble:
                found.setdefault(f"model {name}", f"version {champion.version} stays: {champion.trouble}")
        return found

    def registry_trouble(self) -> str | None:
        """Why nobody knows who the champions are now; None: it is known."""
        silent = time.time() - self._seen
        if self._seen > 0 and silent > _SILENT:
            return f"nobody has looked for {silent:.0f} s: is the server's parent alive, and can it write its folder?"
        return self._unread or self._champions.trouble

    async def follow(self) -> None:
        """Take up what the follower wrote since the last look."""
        await self._take_up()
        known = self._champions
        if known.models or known.asked or known.trouble or self._unread:
            self._settled.set()

    async def _take_up(self) -> None:
        changed = self._releases.changed()
        if changed == self._seen:
            return
        try:
            self._champions, self._unread = self._releases.champions(), None
        except RegistryError as error:
            self._unread = str(error)
            return
        self._seen = changed
        for name, champion in self._champions.models.items():
            await self._take(name, champion)
        if self._champions.trouble is None:  # else it is the registry that is away, not the model
            for name in self.models.keys() - self._champions.models.keys():
                del self.models[name]

    async def _take(self, name: str, champion: Champion) -> None:
        """Swap a pointer, once the new release is loaded and verified; until then the old one answers."""
        held = self.models.get(name)
        if held is not None and held.release == champion.release:
            self._trouble.pop(name, None)
            return
        try:
            manifest = await asyncio.to_thread(self._releases.manifest, champion.release)
            waits = held is not None and await self._waits(held.manifest.feature_set, manifest.feature_set)
            loaded = None if waits else await asyncio.to_thread(self._load, champion, manifest)
        except Exception as error:  # noqa: BLE001 - of one model; ONNX Runtime's errors derive from nothing else
            stays = "" if held is None else f"version {held.version} stays: "
            self._trouble[name] = f"{stays}version {champion.version} cannot be loaded: {error or type(error).__name__}"
            return
        if loaded is None:
            self._trouble[name] = f"version {champion.version} waits for its online features ({name}/online_features)"
            return
        self.models[name] = loaded
        self._trouble.pop(name, None)

    def _load(self, champion: Champion, manifest: Manifest) -> ServedModel:
        return ServedModel(champion.release, Artifact(manifest, self._releases.artifact(manifest)), champion.since)

    async def _waits(self, old: str, new: str) -> bool:
        """Whether the online store holds the features of the old version only: then the new one comes later.

        It does as well while the store cannot say so.
        """
        if old == new:
            return False
        found = await self._lookups.probe([old, new])
        return not found or (found[old] is not None and found[new] is None)
