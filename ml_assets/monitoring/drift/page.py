"""The drift report that a person opens: one small HTML file, without scripts, fonts or anything from the network."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

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
    """What a page shows.

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
    title = escape(page.title)
    style = files("ml_assets.monitoring.drift").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style></head><body><main>\n"
        f"<h1>{title}</h1>\n{_summary(page)}\n{_model(page)}\n{_features(page)}\n{_method(page)}\n"
        "</main></body></html>\n"
    )


def _summary(page: DriftPage) -> str:
    found = page.drift
    judged = sum(feature.drifted is not None for feature in found.features.values())
    names = ", ".join(escape(name) for name in found.drifted)
    drifted = f"{len(found.drifted)} of {judged} features drifted: {names}" if names else "No feature drifted"
    verdict = drifted if judged else "Too little to tell"
    return (
        f'<p class="verdict {_VERDICTS[bool(found.drifted) if judged else None]}">{verdict}</p>\n<dl>'
        f"{_fact('Current sample', f'{found.rows_current:,} rows')}"
        f"{_fact('Reference', f'{escape(page.reference)}, {found.rows_reference:,} rows')}"
        f"{_fact('Without a verdict', f'{len(found.features) - judged} of {len(found.features)} features')}"
        f"{_evidently(page)}</dl>"
        '<p class="key"><span class="r"></span> reference <span class="l"></span> current sample</p>'
    )


def _evidently(page: DriftPage) -> str:
    if page.evidently is None:
        return ""
    before, after = (min(rows, page.spec.sample) for rows in (page.drift.rows_reference, page.drift.rows_current))
    said = f"of a sample: {before:,} rows of the reference, {after:,} current ones"
    return _fact("Interactive report", f'<a href="{escape(page.evidently)}">by Evidently</a>, {said}')


def _fact(name: str, value: str) -> str:
    return f"<div><dt>{name}</dt><dd>{value}</dd></div>"


def _model(page: DriftPage) -> str:
    parts = [_scores(*page.scores) if page.scores else "", _attribution(page.attribution) if page.attribution else ""]
    return f'<div class="model">{"".join(parts)}</div>' if any(parts) else ""


def _scores(scores: ScoreDrift, histogram: Histogram) -> str:
    changes = [_change("mean", scores.mean)]
    if scores.share is not None:
        changes.append(_change(f"share from {scores.threshold:.3g}", scores.share))
    rows = f"{scores.rows_reference:,} and {scores.rows_current:,} rows"
    return (
        f"<section><h2>Scores {_badge(scores.drifted)}</h2>{picture.of(histogram, 'scores of both samples')}"
        f"<table><thead><tr><th></th><th>then</th><th>now</th><th>change (95 %)</th></tr></thead>"
        f"<tbody>{''.join(changes)}</tbody></table>"
        f"<p>{escape(scores.reason)}; K-S {scores.ks_statistic:.3g}, p {_p(scores.ks_p_value)}; {rows} scored</p>"
        "</section>"
    )


def _change(name: str, change: Change) -> str:
    moved = f"{change.difference:+.4f} ({change.low:+.4f} to {change.high:+.4f})"
    return (
        f'<tr><th scope="row">{escape(name)}</th><td>{change.reference:.4f}</td>'
        f"<td>{change.current:.4f}</td><td>{moved}</td></tr>"
    )


def _attribution(found: AttributionDrift) -> str:
    rows = [(name, share, found.current[name]) for name, share in [*found.reference.items()][:_LEANT_ON]]
    more = f", the first {_LEANT_ON} of {len(found.reference)}" if len(found.reference) > _LEANT_ON else ""
    return (
        f"<section><h2>What the model leans on {_badge(found.drifted)}</h2>"
        f"{picture.bars(rows, 'attribution of each feature')}"
        f"<p>{escape(found.reason)}: rank of the features by the change of the score when one is shuffled, in at most "
        f"{attribution.ROWS:,} rows of each sample{more}</p>"
        "</section>"
    )


def _features(page: DriftPage) -> str:
    ordered = sorted(page.drift.features.items(), key=lambda item: _rank(item[1]))
    heads = ("feature", "both samples", "distance", "K-S", "mean shift", "p-values", "missing", "verdict")
    body = "\n".join(_row(name, feature, page) for name, feature in ordered)
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        f'<h2>Features, the most severe first</h2><div class="wide"><table class="features"><thead><tr>{head}</tr>'
        f"</thead><tbody>\n{body}\n</tbody></table></div>"
    )


def _rank(feature: FeatureDrift) -> tuple[bool, bool, float]:
    return not feature.drifted, feature.drifted is None, -(feature.severity or 0)


def _row(name: str, feature: FeatureDrift, page: DriftPage) -> str:
    shown = page.drift.histograms.get(name)
    distance = ("PSI", feature.psi) if feature.kind == "numeric" else ("J–S", feature.jensen_shannon)
    tests = [("χ²", feature.chi_square_p), ("K-S", feature.ks_p_value)]
    missing = [feature.missing_reference or 0.0, feature.missing_current or 0.0]
    cells = [
        picture.of(shown, f"{name} in both samples") if shown else "no values",
        _lines([distance]),
        "" if feature.ks_statistic is None else f"{feature.ks_statistic:.3g}",
        "" if feature.mean_shift is None else f"{round(feature.mean_shift, 2) + 0.0:+.2f} sd",
        _lines([(test, value) for test, value in tests if value is not None], page.drift.chance),
        " → ".join(f"{share:.1%}" for share in missing) if any(missing) else "none",
        f'{_badge(feature.drifted)}<span class="why">{escape(feature.reason)}</span>',
    ]
    head = f'<th scope="row">{escape(name)}<small>{feature.kind}</small></th>'
    return f'<tr class="{_VERDICTS[feature.drifted]}">{head}{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _lines(values: Iterable[tuple[str, float | None]], chance: float | None = None) -> str:
    made = []
    for name, value in values:
        number = "–" if value is None else f"{value:.3g}" if chance is None else _p(value)
        strong = chance is not None and value is not None and value <= chance
        made.append(f"<small>{name}</small> {f'<b>{number}</b>' if strong else number}")
    return "<br>".join(made)


def _p(value: float) -> str:
    return "&lt; 1e-99" if value < 1e-99 else f"{value:.2g}"


def _badge(drifted: bool | None) -> str:
    word = _VERDICTS[drifted]
    return f'<span class="badge {word}">{word}</span>'


def _method(page: DriftPage) -> str:
    return (
        "<footer><p>Every number of a feature is of all rows. A feature drifted where a number passes its limit and "
        f"its p-value is at most {page.drift.chance:.2g} (bold): by Holm's procedure over all tests of the features, "
        f"chance alone says drift in at most {page.spec.false_alarms:.2g} of the reports of a population that does not "
        "change. "
        f"PSI in {page.spec.bins} bins of equal mass of the reference; J–S: Jensen–Shannon distance; K-S: the "
        "largest distance of the distribution functions; mean shift in standard deviations of the reference. "
        "In the pictures, the outer bins are open.</p></footer>"
    )
