"""Drift: does the current sample still look like the reference?

Every number is of all rows, column by column, and whoever needs no page (a replay over history) does not wait for one.

Evidently's own PSI is not used: its equal-width bins span both samples (Sturges), so one large order squeezes
everybody else into one bin, and each current sample cuts the same reference otherwise. Nor is its chi-square,
which takes the reference for the truth and so rejects too often.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ml_assets.errors import DeclarationError
from ml_assets.monitoring.drift import distances
from ml_assets.monitoring.drift.feature import FeatureDrift, Kind, judge, measure
from ml_assets.monitoring.drift.histogram import Histogram
from ml_assets.monitoring.drift.samples import Rows, open_sample
from ml_assets.spec.drift import DriftSpec


@dataclass(frozen=True)
class SampleComparison:
    """The comparison of two samples, feature by feature.

    Attributes:
        features: by name, in the order of the declaration, numeric ones first.
        rows_reference: all of them were compared.
        rows_current: the same of the current sample.
        chance: the p-value up to which a difference is more than chance, all tests of the report considered (Holm).
        share_drifted: drifted features among those with a verdict; None where no feature has one.
        histograms: of the features with values in both samples.
        html: the page, where one was written.
    """

    features: dict[str, FeatureDrift]
    rows_reference: int
    rows_current: int
    chance: float
    share_drifted: float | None
    histograms: Mapping[str, Histogram] = field(repr=False)
    html: str | None = None

    @property
    def drifted(self) -> list[str]:
        """The features that drifted."""
        return [name for name, feature in self.features.items() if feature.drifted]

    def to_json(self) -> dict[str, object]:
        """Plain dicts, strings, numbers and None, without the histograms."""
        return {name: value for name, value in asdict(self).items() if name != "histograms"}


def drift(
    reference: Rows,
    current: Rows,
    numeric: Sequence[str],
    categorical: Sequence[str],
    options: DriftSpec,
    html: Path | None = None,
    *,
    workers: int = 2,
) -> SampleComparison:
    """Compare two samples feature by feature, and write a page where `html` names a file.

    A limit counts only where chance does not explain the difference: of the p-values of the whole report, Holm's
    procedure rejects those that it may. So a population that does not change has a report with any drift at all in
    at most `options.false_alarms` of the dates, however many features there are and however they hang together.

    >>> import pyarrow as pa
    >>> before, after = (pa.table({"age": [float(n + shift) for n in range(500)]}) for shift in (0, 400))
    >>> drift(before, after, ["age"], [], DriftSpec()).drifted
    ['age']

    Args:
        reference: a table, a frame, or `samples.open_stored` rows, of which a column at a time is in memory.
        current: the same.
        numeric: features that are numbers.
        categorical: features that are categories.
        options: limits and bounds.
        html: of its folder, the last `options.keep` pages are kept. It appears whole or not at all.
        workers: features compared side by side.

    Raises:
        DataError: a sample has no rows, lacks a column, or a column is not of its declared kind.
        DeclarationError: a limit names a feature that is not there, or a feature is listed twice.
    """
    kinds: dict[str, Kind] = {**dict.fromkeys(numeric, "numeric"), **dict.fromkeys(categorical, "categorical")}
    names = [*numeric, *categorical]
    _require(names, options.features)
    before, after = (open_sample(side, rows, names) for side, rows in (("reference", reference), ("current", current)))
    with ThreadPoolExecutor(workers) as pool:  # NumPy, Arrow and DuckDB let go of the interpreter while they work
        measurements = pool.map(lambda name: measure(name, kinds[name], before, after, options), names)
        measured = dict(zip(names, measurements, strict=True))
    tests = [p_value for each in measured.values() for p_value in each.tests(options.min_rows)]
    chance = distances.holm(tests, options.false_alarms)
    features = {name: judge(each, options.limits(name), options.min_rows, chance) for name, each in measured.items()}
    verdicts = [feature.drifted for feature in features.values() if feature.drifted is not None]
    comparison = SampleComparison(
        features=features,
        rows_reference=before.rows,
        rows_current=after.rows,
        chance=chance,
        share_drifted=sum(verdicts) / len(verdicts) if verdicts else None,
        histograms={name: each.histogram for name, each in measured.items() if each.histogram},
        html=None if html is None else str(html),
    )
    if html is not None:
        from ml_assets.monitoring.drift.page import DriftPage, write

        write(html, DriftPage(comparison, options))
    return comparison


def _require(names: Sequence[str], limited: Iterable[str]) -> None:
    listed = ", ".join(names) or "none"
    if not names or len(set(names)) < len(names):
        raise DeclarationError(f"a drift report needs features, each listed once: listed are {listed}")
    if unknown := [name for name in limited if name not in names]:
        raise DeclarationError(f"drift limits for {', '.join(unknown)}: the features are {listed}")
