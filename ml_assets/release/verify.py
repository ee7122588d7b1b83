"""Whether a release is what was signed: the chain, the manifest, the artifact, the card."""

from collections.abc import Collection
from dataclasses import dataclass

from ml_assets.errors import RegistryError, TrainingError
from ml_assets.release.chain import RecordError, RecordRow, ledger, verify_chain
from ml_assets.release.record import card_file, record_file
from ml_assets.release.scan import sha256_of
from ml_assets.storage.lake import Lake
from ml_assets.storage.manifest import Manifest, ManifestError, body_sha256
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.signed import key_id


@dataclass(frozen=True)
class VerifiedRelease:
    """A release that is what was signed.

    Args:
        version: of the model.
        row: its entry.
        entries: of the whole record.
        keys: the names of the keys that signed them.
    """

    version: Version
    row: RecordRow
    entries: int
    keys: tuple[str, ...]

    def __str__(self) -> str:
        alone = self.entries == 1
        chain = "the only one" if alone else f"and all {self.entries} follow one another"
        return (
            f"{self.version.model} version {self.version.number}: artifact, manifest and card are those of entry "
            f"{self.row.number} ({self.row.sha256[:8]}…), {chain}; signed by {', '.join(self.keys)}"
        )


def verify_release(lake: Lake, registry: Registry, version: Version, trusted: Collection[str]) -> VerifiedRelease:
    """Read all that a release consists of again, and compare it with what was signed.

    Args:
        lake: where the record is.
        registry: where manifest, artifact and card are.
        version: that was released.
        trusted: public keys; none: anybody's.

    Raises:
        RecordError: something is not what was signed; it is named.
        TrainingError: the version was released without a record.
    """
    model = version.model
    rows = ledger(model).history(lake)
    verify_chain(model, rows, trusted)
    try:
        row = _of_release(registry, version, rows)
        _require_files(registry, version, row)
    except (RegistryError, ManifestError) as error:
        raise RecordError(str(error)) from error
    return VerifiedRelease(version, row, len(rows), tuple(dict.fromkeys(key_id(each.key) for each in rows)))


def _of_release(registry: Registry, version: Version, rows: list[RecordRow]) -> RecordRow:
    """The entry that the manifest of a version names, if it vouches for that manifest."""
    who, content = f"{version.model} version {version.number}", registry.manifest(version)
    named = Manifest.from_json(content).record
    if not isinstance(named, str):
        raise TrainingError(
            f"{who} was released without a record: `ml-assets run {version.model}` records and releases it anew"
        )
    row = next((each for each in rows if each.sha256 == named), None)
    if row is None:
        raise RecordError(f"release record of {who}: entry {named[:8]}…, which its manifest names, is gone: restore it")
    entry = row.read(version.model).entry
    said = entry["version"], entry["run_id"], entry["manifest"], entry["ship"]
    if said != (version.number, version.run_id, body_sha256(content), True):
        raise RecordError(f"release record of {who}: entry {row.number} is of another release: restore the manifest")
    return row


def _require_files(registry: Registry, version: Version, row: RecordRow) -> None:
    who, entry = f"{version.model} version {version.number}", row.read(version.model).entry
    if sha256_of(registry.onnx(version)) != entry["artifact"]:
        raise RecordError(f"{who}: the artifact is not the recorded {entry['artifact'][:8]}…: restore the file")
    expected = {card_file(entry["card"]): entry["card"]}
    if entry.get("reasons"):
        expected[f"release/{entry['reasons']}.npz"] = entry["reasons"]
    if entry["sbom"]:
        expected["release/sbom.cdx.json"] = entry["sbom"]
    for path, digest in expected.items():
        content = registry.read(version.run_id, path)
        if content is None or sha256_of(content) != digest:
            raise RecordError(f"{who}: {path} is not the recorded {digest[:8]}…: restore the file")
    kept = registry.read(version.run_id, record_file(row.sha256))
    if kept != row.read(version.model).to_json():
        raise RecordError(f"{who}: {record_file(row.sha256)} is not entry {row.number}: restore the file")
