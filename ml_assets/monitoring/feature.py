"""One feature in both samples: its distances, and whether they pass a limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ml_assets.monitoring import distances
from ml_assets.monitoring.samples import Sample
from ml_assets.monitoring.spec import DriftSpec

Kind = Literal["numeric", "categorical"]


@dataclass(frozen=True)
class FeatureDrift:
    """One feature in both samples. A number that cannot be had is None, and `reason` says why.

    Attributes:
        kind: numeric features have a PSI and K-S, categorical ones a Jensen–Shannon distance.
        chi_square_p: of the bins or categories; PSI and Jensen–Shannon count only below `false_alarms`.
        missing_reference: the share of rows without a value; infinite numbers count.
        missing_current: the same in the current sample.
        drifted: None where it cannot be told: nothing to compare, or no limit set.
        reason: the limits that were passed, with the numbers; else what was compared.
    """

    kind: Kind
    missing_reference: float
    missing_current: float
    drifted: bool | None
    reason: str
    psi: float | None = None
    ks_statistic: float | None = None
    ks_p_value: float | None = None
    jensen_shannon: float | None = None
    chi_square_p: float | None = None


@dataclass(frozen=True)
class _Check:
    """A number against its limit; a limit that is None decides nothing."""

    text: str
    limit: float | None
    passed: bool


Measured = tuple[dict[str, float | None], list[_Check]]
"""The numbers of `FeatureDrift` by name, and each against its limit."""


def compare(name: str, reference: Sample, current: Sample, spec: DriftSpec) -> FeatureDrift:
    """One feature of two samples against the limits of `spec`."""
    if not reference.present(name) or not current.present(name):
        return _incomparable(name, reference, current, spec)
    measure = _numbers if name in reference.numbers else _categories
    found, checks = measure(name, reference, current, spec)
    drifted, reason = _verdict(checks, _missing(name, reference, current, spec))
    return FeatureDrift(
        _kind(name, reference), reference.missing(name), current.missing(name), drifted, reason, **found
    )


def _numbers(name: str, reference: Sample, current: Sample, spec: DriftSpec) -> Measured:
    before, after, limits = reference.values(name), current.values(name), spec.limits(name)
    edges = distances.bin_edges(before, spec.bins)
    counts = distances.count_bins(before, edges), distances.count_bins(after, edges)
    psi, rare = distances.psi(*counts), distances.chi_square_p(*counts)
    statistic, p_value = distances.kolmogorov_smirnov(before, after)
    checks = [
        _at_least("psi", psi, limits.psi, beyond_chance=_surprising(rare, spec)),
        _at_least("ks_statistic", statistic, limits.ks_statistic, beyond_chance=_surprising(p_value, spec)),
        _below("ks_p_value", p_value, limits.ks_p_value),
        _below("chi_square_p", rare, limits.chi_square_p),
    ]
    return {"psi": psi, "ks_statistic": statistic, "ks_p_value": p_value, "chi_square_p": rare}, checks


def _categories(name: str, reference: Sample, current: Sample, spec: DriftSpec) -> Measured:
    limits = spec.limits(name)
    counts = distances.count_categories(reference.words(name), current.words(name))
    apart = distances.jensen_shannon(*counts)
    p_value = distances.chi_square_p(*counts)
    checks = [
        _at_least("jensen_shannon", apart, limits.jensen_shannon, beyond_chance=_surprising(p_value, spec)),
        _below("chi_square_p", p_value, limits.chi_square_p),
    ]
    return {"jensen_shannon": apart, "chi_square_p": p_value}, checks


def _incomparable(name: str, reference: Sample, current: Sample, spec: DriftSpec) -> FeatureDrift:
    """A sample without any value: the change of the missing share can be judged, the values cannot."""
    empty = " and ".join(sample.name for sample in (reference, current) if not sample.present(name))
    check = _missing(name, reference, current, spec)
    found = f"; {check.text}" if check.passed else ""
    return FeatureDrift(
        _kind(name, reference),
        reference.missing(name),
        current.missing(name),
        drifted=True if check.passed else None,
        reason=f"no values in the {empty} sample, nothing to compare{found}",
    )


def _kind(name: str, sample: Sample) -> Kind:
    return "numeric" if name in sample.numbers else "categorical"


def _surprising(p_value: float | None, spec: DriftSpec) -> bool:
    return p_value is not None and p_value < spec.false_alarms


def _at_least(what: str, value: float, limit: float | None, *, beyond_chance: bool) -> _Check:
    if limit is None:
        return _Check(f"{what} {value:.3g}", limit, passed=False)
    passed = value >= limit and beyond_chance
    small = ", as small samples of one population do" if value >= limit and not passed else ""
    return _Check(f"{what} {value:.3g} {'≥' if value >= limit else '<'} {limit:g}{small}", limit, passed)


def _below(what: str, value: float | None, limit: float | None) -> _Check:
    if limit is None or value is None:
        return _Check(f"{what} {'not defined' if value is None else f'{value:.3g}'}", limit, passed=False)
    return _Check(f"{what} {value:.3g} {'<' if value < limit else '≥'} {limit:g}", limit, value < limit)


def _missing(name: str, reference: Sample, current: Sample, spec: DriftSpec) -> _Check:
    change = abs(current.missing(name) - reference.missing(name))
    counts = [np.array([sample.present(name), sample.used - sample.present(name)]) for sample in (reference, current)]
    p_value = distances.chi_square_p(counts[0], counts[1])
    return _at_least(
        "missing share changed by",
        change,
        spec.limits(name).missing,
        beyond_chance=_surprising(p_value, spec),
    )


def _verdict(checks: Sequence[_Check], missing: _Check) -> tuple[bool | None, str]:
    decisive = [check for check in checks if check.limit is not None]
    if passed := [check.text for check in (*decisive, missing) if check.passed]:
        return True, "; ".join(passed)
    if decisive:
        return False, "; ".join(check.text for check in decisive)
    unlimited = f"{checks[0].text}, no limit is set"
    return (None, unlimited) if missing.limit is None else (False, f"{unlimited}; {missing.text}")
