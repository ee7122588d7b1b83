"""The follower of the registry: a champion that was promoted or rolled back is on the server's disk a second later.

One thread of the server's parent does this for all workers, so that none of them imports MLflow or waits for it.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from msgspec.structs import replace

from ml_assets.errors import MlAssetsError
from ml_assets.redaction import redact
from ml_assets.serving.models.releases import ReleasedRoute, Releases, Routes, VariantRelease
from ml_assets.serving.models.trust import fetch_files
from ml_assets.storage.manifest import Manifest
from ml_assets.storage.reasons_file import read_reasons
from ml_assets.storage.registry import RegisteredRoute, Registry, Version

EVERY = 1.0
"""Seconds from one look to the next, however long a tracking server takes to answer the first."""

_PAUSE = 0.1  # seconds at least between two looks


@dataclass
class Follower:
    """Asks the registry for the routes of all models, and fetches the releases that are not here.

    Args:
        registry: of the versions that answer.
        releases: where they are kept.
        clock: seconds since 1970.
    """

    registry: Registry
    releases: Releases
    clock: Callable[[], float] = time.time
    _verified: dict[str, object] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def look(self) -> Routes:
        """Ask once, and keep what was found; a registry that does not answer changes nothing but the trouble."""
        try:
            before = self.releases.routes()
        except MlAssetsError:
            before = Routes()
        try:
            registered = self.registry.routes()
            # Rather a database that was moved than the wish to answer nothing; one where a model was removed is known.
            emptied = bool(before.models) and not registered and self.registry.is_new()
        except Exception as error:  # noqa: BLE001 - whatever MLflow, SQLite or the network raise, the server goes on
            now = Routes(before.models, before.asked, f"the registry does not answer: {_line(error)}", before.unfetched)
        else:
            now = self._follow(before, registered)
            if emptied:
                now = Routes(before.models, self.clock(), "the registry names no champion any more; the last ones stay")
        self.releases.save_routes(now)
        return now

    def run(self) -> None:
        """Look until `stop`; a failure to write the disk is tried again."""
        while True:
            began = time.monotonic()
            with suppress(OSError):  # workers see that nothing was said for a while
                self.look()
            if self._stop.wait(max(EVERY - (time.monotonic() - began), _PAUSE)):
                return

    def start(self) -> None:
        """Look at once and from then on, in a thread."""
        threading.Thread(target=self.run, name="follower", daemon=True).start()

    def stop(self) -> None:
        """End after the look under way."""
        self._stop.set()

    def _follow(self, before: Routes, registered: dict[str, RegisteredRoute]) -> Routes:
        models: dict[str, ReleasedRoute] = {}
        unfetched: dict[str, dict[str, str]] = {}
        for name, one in registered.items():
            held_releases = before.models[name].releases if name in before.models else {}
            releases: dict[str, VariantRelease] = {}
            for variant, version in one.versions.items():
                try:
                    releases[variant] = self._release(version, held_releases.get(variant))
                except Exception as error:  # noqa: BLE001 - of one model; the others are followed all the same
                    if variant in held_releases:
                        releases[variant] = replace(held_releases[variant], trouble=_line(error))
                    else:
                        unfetched.setdefault(name, {})[variant] = _line(error)
            if one.route.default.name in releases:
                models[name] = ReleasedRoute(one.route, releases, one.ended)
        return Routes(models, self.clock(), None, unfetched)

    def _release(self, version: Version, held: VariantRelease | None) -> VariantRelease:
        release = version.tags.get("release", "")
        if held is not None and held.release == release and self._has(release):
            return VariantRelease(release, version.number, held.since)
        if not (release and self._has(release)):
            release = self._fetch(version)
        return VariantRelease(release, version.number, self.clock())

    def _fetch(self, version: Version) -> str:
        manifest = self.registry.manifest(version)
        reasons = Manifest.from_json(manifest).reasons
        content = None if reasons is None else read_reasons(self.registry, version, reasons.sha256)
        self.releases.save_files(fetch_files(self.registry, version, manifest), manifest)
        return self.releases.save_release(manifest, self.registry.onnx(version), content)

    def _has(self, release: str) -> bool:
        """Tell whether a release is here as published; files that nobody touched since are not read again."""
        signature = self.releases.signature(release)
        if signature is None or self._verified.get(release) != signature:
            if not self.releases.has(release):
                return False
            self._verified[release] = self.releases.signature(release)
        return True


def _line(error: Exception) -> str:
    return redact(f"{error}".split("\n", 1)[0])[:300] or type(error).__name__
