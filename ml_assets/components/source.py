"""`<folder>/raw/<source>`: files into the lake, checked."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_assets.components.base import Result, SpecComponent, spoken
from ml_assets.components.metadata import check_result, table
from ml_assets.components.naming import check_names
from ml_assets.components.resources import LakeResource, SettingsResource
from ml_assets.spec.source import SourceSpec

if TYPE_CHECKING:
    from ml_assets.ingest.ingest import Checked, Ingested, Note


class Source(SpecComponent[SourceSpec]):
    """A raw table: files that arrive below `data/incoming`, ingested exactly once and checked."""

    declaration = SourceSpec
    assets = ("raw",)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        """The raw asset with its checks."""
        key, spec = self.key("raw", self.spec.name), self.spec

        @self.asset(
            key,
            "deltalake",
            "greatexpectations",
            checks=list(self._checks(key)),
            description=spec.description or f"Files `{spec.files}`, ingested exactly once",
        )
        def raw(context: dg.AssetExecutionContext, lake: LakeResource, settings: SettingsResource) -> Result:
            from ml_assets.ingest.ingest import ingest  # pyarrow: not at load

            location, now = settings.incoming, datetime.now(UTC).replace(tzinfo=None)
            done = ingest(lake.open(), "/".join(key.path), spec, location, spoken(context), now=now)
            return Result(metadata=_metadata(done), check_results=list(_results(done, _names(spec))))

        return dg.Definitions(assets=[raw])

    def _checks(self, key: dg.AssetKey) -> Iterator[dg.AssetCheckSpec]:
        yield dg.AssetCheckSpec("files_readable", asset=key, description="Every delivered file could be taken")
        yield dg.AssetCheckSpec("schema", asset=key, description="New files have the columns and types of the table")
        for name, expectation in zip(_names(self.spec), self.spec.expectations, strict=True):
            yield dg.AssetCheckSpec(
                name,
                asset=key,
                blocking=expectation.severity == "block",
                description=f"{expectation.name}, severity {expectation.severity}",
            )


def _names(spec: SourceSpec) -> list[str]:
    return check_names("_".join([each.type.removeprefix("expect_"), *each.columns]) for each in spec.expectations)


def _metadata(done: "Ingested") -> dict[str, Any]:
    return {
        "dagster/row_count": done.rows,
        "new_files": len(done.new_files),
        "accepted": done.accepted,
        "quarantined": done.quarantined,
        "rows_in_quarantine": done.in_quarantine,
        "files": done.files,
        "latest_event": "none" if done.latest is None else done.latest.isoformat(sep=" "),
        "table_version": -1 if done.version is None else done.version,
        "warnings": dg.MetadataValue.json([*done.warnings]),
        "beside": dg.MetadataValue.json([*done.beside]),
        "left_where_they_are": dg.MetadataValue.json([asdict(note) for note in done.left]),
        "quarantine_reasons": dg.MetadataValue.json([asdict(reason) for reason in done.reasons]),
    }


def _results(done: "Ingested", names: Sequence[str]) -> Iterator[dg.AssetCheckResult]:
    left = [{"file": note.file, "reason": note.reason} for note in done.refused]
    yield check_result("files_readable", passed=not left, metadata={"left_where_they_are": table(left)})
    drift = [
        {"file": d.file, "column": d.column, "verdict": d.verdict, "detail": d.detail, "rows": d.unfit}
        for d in done.drift
    ]
    yield check_result("schema", passed=not drift, warning=True, metadata={"differences": table(drift)})
    for name, checked in zip(names, done.expectations, strict=True):
        notes = [note for note in done.held_back if checked.severity == "block" and checked.name in note.reason]
        yield _result(name, checked, notes)


def _result(name: str, checked: "Checked", notes: "Sequence[Note]") -> dg.AssetCheckResult:
    return check_result(
        name,
        passed=checked.success and not notes,
        warning=checked.severity != "block",
        metadata={
            "values": checked.elements,
            "unexpected": checked.unexpected,
            "files_failed": checked.failed,
            "held_back": table([{"file": note.file, "reason": note.reason} for note in notes]),
            "examples": ", ".join(checked.examples) or "none",
        },
    )
