"""Releases on the disk of a server: what its follower fetched, and what its workers load.

`routes.json` says which releases answer for each model, and how the registry was when it was last asked. Files are
named by their SHA-256 and appear whole; so a server starts, and goes on, while the registry is away.
"""

import hashlib
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from ml_assets.decisions.route import CHAMPION, Route
from ml_assets.errors import RegistryError
from ml_assets.serving.models.trust import ReleaseFiles, ReleaseTrust, card_of
from ml_assets.storage.files import part_of, write_whole
from ml_assets.storage.manifest import Manifest, ManifestError


class VariantRelease(msgspec.Struct, frozen=True):
    """The release that answers for a variant.

    Args:
        release: the SHA-256 of its manifest.
        version: in the registry.
        since: when this server's follower first saw it as that variant, seconds since 1970.
        trouble: why a newer version is not it: it could not be fetched, or was never released.
    """

    release: str
    version: int
    since: float
    trouble: str | None = None


class ReleasedRoute(msgspec.Struct, frozen=True):
    """A route with the releases of its variants.

    Args:
        route: as the registry says it.
        releases: name of the variant → its release; the default variant has one.
        ended: experiments of these versions that have ended, each with its verdict.
    """

    route: Route
    releases: dict[str, VariantRelease]
    ended: dict[str, str] = {}

    @property
    def default(self) -> VariantRelease:
        """The release that answers by default."""
        return self.releases[self.route.default.name]

    @classmethod
    def of_champion(cls, model: str, release: VariantRelease) -> Self:
        """The route of a model whose champion answers everything."""
        route = Route.of_champion(model, release.version)
        return cls(route, {route.default.name: release})


class Routes(msgspec.Struct, frozen=True):
    """The routes of all models, as the follower found them.

    Args:
        models: by name; a model whose first release could not be fetched has none.
        asked: when the registry was last asked, seconds since 1970.
        trouble: why it did not answer; None: it did.
        unfetched: model → variant → why it has no release here.
    """

    models: dict[str, ReleasedRoute] = {}
    asked: float = 0.0
    trouble: str | None = None
    unfetched: dict[str, dict[str, str]] = {}


class _Champions(msgspec.Struct, frozen=True):
    """The file `champions.json` of releases before routes."""

    models: dict[str, VariantRelease] = {}
    asked: float = 0.0
    trouble: str | None = None
    refused: dict[str, str] = {}


