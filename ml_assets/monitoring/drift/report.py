"""The drift report of an as-of date: the population as the champion sees it, against its reference."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ml_assets.errors import DataError
from ml_assets.monitoring.drift import model_drift as answers
from ml_assets.monitoring.drift import reference
from ml_assets.monitoring.drift import table as report_table
from ml_assets.monitoring.drift.attribution import AttributionDrift
from ml_assets.monitoring.drift.compare import SampleComparison, drift
from ml_assets.monitoring.drift.feature import FeatureDrift, Kind
from ml_assets.monitoring.drift.reference import Reference
from ml_assets.monitoring.drift.samples import EmptySampleError, InMemory, SampleColumns
from ml_assets.monitoring.drift.score_drift import Change, ScoreDrift
from ml_assets.monitoring.drift.table import Contents
from ml_assets.monitoring.html_files import EVIDENTLY
from ml_assets.spec.drift import DriftSpec
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.tables import ModelTables, as_of_key
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.frame import FeatureColumns as Inputs
from ml_assets.training.record import TrainingRecord
from ml_assets.training.score import champion_record, feature_rows, input_fingerprints

_ENGINE = 2  # raised when the same rows give other numbers: all reports are then made anew


@dataclass(frozen=True)
class DriftReport:
    """The drift of an as-of date.

    Args:
        contents: everything that it says.
        champion: the version that sees the population.
        reused: it stood already.
        table_version: of `<folder>/drift_report`.
    """

    contents: Contents
    champion: Version
    reused: bool
    table_version: int | None

    @property
    def features(self) -> Mapping[str, FeatureDrift]:
        """Feature → its numbers and verdict."""
        return self.contents.features

    @property
    def drifted(self) -> list[str]:
        """The features that drifted."""
        return [name for name, feature in self.features.items() if feature.drifted]

    @property
    def html(self) -> str | None:
        """The page that a person opens; None without a reference."""
        return self.contents.html

    @property
    def evidently(self) -> str | None:
        """Evidently's page of a sample, where one was written."""
        return self.contents.evidently

    @property
    def reference(self) -> str:
        """The reference that the population was compared with, in words."""
        return self.contents.reference

    @property
    def scores(self) -> ScoreDrift | None:
        """The champion's scores; None without a reference."""
        return self.contents.scores

    @property
    def attribution(self) -> AttributionDrift | None:
        """The change of the features that the champion leans on; None without a reference."""
        return self.contents.attribution

    def metadata(self) -> dict[str, float | int | str]:
        """The plain numbers of the whole, beside those of the features; what is not known is left out."""
        contents, scores, leant = self.contents, self.scores, self.attribution
        numbers: dict[str, float | None] = {
            "rows_reference": contents.rows_reference,
            "rows_current": contents.rows_current,
        }
        if scores is not None:
            numbers |= {"score_psi": scores.psi, "score_ks_statistic": scores.ks_statistic}
            numbers |= _change("score_mean", scores.mean) | _change("score_share", scores.share)
        if leant is not None:
            numbers["attribution_ndcg"] = leant.ndcg
        metadata: dict[str, float | int | str] = {"reference": contents.reference, "drifted": len(self.drifted)}
        return metadata | {name: value for name, value in numbers.items() if value is not None}


def _change(name: str, change: Change | None) -> dict[str, float | None]:
    if change is None:
        return {}
    return {
        f"{name}_reference": change.reference,
        f"{name}_current": change.current,
        f"{name}_difference": change.difference,
        f"{name}_difference_low": change.low,
        f"{name}_difference_high": change.high,
    }


def drift_report(
    lake: Lake,
    registry: Registry,
    folder: ModelDefinition,
    spec: DriftSpec,
    as_of: date,
    *,
    pages: Path,
    workers: int = 2,
) -> DriftReport:
    """Compare the population at `as_of` with the reference; kept in the lake, and nothing is done where it stands.

    Where there is no reference yet, no feature has a verdict, and the reason says why.

    Args:
        lake: where the rows are and the report is kept.
        registry: who is champion.
        folder: the model.
        spec: the reference, limits and bounds.
        as_of: `T`.
        pages: the folder of the pages, a folder a model.
        workers: as-of dates and features computed side by side.

    Raises:
        DataError: there is no champion yet, or nobody in the population: what stood there is withdrawn.
    """
    champion, record = champion_record(registry, folder)
    compared = reference.choose(spec, folder.spec.cadence, as_of, champion)
    days = [as_of] if compared.day is None else [as_of, compared.day]
    rows_of = [input_fingerprints(lake, folder, record, day) for day in days]
    fingerprint = fingerprint_of(_ENGINE, champion.tags["sha256"], record.version, rows_of, spec.model_dump_json())

    def make() -> Contents:
        page = pages / folder.name / f"drift_{as_of}_version_{champion.number}.html"
        try:
            return _contents(lake, registry, folder, champion, record, compared, spec, as_of, page, workers)
        except EmptySampleError:
            report_table.withdraw(lake, folder.name, as_of)
            raise

    kept_report = report_table.keep(lake, folder.name, as_of, champion.number, fingerprint, make)
    contents = _beside(report_table.read(lake, folder.name, as_of), pages / folder.name)
    return DriftReport(contents, champion, kept_report.reused, kept_report.version)


