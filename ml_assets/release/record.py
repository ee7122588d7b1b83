"""The record of a candidate: what was checked of it, signed, and what a release and a reader take from it."""

import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from msgspec import UNSET

from ml_assets.decisions.gate import GateAction, GateVerdict
from ml_assets.decisions.release import Check, ReleaseVerdict, apply_waivers, decide
from ml_assets.decisions.verdict import Verdict
from ml_assets.errors import TrainingError
from ml_assets.release.card import CardFacts, write_card
from ml_assets.release.chain import RecordRow, append_entry, last_entry, ledger, waivers
from ml_assets.release.checks import (
    AlertsEvidence,
    DocumentationEvidence,
    ExplainabilityEvidence,
    ReleaseEvidence,
    SecurityEvidence,
    judge_candidate,
)
from ml_assets.release.scan import PackageAuditor, scan_artifact, sha256_of
from ml_assets.release.sign import ReleaseKey
from ml_assets.release.text import record_markdown
from ml_assets.storage.lake import Lake
from ml_assets.storage.manifest import PROBABILITIES, Manifest, body_sha256
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.changes import from_tag
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.evaluation import REPORT
from ml_assets.training.explanations import VersionExplanations, explain_version, read_explanations
from ml_assets.training.fairness import fairness_outcome
from ml_assets.training.publish import manifest
from ml_assets.training.record import record, required_file
from ml_assets.training.report import Report


@dataclass(frozen=True)
class RecordedRelease:
    """A candidate's entry, and what it came to.

    Args:
        row: of the record.
        verdict: of the policy.
    """

    row: RecordRow
    verdict: ReleaseVerdict

    def metadata(self) -> dict[str, Any]:
        """The numbers that a person looks at first."""
        counts = {"entry": self.row.number, "sha256": self.row.sha256, "version": self.row.version}
        return counts | {"ship": self.verdict.action is GateAction.SHIP, "reason": self.verdict.reason}


def record_candidate(
    lake: Lake,
    registry: Registry,
    folder: ModelDefinition,
    report: Report,
    *,
    key: ReleaseKey,
    auditor: PackageAuditor,
    alerts: AlertsEvidence,
    documentation: DocumentationEvidence,
    origin: Mapping[str, str],
    now: datetime,
) -> RecordedRelease:
    """Judge a candidate that was evaluated, and write what came of it; what stands already is not written again.

    Args:
        lake: where the record is.
        registry: where the version is.
        folder: the model.
        report: of the version.
        key: that signs.
        auditor: of the packages.
        alerts: what is known of the outbox.
        documentation: what is known of the folder.
        origin: which run and commit this is.
        now: naive UTC.
    """
    version, rows = report.version, ledger(folder.name).history(lake)
    stands = _last_kept(registry, version, rows)
    explained = explain_version(lake, registry, folder, version, report.evaluation)
    judged = _judged(registry, folder, report, explained)
    body = _body(registry, version, stands, judged) or manifest(lake, registry, folder, report)
    content, packages = Manifest.from_json(body), _packages(auditor, stands)
    vulnerabilities = auditor.vulnerabilities()
    faults = scan_artifact(registry.onnx(version), [each.name for each in content.inputs], PROBABILITIES)
    security = SecurityEvidence(
        faults, packages.number, vulnerabilities.vulnerable, vulnerabilities.reason, content.sha256
    )
    evaluation = sha256_of(required_file(registry, version, REPORT))
    fairness = fairness_outcome(registry, folder, version)
    found = ReleaseEvidence(report.verdict, evaluation, security, alerts, documentation, fairness, _fidelity(explained))
    checks = apply_waivers(judge_candidate(found), waivers(folder.name, rows), now.date())
    verdict = decide(folder.spec.release.policy, checks)
    card = write_card(CardFacts(folder, content, record(registry, version), report.evaluation, checks))
    said = {
        "stage": "candidate",
        "version": version.number,
        "run_id": version.run_id,
        "as_of": str(version.as_of),
        "artifact": content.sha256,
        "manifest": body_sha256(body),
        "reasons": explained.sha256,
        "judged": judged,
        "card": sha256_of(card),
        "sbom": packages.sha256,
        "listed": packages.number,
        "lock": packages.lock,
        "packages": _libraries(version),
        "checks": [_plain(check) for check in checks],
        "require": sorted(folder.spec.release.require),
        "ship": verdict.action is GateAction.SHIP,
        "reason": verdict.reason,
    }
    row = append_entry(lake, folder.name, key, said, circumstances={**_machine(), **origin}, now=now)
    if stands is None or row != stands.row:
        files = {"card.md": card} | ({} if packages.sbom is None else {"sbom.cdx.json": packages.sbom})
        _keep(registry, version, row, files, replace(content, record=row.sha256).to_json())
    return RecordedRelease(row, verdict)


@dataclass(frozen=True)
class _Kept:
    """The last entry of a version, whose files are all with its run."""

    row: RecordRow
    entry: Mapping[str, Any]


def _last_kept(registry: Registry, version: Version, rows: Sequence[RecordRow]) -> _Kept | None:
    """None where there is none, or whoever wrote it was killed before its files were kept."""
    mine = [row for row in rows if row.stage == "candidate" and row.version == version.number]
    if not mine or registry.read(version.run_id, record_file(mine[-1].sha256)) is None:
        return None
    entry = mine[-1].read(version.model).entry
    return _Kept(mine[-1], entry) if entry["run_id"] == version.run_id else None


