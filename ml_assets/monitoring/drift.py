"""Drift: does the current sample still look like the reference?

The numbers come from `distances`, the HTML report from Evidently with the same functions registered in it:
the two cannot disagree, and whoever needs no page (a replay over history) does not wait for one.

Evidently's own PSI is not used: its equal-width bins span both samples (Sturges), so one large order squeezes
everybody else into one bin, and each current sample cuts the same reference otherwise. Nor is its chi-square,
which takes the reference for the truth and so rejects too often.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.errors import DeclarationError
from ml_assets.monitoring.feature import FeatureDrift, compare
from ml_assets.monitoring.report import write
from ml_assets.monitoring.samples import draw
from ml_assets.monitoring.spec import DriftSpec

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Drift:
    """The comparison of two samples, feature by feature.

    Attributes:
        features: by name, in the order of the declaration, numeric ones first.
        rows_reference: rows handed in; `sampled_reference` of them were compared.
        rows_current: the same of the current sample.
        sampled_reference: rows compared.
        sampled_current: rows compared.
        share_drifted: drifted features among those with a verdict; None where no feature has one.
        html: the report, where one was written.
    """

    features: dict[str, FeatureDrift]
    rows_reference: int
    rows_current: int
    sampled_reference: int
    sampled_current: int
    share_drifted: float | None
    html: str | None = None

    @property
    def drifted(self) -> list[str]:
        """The features that drifted."""
        return [name for name, feature in self.features.items() if feature.drifted]

    def to_json(self) -> dict[str, object]:
        """Plain dicts, strings, numbers and None."""
        return asdict(self)


def drift(
    reference: "pa.Table | pd.DataFrame",
    current: "pa.Table | pd.DataFrame",
    numeric: Sequence[str],
    categorical: Sequence[str],
    options: DriftSpec,
    html: Path | None,
) -> Drift:
    """Compare two samples feature by feature, and write the HTML report where `html` names a file.

    At most `options.sample` rows of each are compared, drawn with `options.seed`. The report appears whole or
    not at all (not, where no feature has values in both samples); of its folder, the last `options.keep`
    reports are kept.

    Raises:
        DataError: a sample has no rows, lacks a column, or a column is not of its declared kind.
        DeclarationError: a limit names a feature that is not there, or a feature is listed twice.
    """
    names = [*numeric, *categorical]
    _require(names, options.features)
    before, after = (
        draw(name, rows, numeric, categorical, sample=options.sample, seed=options.seed)
        for name, rows in (("reference", reference), ("current", current))
    )
    features = {name: compare(name, before, after, options) for name in names}
    shown = [name for name in names if before.present(name) and after.present(name)]
    if html is not None and shown:
        write(html, before, after, shown, options)
    verdicts = [feature.drifted for feature in features.values() if feature.drifted is not None]
    return Drift(
        features=features,
        rows_reference=before.rows,
        rows_current=after.rows,
        sampled_reference=before.used,
        sampled_current=after.used,
        share_drifted=sum(verdicts) / len(verdicts) if verdicts else None,
        html=str(html) if html is not None and shown else None,
    )


def _require(names: Sequence[str], limited: Iterable[str]) -> None:
    listed = ", ".join(names) or "none"
    if not names or len(set(names)) < len(names):
        raise DeclarationError(f"a drift report needs features, each listed once: listed are {listed}")
    if unknown := [name for name in limited if name not in names]:
        raise DeclarationError(f"drift limits for {', '.join(unknown)}: the features are {listed}")