def read(lake: Lake, model: str, as_of: date, champion: Version, *, pages: Path) -> DriftReport | None:
    """The report of an as-of date as it stands; None where nobody was in the population, or it is of another version.

    Args:
        lake: where it stands.
        model: the model folder's name.
        as_of: `T`.
        champion: the version that it must be of.
        pages: the folder of the pages, a folder a model.

    Raises:
        DataError: no report was made for this date.
    """
    table = ModelTables(model).drift_report
    if lake.record(table, as_of_key(as_of)) is None:
        raise DataError(f"there is no drift_report of {model} as of {as_of}: materialize {table} first")
    if report_table.model_version(lake, model, as_of) != champion.number:
        return None
    contents = _beside(report_table.read(lake, model, as_of), pages / model)
    return DriftReport(contents, champion, True, lake.version(table))


def _beside(contents: Contents, pages: Path) -> Contents:
    """With the pages where they are now: the data folder may have been moved since they were written."""
    html, evidently = (path and str(pages / Path(path).name) for path in (contents.html, contents.evidently))
    return replace(contents, html=html, evidently=evidently)


def _contents(
    lake: Lake, registry: Registry, folder: ModelDefinition, champion: Version, record: TrainingRecord,
    compared: Reference, spec: DriftSpec, as_of: date, page: Path, workers: int,
) -> Contents:  # fmt: skip
    current = InMemory(feature_rows(lake, folder, record, [as_of], workers=workers))
    with reference.open_reference(lake, folder, record, compared, workers=workers) as before:
        if before is None:
            return _none_yet(record.columns, compared)
        comparison = drift(before, current, record.columns.numeric, record.columns.categorical, spec, workers=workers)
        leaning = answers.compare(lake, registry, champion, record, compared, before, current, spec)
        contents = Contents(
            comparison.features, compared.text, comparison.rows_reference, comparison.rows_current, comparison.chance,
            leaning.scores, leaning.attribution, str(page),
            _evidently(page, before, current, comparison, spec),
        )  # fmt: skip
    _page(page, f"Drift of {folder.name} at {as_of}", contents, comparison, leaning, spec)
    return contents


def _none_yet(columns: Inputs, chosen: Reference) -> Contents:
    why = chosen.missing or f"no reference yet: nobody is in the {chosen.text}"
    kinds: dict[str, Kind] = {
        **dict.fromkeys(columns.numeric, "numeric"),
        **dict.fromkeys(columns.categorical, "categorical"),
    }
    return Contents({name: FeatureDrift(kind, None, None, None, why) for name, kind in kinds.items()}, chosen.text)


def _evidently(
    page: Path, before: SampleColumns, after: SampleColumns, found: SampleComparison, spec: DriftSpec
) -> str | None:
    if spec.evidently == "never" or (spec.evidently == "drifted" and not found.drifted):
        return None
    from ml_assets.monitoring.drift.evidently import SignificanceRule, write

    path = page.with_name(f"{page.stem}{EVIDENTLY}")
    kinds = {name: feature.kind for name, feature in found.features.items()}
    return None if write(path, before, after, kinds, SignificanceRule(spec, found.chance)) is None else str(path)


def _page(
    page: Path, title: str, shown: Contents, found: SampleComparison, leaning: answers.ModelDrift, spec: DriftSpec
) -> None:
    from ml_assets.monitoring.drift.page import DriftPage, write

    link = None if shown.evidently is None else Path(shown.evidently).name
    scores = leaning.scores, leaning.histogram
    write(page, DriftPage(found, spec, title, shown.reference, scores, leaning.attribution, link))
