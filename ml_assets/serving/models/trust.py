"""Signed records beside releases: fetched with them, kept under their SHA-256, and asked before a release is loaded."""

from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from ml_assets.errors import RegistryError
from ml_assets.storage.manifest import Manifest, body_sha256
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.signed import SignatureError, SignedEntry

UNSIGNED = "unsigned-release"
"""What `/health` says of a release that is refused for want of a signature that is trusted."""


class UnsignedReleaseError(RegistryError):
    """A release that nobody who is trusted has signed, or that is not what was signed."""


@dataclass(frozen=True)
class ReleaseFiles:
    """The record of a release and the card that it names; None where the release has none."""

    record: bytes | None = None
    card: bytes | None = None


def fetch_files(registry: Registry, version: Version, manifest: bytes) -> ReleaseFiles:
    """What the run of a version keeps beside its manifest.

    Args:
        registry: where the version is.
        version: that was released.
        manifest: of the release; it names the record.
    """
    named = Manifest.from_json(manifest).record
    if named is msgspec.UNSET:
        return ReleaseFiles()
    record = registry.read(version.run_id, f"release/{named}.json")
    if record is None:
        return ReleaseFiles()
    card = card_of(record)
    return ReleaseFiles(record, registry.read(version.run_id, f"release/{card}.md") if card else None)


def card_of(record: bytes) -> str | None:
    """The SHA-256 of the card that a record names; None where it cannot be told."""
    try:
        card = SignedEntry.from_json(record, "the release record").entry.get("card")
    except SignatureError:
        return None
    return card if isinstance(card, str) else None


@dataclass(frozen=True)
class ReleaseTrust:
    """Whose releases are loaded.

    Args:
        keys: public keys; none: whatever was released, as long as a record that it names fits it.
    """

    keys: Collection[str] = ()

    def verify(self, manifest: bytes, record: bytes | None) -> None:
        """Return if a release may be loaded.

        Args:
            manifest: of the release.
            record: that it names; None: it is not here.

        Raises:
            UnsignedReleaseError: it may not; the message begins with `unsigned-release`.
        """
        content = Manifest.from_json(manifest)
        who = f"{content.model} version {content.version}"
        if record is None:
            if self.keys:
                raise UnsignedReleaseError(
                    f"{UNSIGNED}: {who} has no signed record: `ml-assets run {content.model}` releases it with one"
                )
            return
        what = f"the release record of {who}"
        try:
            signed = SignedEntry.from_json(record, what)
            signed.verify(what, self.keys)
        except SignatureError as error:
            raise UnsignedReleaseError(f"{UNSIGNED}: {error}") from error
        said = signed.entry.get("manifest"), signed.entry.get("artifact"), signed.sha256
        if said != (body_sha256(manifest), content.sha256, content.record):
            raise UnsignedReleaseError(f"{UNSIGNED}: {what} is that of another release: restore the manifest")