@dataclass(frozen=True)
class Releases:
    """The folder of a server's releases; several servers may share it."""

    folder: Path
    trust: ReleaseTrust = field(default_factory=ReleaseTrust)

    @property
    def _status(self) -> Path:
        return self.folder / "routes.json"

    def last_change(self) -> float:
        """When the follower last wrote, by the file's own time; 0 before that."""
        try:
            return self._status.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def routes(self) -> Routes:
        """The routes that the follower wrote last; none before that.

        Raises:
            RegistryError: the file is damaged.
        """
        try:
            return self._read_routes()
        except (OSError, UnicodeDecodeError, RecursionError, msgspec.MsgspecError) as error:
            raise RegistryError(f"{self._status} cannot be read ({error}): remove it; it is fetched anew") from error

    def _read_routes(self) -> Routes:
        try:
            return msgspec.json.decode(self._status.read_bytes(), type=Routes)
        except FileNotFoundError:
            return self._champions_of_before()

    def _champions_of_before(self) -> Routes:
        """The champions that a release before routes wrote: a server starts with them while the registry is away."""
        try:
            old = msgspec.json.decode((self.folder / "champions.json").read_bytes(), type=_Champions)
        except (OSError, UnicodeDecodeError, RecursionError, msgspec.MsgspecError):
            return Routes()
        models = {name: ReleasedRoute.of_champion(name, release) for name, release in old.models.items()}
        return Routes(models, old.asked, old.trouble, {name: {CHAMPION: why} for name, why in old.refused.items()})

    def save_routes(self, routes: Routes) -> None:
        """Write the routes for the workers."""
        self._write(self._status, msgspec.json.encode(routes))

    def save_release(self, manifest: bytes, onnx: bytes, reasons: bytes | None = None) -> str:
        """Write a release and return its name. The manifest comes last, so one that is there has its files.

        Args:
            manifest: of the release.
            onnx: the artifact.
            reasons: what explains its answers; None: it was released without.
        """
        self._write(self._file(hashlib.sha256(onnx).hexdigest(), "onnx"), onnx)
        if reasons is not None:
            self._write(self._file(hashlib.sha256(reasons).hexdigest(), "npz"), reasons)
        name = hashlib.sha256(manifest).hexdigest()
        self._write(self._file(name, "json"), manifest)
        content = Manifest.from_json(manifest)
        self._write(self._by_version(content.model, content.version), name.encode())
        return name

    def save_files(self, files: ReleaseFiles, manifest: bytes) -> None:
        """Write the record of a release and its card, if that may be loaded; they come before its manifest.

        Raises:
            UnsignedReleaseError: it may not.
        """
        self.trust.verify(manifest, files.record)
        if files.record is not None:
            self._write(self._file(str(Manifest.from_json(manifest).record), "record"), files.record)
        if files.card is not None:
            self._write(self._file(hashlib.sha256(files.card).hexdigest(), "md"), files.card)

    def record(self, manifest: Manifest) -> bytes | None:
        """The signed record of a release; None where it is not here."""
        if manifest.record is msgspec.UNSET:
            return None
        with suppress(OSError):
            return self._file(manifest.record, "record").read_bytes()
        return None

    def card(self, manifest: Manifest) -> bytes | None:
        """The card of a release, if it is the one that its record names; None where it is not here."""
        record = self.record(manifest)
        name = record and card_of(record)
        with suppress(RegistryError):
            return self._read(name, "md") if name else None
        return None

    def require_trusted(self, release: str) -> None:
        """Return if a release may be loaded.

        Raises:
            UnsignedReleaseError: it may not.
            RegistryError: its manifest is missing, or not what was released.
        """
        self.trust.verify(self._read(release, "json"), self.record(self.manifest(release)))

    def has(self, release: str) -> bool:
        """Tell whether a release is here, with its artifact and its reasons, and may be loaded."""
        try:
            self.require_trusted(release)
            manifest = self.manifest(release)
            self.artifact(manifest)
            self.reasons(manifest)
        except (RegistryError, ManifestError):
            return False
        return True

    def signature(self, release: str) -> object:
        """Times and sizes of a release's files; None where one is missing."""
        try:
            files = [self._file(release, "json"), *self._parts(self.manifest(release))]
            return tuple((stat.st_mtime_ns, stat.st_size) for stat in (file.stat() for file in files))
        except (OSError, RegistryError, ManifestError):
            return None

    def manifest(self, release: str) -> Manifest:
        """The manifest of a release.

        Raises:
            RegistryError: it is missing, or not what was released.
        """
        return Manifest.from_json(self._read(release, "json"))

    def artifact(self, manifest: Manifest) -> bytes:
        """The ONNX file of a release.

        Raises:
            RegistryError: it is missing, or not what was released.
        """
        return self._read(manifest.sha256, "onnx")

    def reasons(self, manifest: Manifest) -> bytes | None:
        """The file that explains the answers of a release; None: it was released without.

        Raises:
            RegistryError: it is missing, or not what was released.
        """
        return None if manifest.reasons is None else self._read(manifest.reasons.sha256, "npz")

    def _parts(self, manifest: Manifest) -> list[Path]:
        own = [] if manifest.reasons is None else [self._file(manifest.reasons.sha256, "npz")]
        return [self._file(manifest.sha256, "onnx"), *own]

    def files(self, model: str) -> list[Path]:
        """The files that only this model needs; names of versions last: they say what the others are."""
        pointers = [path for path in self.folder.glob(f"{model}-*.release") if path.stem[len(model) + 1 :].isdigit()]
        files: list[Path] = []
        for pointer in pointers:
            release = pointer.read_text().strip()
            with suppress(RegistryError, ManifestError):
                manifest = self.manifest(release)
                files += self._parts(manifest)
                if (record := self.record(manifest)) is not None:
                    files += [self._file(str(manifest.record), "record"), self._file(card_of(record) or "none", "md")]
            files.append(self._file(release, "json"))
        return [*filter(Path.exists, files), *pointers]

    def forget(self, model: str) -> None:
        """Delete what was fetched of a model; the follower says whether it answers. May be called again."""
        for path in self.files(model):
            path.unlink(missing_ok=True)

    def manifest_of_version(self, model: str, version: str) -> Manifest | None:
        """The manifest of any version that was fetched here; None where none was."""
        release = self.release_of_version(model, version)
        return None if release is None else self.manifest(release)

    def release_of_version(self, model: str, version: str) -> str | None:
        """The last release of any version that was fetched here; None where none was."""
        try:
            return self._by_version(model, int(version)).read_text().strip()
        except (FileNotFoundError, ValueError):
            return None

    def _by_version(self, model: str, version: int) -> Path:
        return self.folder / f"{model}-{version}.release"

    def _file(self, digest: str, kind: str) -> Path:
        return self.folder / f"{digest}.{kind}"

    def _read(self, digest: str, kind: str) -> bytes:
        path = self._file(digest, kind)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RegistryError(
                f"{path} cannot be read ({error.strerror}): it is fetched again while the registry answers"
            ) from error
        if (actual := hashlib.sha256(content).hexdigest()) != digest:
            raise RegistryError(
                f"{path}: its SHA-256 is {actual[:12]}…, released was {digest[:12]}…: it is refused, and fetched again"
            )
        return content

    def _write(self, path: Path, content: bytes) -> None:
        """Whole or not at all, whoever else writes the same."""
        write_whole(path, content, part=part_of(path, shared=True), mode=0o600)

    @classmethod
    def at(cls, data: Path, keys: Collection[str] = ()) -> Self:
        """Those of a data folder; where there are `keys`, only what one of them signed is loaded."""
        return cls(data / "serving", ReleaseTrust(keys))
