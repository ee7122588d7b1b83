"""Loading a release for a variant: verified, with its online features, and not again where it ended processes."""

import asyncio
from contextlib import nullcontext

from ml_assets.documents.extractor import load_extractor
from ml_assets.serving.models.artifact import Artifact
from ml_assets.serving.models.lookups import Lookups
from ml_assets.serving.models.model import ServedModel
from ml_assets.serving.models.releases import Releases, VariantRelease
from ml_assets.serving.variants.crashes import CrashWatch
from ml_assets.storage.manifest import Manifest

_LOOKS = 5  # in which a release could not be loaded, one after the other; it is fetched again meanwhile

Key = tuple[str, str]
"""Model and variant."""


class ReleaseLoader:
    """Loads releases, and knows why some are not.

    Args:
        releases: on the disk of the server.
        lookups: the online store, whose features a new version may have to wait for.
        crashes: of releases that ended the process that tried them.
    """

    def __init__(self, releases: Releases, lookups: Lookups, crashes: CrashWatch) -> None:
        self._releases = releases
        self._lookups = lookups
        self._crashes = crashes
        self._failures: dict[Key, tuple[str, int]] = {}
        self.troubles: dict[Key, str] = {}
        """Variants that do not answer with their newest version, and why."""

    def is_refused(self, key: Key, release: VariantRelease) -> bool:
        """Tell whether a release cannot be loaded, for all that is known."""
        failed, looks = self._failures.get(key, ("", 0))
        return failed == release.release and looks >= _LOOKS

    def find_crashes(self, key: Key, release: VariantRelease) -> bool:
        """Tell whether a release has ended too many processes; it is refused then."""
        if (why := self._crashes.refusal(release.release)) is None:
            return False
        self.troubles[key] = f"version {release.version} is refused: {why}"
        self._failures[key] = release.release, _LOOKS
        return True

    def accept(self, key: Key) -> None:
        """Nothing is wrong with a variant."""
        self._failures.pop(key, None)
        self.troubles.pop(key, None)

    def forget(self, current: set[Key]) -> None:
        """Leave out what is no variant any more."""
        for known in (self.troubles, self._failures):
            for key in known.keys() - current:
                del known[key]

    async def load(
        self, key: Key, release: VariantRelease, held: ServedModel | None, default: ServedModel | None
    ) -> ServedModel | None:
        """The model of a release; None: it cannot be loaded, or not yet.

        Args:
            key: of the variant.
            release: of it.
            held: what answers as that variant now; None: nothing.
            default: what answers by default, if this is another variant: a new one waits for its features all the same.
        """
        (name, variant), before = key, default or held
        try:
            await asyncio.to_thread(self._releases.require_trusted, release.release)
            manifest = await asyncio.to_thread(self._releases.manifest, release.release)
            if before is not None and await self._waits(before.manifest.feature_set, manifest.feature_set):
                self.troubles[key] = f"version {release.version} waits for its online features ({name}/online_features)"
                return None
            loaded = await asyncio.to_thread(self._load, variant, release, manifest, tried=default is not None)
        except Exception as error:  # noqa: BLE001 - of one model; ONNX Runtime's errors derive from nothing else
            self._count_failure(key, release, held, error)
            return None
        self.accept(key)
        return loaded

    def _count_failure(self, key: Key, release: VariantRelease, held: ServedModel | None, error: Exception) -> None:
        stays = "" if held is None else f"version {held.version} stays: "
        self.troubles[key] = f"{stays}version {release.version} cannot be loaded: {error or type(error).__name__}"
        before, count = self._failures.get(key, ("", 0))
        self._failures[key] = release.release, count + 1 if before == release.release else 1

    def _load(self, variant: str, release: VariantRelease, manifest: Manifest, *, tried: bool) -> ServedModel:
        if manifest.extract:
            load_extractor(manifest.extract)  # a request is not to find out that it cannot be imported
        with self._crashes.attempt(release.release) if tried else nullcontext():
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