@dataclass(frozen=True)
class _Listed:
    """The list of packages, and the lock file that it was made of; `sbom` is None where it is kept already."""

    sha256: str | None
    number: int | None
    lock: str | None
    sbom: bytes | None


def _packages(auditor: PackageAuditor, stands: _Kept | None) -> _Listed:
    lock = auditor.lock()
    if stands is not None and lock is not None and stands.entry.get("lock") == lock and stands.entry["sbom"]:
        return _Listed(stands.entry["sbom"], stands.entry["listed"], lock, None)
    packages = auditor.packages()
    if packages is None:
        return _Listed(None, None, lock, None)
    return _Listed(sha256_of(packages.sbom), packages.number, lock, packages.sbom)


def _fidelity(explained: VersionExplanations) -> ExplainabilityEvidence:
    seen = explained.fidelity
    return ExplainabilityEvidence(seen.additivity, seen.agreement, seen.effect, seen.random_effect, explained.sha256)


def _body(registry: Registry, version: Version, stands: _Kept | None, judged: str) -> bytes | None:
    """The manifest that is kept, without its record; None where what it follows from has changed.

    To make it anew reads the training set, which takes longer than all checks together.
    """
    if stands is None or stands.entry.get("judged") != judged:
        return None
    content = registry.read(version.run_id, manifest_file(stands.row.sha256))
    if content is None or body_sha256(content) != stands.entry["manifest"]:
        return None
    return replace(Manifest.from_json(content), record=UNSET).to_json()


def _judged(registry: Registry, folder: ModelDefinition, report: Report, explained: VersionExplanations | None) -> str:
    """A digest of what a manifest follows from, beside the version: declaration, evaluation, reasons, its fields.

    Args:
        registry: whose address stands in it.
        folder: the declaration.
        report: of the version.
        explained: its reasons.
    """
    evaluation, verdict = report.evaluation, report.verdict
    parts = (
        folder.spec.model_dump_json(), folder.extract, registry.ui, [each.name for each in fields(Manifest)],
        evaluation.metrics, evaluation.threshold, verdict.reason, verdict.numbers, explained and explained.sha256,
    )  # fmt: skip
    return sha256_of(repr(parts).encode())


def _plain(check: Check) -> dict[str, Any]:
    """A check for JSON, which has no word for a number that is none."""
    numbers = {"value": check.value, "limit": check.limit}
    finite = {name: each if each is not None and math.isfinite(each) else None for name, each in numbers.items()}
    return asdict(check) | finite


def _libraries(version: Version) -> dict[str, str]:
    """The libraries that the fit depends on, with the versions that it was made with."""
    parts = from_tag(version.tags.get("parts"))
    return dict(parts["libraries"]) if parts else {}


def _machine() -> dict[str, Any]:
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }


def record_file(sha256: str) -> str:
    """Where the run of a version keeps a signed entry: under its SHA-256, as manifests are kept."""
    return f"release/{sha256}.json"


def manifest_file(sha256: str) -> str:
    """Where the run of a version keeps the manifest that names an entry."""
    return f"release/{sha256}.manifest.json"


def card_file(sha256: str) -> str:
    """Where the run of a version keeps a card."""
    return f"release/{sha256}.md"


def _keep(registry: Registry, version: Version, row: RecordRow, files: Mapping[str, bytes], manifest: bytes) -> None:
    """Keep entry and files with the run; the entry last, and under its name, so that it is there with all others.

    Args:
        registry: where the run is.
        version: whose run it is.
        row: the entry.
        files: for people, by name.
        manifest: that names the entry.
    """
    signed = row.read(version.model)
    kept = {f"release/{name}": content for name, content in files.items()}
    kept[card_file(signed.entry["card"])] = files["card.md"]
    kept[manifest_file(row.sha256)] = manifest
    kept["release/record.json"] = signed.to_json()
    kept["release/record.md"] = record_markdown(row, signed.entry).encode()
    registry.write(version.run_id, kept)
    registry.write(version.run_id, {record_file(row.sha256): signed.to_json()})


@dataclass(frozen=True)
class StandingRelease:
    """What a version may be released with.

    Args:
        verdict: of its gates, or why its record keeps it.
        manifest: names the record.
    """

    verdict: GateVerdict
    manifest: bytes


def standing_release(lake: Lake, registry: Registry, folder: ModelDefinition, report: Report) -> StandingRelease:
    """The manifest of a version with the record that stands for it.

    Args:
        lake: where the record is.
        registry: where the version is.
        folder: the model.
        report: of the version.

    Raises:
        TrainingError: there is no record of this version as it is declared today.
    """
    version = report.version
    row = last_entry(lake, folder.name, "candidate", version.number)
    entry = {} if row is None else row.read(folder.name).entry
    content = None if row is None else registry.read(version.run_id, manifest_file(row.sha256))
    judged = _judged(registry, folder, report, read_explanations(registry, version))
    stands = (entry.get("run_id"), entry.get("judged")) == (version.run_id, judged)
    if row is None or content is None or not stands or body_sha256(content) != entry["manifest"]:
        raise TrainingError(
            f"{folder.name} version {version.number} has no record as it is declared today: materialize "
            f"{folder.name}/release_record first"
        )
    verdict = report.verdict
    if not entry["ship"]:
        verdict = Verdict(GateAction.HOLD, f"its release record says no: {entry['reason']}", verdict.numbers)
    return StandingRelease(verdict, content)
