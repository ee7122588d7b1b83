"""One feature in both samples: its distances first, and whether they pass a limit once all p-values are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ml_assets.monitoring.drift import distances, histogram
from ml_assets.monitoring.drift.histogram import Histogram
from ml_assets.monitoring.drift.samples import SampleColumns, align, numbers, words
from ml_assets.spec.drift import DriftLimits, DriftSpec

Kind = Literal["numeric", "categorical"]
Numbers = Mapping[str, float | None]


@dataclass(frozen=True)
class FeatureDrift:
    """One feature in both samples. A number that cannot be had is None, and `reason` says why.

    Beside each p-value stands what it is about: PSI or the Jensen–Shannon distance for `chi_square_p`, the K-S
    statistic for `ks_p_value`, the change of the missing share for `missing_p_value`. (Not Cramér's V: for the same
    shares it depends on how many times larger the reference is.)

    Attributes:
        kind: numeric features have a PSI and K-S, categorical ones a Jensen–Shannon distance.
        missing_reference: the share of rows without a value; infinite numbers count.
        missing_current: the same in the current sample.
        drifted: None where it cannot be told: nothing to compare, too few rows, or no limit set.
        reason: the limits that were passed, with the numbers; else what was compared.
        chi_square_p: of the bins or categories.
        mean_shift: how far the mean moved, in standard deviations of the reference.
        missing_p_value: chi-square, of the rows with and without a value.
        severity: the largest of the numbers as a multiple of its limit, to sort by.
    """

    kind: Kind
    missing_reference: float | None
    missing_current: float | None
    drifted: bool | None
    reason: str
    psi: float | None = None
    ks_statistic: float | None = None
    ks_p_value: float | None = None
    jensen_shannon: float | None = None
    chi_square_p: float | None = None
    mean_shift: float | None = None
    missing_p_value: float | None = None
    severity: float | None = None


@dataclass(frozen=True)
class FeatureDistances:
    """The numbers of a feature before anybody judges them.

    Args:
        kind: of the feature.
        rows: of the reference and the current sample.
        present: those of them with a value.
        numbers: of the values, by the names of `FeatureDrift`; empty where a sample has none.
        missing_p_value: None where no row, or every row, has a value.
        histogram: None where a sample has no values.
    """

    kind: Kind
    rows: tuple[int, int]
    present: tuple[int, int]
    numbers: Numbers
    missing_p_value: float | None
    histogram: Histogram | None

    @property
    def missing(self) -> tuple[float, float]:
        """The share of rows without a value, in both samples."""
        before, after = (1 - here / all_ for here, all_ in zip(self.present, self.rows, strict=True))
        return before, after

    def tests(self, min_rows: int) -> list[float]:
        """The p-values that may take part in a verdict."""
        if min(self.rows) < min_rows:
            return []
        tests = ("ks_p_value", "chi_square_p") if min(self.present) >= min_rows else ()
        p_values = [self.missing_p_value, *(self.numbers.get(name) for name in tests)]
        return [p_value for p_value in p_values if p_value is not None]


@dataclass(frozen=True)
class _Check:
    """A number against its limit; a limit that is None decides nothing."""

    text: str
    limit: float | None
    passed: bool
    severity: float | None = None


def measure(
    name: str, kind: Kind, reference: SampleColumns, current: SampleColumns, spec: DriftSpec
) -> FeatureDistances:
    """Every number of one feature, from all rows of both samples.

    Args:
        name: of the feature.
        kind: whether it is numbers or categories.
        reference: the sample that the other is compared with.
        current: the other.
        spec: bins and bounds.

    Raises:
        DataError: the column is not of its kind.
    """
    rows = reference.rows, current.rows
    present, numbers, drawing = (_numbers if kind == "numeric" else _categories)(name, reference, current, spec)
    counts = [np.array([here, all_ - here]) for here, all_ in zip(present, rows, strict=True)]
    return FeatureDistances(kind, rows, present, numbers, distances.chi_square_p(counts[0], counts[1]), drawing)


def judge(measured: FeatureDistances, limits: DriftLimits, min_rows: int, chance: float) -> FeatureDrift:
    """The verdict; a p-value above `chance` lets no limit pass.

    Args:
        measured: its numbers.
        limits: of this feature; one that is None decides nothing.
        min_rows: with fewer rows in a sample there is no verdict.
        chance: the p-value up to which a difference is more than chance.
    """
    numbers, missing = measured.numbers, _missing(measured, limits, chance)
    checks = _checks(numbers, limits, chance) if min(measured.present) >= min_rows else []
    if min(measured.rows) < min_rows or not checks:
        passed = missing.passed and min(measured.rows) >= min_rows
        why = _too_few(measured, min_rows) + (f"; {missing.text}" if passed else "")
        drifted, reason = True if passed else None, why
    else:
        drifted, reason = _verdict(checks, missing)
    severity = max((check.severity for check in (*checks, missing) if check.severity is not None), default=None)
    return FeatureDrift(
        measured.kind, *measured.missing, drifted, reason, **numbers,
        missing_p_value=measured.missing_p_value, severity=severity,
    )  # fmt: skip


Found = tuple[tuple[int, int], Numbers, Histogram | None]


def _numbers(name: str, reference: SampleColumns, current: SampleColumns, spec: DriftSpec) -> Found:
    before, after = (
        numbers(side, name, rows.column(name)) for side, rows in (("reference", reference), ("current", current))
    )
    present = len(before), len(after)
    if not all(present):
        return present, {}, None
    edges = distances.bin_edges(before, spec.bins)
    counts = distances.count_bins(before, edges), distances.count_bins(after, edges)
    statistic, p_value = distances.kolmogorov_smirnov(before, after)
    measured = {
        "psi": distances.psi(*counts),
        "chi_square_p": distances.chi_square_p(*counts),
        "ks_statistic": statistic,
        "ks_p_value": p_value,
        "mean_shift": distances.mean_shift(before, after),
    }
    return present, measured, histogram.of_numbers(before, after)


def _categories(name: str, reference: SampleColumns, current: SampleColumns, _: DriftSpec) -> Found:
    before, after = (
        words(side, name, rows.column(name)) for side, rows in (("reference", reference), ("current", current))
    )
    present = int(before.counts.sum()), int(after.counts.sum())
    if not all(present):
        return present, {}, None
    labels, *counts = align(before, after)
    measured = {
        "jensen_shannon": distances.jensen_shannon(*counts),
        "chi_square_p": distances.chi_square_p(*distances.pool_rare(*counts)),
    }
    return present, measured, histogram.of_words(labels, *counts)


def _checks(found: Numbers, limits: DriftLimits, chance: float) -> list[_Check]:
    """The values against their limits, in the order in which a reason names them."""
    effects = (("psi", "chi_square_p"), ("ks_statistic", "ks_p_value"), ("jensen_shannon", "chi_square_p"))
    checks = [
        _at_least(name, value, getattr(limits, name), found[p_value], chance)
        for name, p_value in effects
        if (value := found.get(name)) is not None
    ]
    return checks + [
        _below(name, found[name], getattr(limits, name), chance)
        for name in ("ks_p_value", "chi_square_p")
        if name in found
    ]


def _at_least(what: str, value: float, limit: float | None, p_value: float | None, chance: float) -> _Check:
    if limit is None:
        return _Check(f"{what} {value:.3g}", limit, passed=False)
    passed = value >= limit and p_value is not None and p_value <= chance
    small = ", as small samples of one population do" if value >= limit and not passed else ""
    text = f"{what} {value:.3g} {'≥' if value >= limit else '<'} {limit:g}{small}"
    return _Check(text, limit, passed, value / limit)


def _below(what: str, value: float | None, limit: float | None, chance: float) -> _Check:
    if limit is None or value is None:
        return _Check(f"{what} {'not defined' if value is None else f'{value:.3g}'}", limit, passed=False)
    many = ", as one of many tests does" if chance < value < limit else ""
    return _Check(
        f"{what} {value:.3g} {'<' if value < limit else '≥'} {limit:g}{many}", limit, value < limit and value <= chance
    )


def _missing(measured: FeatureDistances, limits: DriftLimits, chance: float) -> _Check:
    before, after = measured.missing
    return _at_least("missing share changed by", abs(after - before), limits.missing, measured.missing_p_value, chance)


def _too_few(measured: FeatureDistances, min_rows: int) -> str:
    names = ("reference", "current")
    if empty := [name for name, here in zip(names, measured.present, strict=True) if not here]:
        return f"no values in the {' and '.join(empty)} sample, nothing to compare"
    few = [f"{n:,} in the {name} sample" for name, n in zip(names, measured.present, strict=True) if n < min_rows]
    return f"too few values to tell: {', '.join(few)}, min_rows is {min_rows:,}"


def _verdict(checks: Sequence[_Check], missing: _Check) -> tuple[bool | None, str]:
    decisive = [check for check in checks if check.limit is not None]
    if passed := [check.text for check in (*decisive, missing) if check.passed]:
        return True, "; ".join(passed)
    if decisive:
        return False, "; ".join(check.text for check in decisive)
    unlimited = f"{checks[0].text}, no limit is set"
    return (None, unlimited) if missing.limit is None else (False, f"{unlimited}; {missing.text}")
