"""The record of a candidate: what was checked of it, signed, and what a release and a reader take from it."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from ml_assets.decisions.gate import GateAction, GateVerdict
from ml_assets.decisions.release import ReleaseVerdict, apply_waivers, decide
from ml_assets.decisions.verdict import Verdict
from ml_assets.errors import TrainingError
from ml_assets.release.card import CardFacts, write_card
from ml_assets.release.chain import RecordRow, append_entry, last_entry, waivers
from ml_assets.release.checks import (
    AlertsEvidence,
    DocumentationEvidence,
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
    version, body = report.version, manifest(lake, registry, folder, report)
    content, packages = Manifest.from_json(body), auditor.packages()
    vulnerabilities = auditor.vulnerabilities()
    faults = scan_artifact(registry.onnx(version), [each.name for each in content.inputs], PROBABILITIES)
    security = SecurityEvidence(
        faults, packages and packages.number, vulnerabilities.vulnerable, vulnerabilities.reason, content.sha256
    )
    evaluation = sha256_of(required_file(registry, version, REPORT))
    found = ReleaseEvidence(report.verdict, evaluation, security, alerts, documentation)
    checks = apply_waivers(judge_candidate(found), waivers(lake, folder.name), now.date())
    verdict = decide(folder.spec.release.policy, checks)
    card = write_card(CardFacts(folder, content, record(registry, version), report.evaluation, checks))
    said = {
        "stage": "candidate",
        "version": version.number,
        "run_id": version.run_id,
        "as_of": str(version.as_of),
        "artifact": content.sha256,
        "manifest": body_sha256(body),
        "card": sha256_of(card),
        "sbom": packages and sha256_of(packages.sbom),
        "packages": _libraries(version),
        "checks": [asdict(check) for check in checks],
        "require": sorted(folder.spec.release.require),
        "ship": verdict.action is GateAction.SHIP,
        "reason": verdict.reason,
    }
    row = append_entry(lake, folder.name, key, said, circumstances={**_machine(), **origin}, now=now)
    _keep(registry, version, row, {"card.md": card, **({"sbom.cdx.json": packages.sbom} if packages else {})})
    return RecordedRelease(row, verdict)


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


def card_file(sha256: str) -> str:
    """Where the run of a version keeps a card."""
    return f"release/{sha256}.md"


def _keep(registry: Registry, version: Version, row: RecordRow, files: Mapping[str, bytes]) -> None:
    """Keep entry and files with the run; the entry last, and under its name, so that it is there with all others."""
    signed = row.read(version.model)
    if registry.read(version.run_id, record_file(row.sha256)) == signed.to_json():
        return
    kept = {f"release/{name}": content for name, content in files.items()}
    kept[card_file(signed.entry["card"])] = files["card.md"]
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
    version, body = report.version, manifest(lake, registry, folder, report)
    row = last_entry(lake, folder.name, "candidate", version.number)
    entry = {} if row is None else row.read(folder.name).entry
    if row is None or (entry["run_id"], entry["manifest"]) != (version.run_id, body_sha256(body)):
        raise TrainingError(
            f"{folder.name} version {version.number} has no record as it is declared today: materialize "
            f"{folder.name}/release_record first"
        )
    verdict = report.verdict
    if not entry["ship"]:
        verdict = Verdict(GateAction.HOLD, f"its release record says no: {entry['reason']}", verdict.numbers)
    return StandingRelease(verdict, replace(Manifest.from_json(body), record=row.sha256).to_json())
