"""The drift report of an as-of date: the population as the champion sees it, against its training sample."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from ml_assets.lake import Lake, fingerprint_of
from ml_assets.monitoring.drift import Drift, drift
from ml_assets.monitoring.feature import FeatureDrift
from ml_assets.monitoring.spec import DriftSpec
from ml_assets.registry import Registry, Version
from ml_assets.training import dataset
from ml_assets.training.folder import Folder
from ml_assets.training.score import prints, rows, standing


@dataclass(frozen=True)
class DriftReport:
    """The drift of an as-of date.

    Args:
        features: feature → its numbers and verdict.
        champion: the version whose training sample is the reference.
        html: the page that a person opens.
        reused: it stood already.
        table_version: of `<folder>/drift_report`.
    """

    features: Mapping[str, FeatureDrift]
    champion: Version
    html: str | None
    reused: bool
    table_version: int | None

    @property
    def drifted(self) -> list[str]:
        """The features that drifted."""
        return [name for name, feature in self.features.items() if feature.drifted]


def drift_report(
    lake: Lake,
    registry: Registry,
    folder: Folder,
    spec: DriftSpec,
    as_of: date,
    *,
    pages: Path,
    workers: int = 2,
) -> DriftReport:
    """Compare the population at `as_of` with the champion's training sample; kept in the lake, one row a feature.

    Raises:
        DataError: there is no champion yet.
    """
    champion, kept = standing(registry, folder)
    seen = prints(lake, folder, kept, as_of)
    fingerprint = fingerprint_of(champion.tags["sha256"], kept.version, seen, spec.model_dump_json())
    table, key = f"{folder.name}/drift_report", f"as_of={as_of}"
    reused = lake.record(table, key) == fingerprint
    if not reused:
        current = rows(lake, folder, kept, [as_of], workers=workers)
        reference = dataset.read(lake, kept.table, kept.as_of, kept.version)
        page = pages / folder.name / f"drift_{as_of}_version_{champion.number}.html"
        found = drift(reference, current, kept.columns.numeric, kept.columns.categorical, spec, page)
        lake.replace(table, _table(found, champion, as_of), values=[as_of], records={key: fingerprint})
    features, html = _read(lake, table, as_of)
    return DriftReport(features, champion, html, reused, lake.version(table))


def _table(found: Drift, champion: Version, as_of: date) -> pa.Table:
    kinds = {"str": pa.string(), "bool": pa.bool_(), "float": pa.float64()}
    schema = pa.schema(
        [
            ("as_of", pa.date32()),
            ("feature", pa.string()),
            ("model_version", pa.int64()),
            ("html", pa.string()),
        ]
        + [
            (f.name, next((k for word, k in kinds.items() if word in str(f.type)), pa.string()))
            for f in fields(FeatureDrift)
        ]
    )
    fixed = {"as_of": as_of, "model_version": champion.number, "html": found.html}
    made = [fixed | {"feature": name} | asdict(feature) for name, feature in found.features.items()]
    return pa.Table.from_pylist(made, schema=schema)


def _read(lake: Lake, table: str, as_of: date) -> tuple[dict[str, FeatureDrift], str | None]:
    found: list[dict[str, Any]] = lake.query("SELECT * FROM d WHERE as_of = $day", {"day": as_of}, d=table).to_pylist()
    names = [field.name for field in fields(FeatureDrift)]
    features = {row["feature"]: FeatureDrift(**{name: row[name] for name in names}) for row in found}
    return features, found[0]["html"] if found else None
