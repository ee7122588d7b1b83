"""The drift report that a person opens: one small HTML file, without scripts, fonts or anything from the network."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.escaping import html
from ml_assets.monitoring import html_files as pages
from ml_assets.monitoring.drift import attribution
from ml_assets.monitoring.drift import svg as picture
from ml_assets.monitoring.drift.attribution import AttributionDrift
from ml_assets.monitoring.drift.feature import FeatureDrift
from ml_assets.monitoring.drift.histogram import Histogram
from ml_assets.monitoring.drift.score_drift import Change, ScoreDrift
from ml_assets.spec.drift import DriftSpec

if TYPE_CHECKING:
    from ml_assets.monitoring.drift.compare import SampleComparison

_LEANT_ON = 15  # features in the picture of the attribution
_VERDICTS = {True: "drifted", False: "stable", None: "unknown"}


@dataclass(frozen=True)
class DriftPage:
    """The contents of a page.

    Args:
        drift: every feature.
        spec: the limits.
        title: the model and the as-of date.
        reference: what the current sample is compared with.
        scores: of the champion, with their histogram.
        attribution: what the champion leans on.
        evidently: the name of Evidently's page beside this one.
    """

    drift: "SampleComparison"
    spec: DriftSpec
    title: str = "Drift"
    reference: str = "the reference sample"
    scores: tuple[ScoreDrift, Histogram] | None = None
    attribution: AttributionDrift | None = None
    evidently: str | None = None


def write(path: Path, page: DriftPage) -> None:
    """Write a page, whole or not at all; of its folder, the last `spec.keep` are kept."""
    content = render(page)
    pages.write(path, lambda part: part.write_text(content, encoding="utf-8"), page.spec.keep)


def render(page: DriftPage) -> str:
    """The page as HTML. Names and categories are text, whatever they hold."""
    verdict, summary, facts = _summary(page)
    content = html(
        "ml_assets.monitoring.drift", "page.html",
        page=page, verdict=verdict, summary=summary, facts=facts, sampled=_sampled(page),
        scores=_scores(*page.scores) if page.scores else None,
        attribution=_attribution(page.attribution) if page.attribution else None,
        features=[
            _feature(name, feature, page)
            for name, feature in sorted(page.drift.features.items(), key=lambda item: _rank(item[1]))
        ],
    )  # fmt: skip
    return str(content)


def _summary(page: DriftPage) -> tuple[str, str, list[tuple[str, str]]]:
    """The verdict, what it says, and what was compared."""
    drift = page.drift
    judged = sum(feature.drifted is not None for feature in drift.features.values())
    names = ", ".join(drift.drifted)
    drifted = f"{len(drift.drifted)} of {judged} features drifted: {names}" if names else "No feature drifted"
    facts = [
        ("Current sample", f"{drift.rows_current:,} rows"),
        ("Reference", f"{page.reference}, {drift.rows_reference:,} rows"),
        ("Without a verdict", f"{len(drift.features) - judged} of {len(drift.features)} features"),
    ]
    verdict = _VERDICTS[bool(drift.drifted) if judged else None]
    return verdict, drifted if judged else "Too little to tell", facts


def _sampled(page: DriftPage) -> str:
    before, after = (min(rows, page.spec.sample) for rows in (page.drift.rows_reference, page.drift.rows_current))
    return f"of a sample: {before:,} rows of the reference, {after:,} current ones"


def _scores(scores: ScoreDrift, histogram: Histogram) -> dict[str, object]:
    changes = [_change("mean", scores.mean)]
    if scores.share is not None:
        changes.append(_change(f"share from {scores.threshold:.3g}", scores.share))
    rows = f"{scores.rows_reference:,} and {scores.rows_current:,} rows"
    return {
        "verdict": _VERDICTS[scores.drifted],
        "picture": picture.of(histogram, "scores of both samples"),
        "changes": changes,
        "reason": f"{scores.reason}; K-S {scores.ks_statistic:.3g}, p {_p(scores.ks_p_value)}; {rows} scored",
    }


def _change(name: str, change: Change) -> tuple[str, ...]:
    moved = f"{change.difference:+.4f} ({change.low:+.4f} to {change.high:+.4f})"
    return name, f"{change.reference:.4f}", f"{change.current:.4f}", moved


def _attribution(found: AttributionDrift) -> dict[str, object]:
    rows = [(name, share, found.current[name]) for name, share in [*found.reference.items()][:_LEANT_ON]]
    more = f", the first {_LEANT_ON} of {len(found.reference)}" if len(found.reference) > _LEANT_ON else ""
    return {
        "verdict": _VERDICTS[found.drifted],
        "picture": picture.bars(rows, "attribution of each feature"),
        "reason": f"{found.reason}: rank of the features by the change of the score when one is shuffled, in at most "
        f"{attribution.ROWS:,} rows of each sample{more}",
    }


def _rank(feature: FeatureDrift) -> tuple[bool, bool, float]:
    return not feature.drifted, feature.drifted is None, -(feature.severity or 0)


def _feature(name: str, feature: FeatureDrift, page: DriftPage) -> dict[str, object]:
    """A row of the table."""
    histogram, chance = page.drift.histograms.get(name), page.drift.chance
    label, distance = ("PSI", feature.psi) if feature.kind == "numeric" else ("J–S", feature.jensen_shannon)
    tests = [("χ²", feature.chi_square_p), ("K-S", feature.ks_p_value)]
    missing = [feature.missing_reference or 0.0, feature.missing_current or 0.0]
    return {
        "name": name,
        "kind": feature.kind,
        "verdict": _VERDICTS[feature.drifted],
        "reason": feature.reason,
        "picture": picture.of(histogram, f"{name} in both samples") if histogram else "no values",
        "distance": [(label, "–" if distance is None else f"{distance:.3g}", False)],
        "ks": "" if feature.ks_statistic is None else f"{feature.ks_statistic:.3g}",
        "shift": "" if feature.mean_shift is None else f"{round(feature.mean_shift, 2) + 0.0:+.2f} sd",
        "tests": [(test, _p(value), value <= chance) for test, value in tests if value is not None],
        "missing": " → ".join(f"{share:.1%}" for share in missing) if any(missing) else "none",
    }


def _p(value: float) -> str:
    return "< 1e-99" if value < 1e-99 else f"{value:.2g}"
