"""Drift of attributions: in two samples, does the same model still decide by the same features?

A feature's attribution is the mean change of the score when the feature is shuffled within the sample. It needs no
labels, and any model that gives scores has it.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.storage.artifact_inputs import ArtifactInputs
from ml_assets.storage.manifest import PROBABILITIES

if TYPE_CHECKING:
    import pandas as pd
    from onnxruntime import InferenceSession

ROWS = 2_000
"""Rows of each sample that are scored once for each feature: a mean of so many is known to a few per cent."""


@dataclass(frozen=True)
class AttributionDrift:
    """Shares of the attribution in both samples.

    Args:
        ndcg: 1 = the features rank as in the reference; None where the scores depend on no feature.
        reference: feature → its share, the largest first.
        current: the same of the current sample, in the same order.
        drifted: None where there is no NDCG or no limit.
        reason: the number against its limit.
    """

    ndcg: float | None
    reference: Mapping[str, float]
    current: Mapping[str, float]
    drifted: bool | None
    reason: str


def attributions(model: "InferenceSession", X: "pd.DataFrame", seed: int) -> dict[str, float]:  # noqa: N803 - scikit-learn's name
    """The mean |change of P(label = 1)| of each feature, when it alone is shuffled.

    The shuffle of a feature depends on the seed and its name only.

    Args:
        model: an exported model.
        X: rows, shape (n, features), n ≥ 1.
        seed: of the shuffles.
    """
    from ml_assets.training.export import feed  # onnxruntime

    values = feed(model, X)
    (whole,) = model.run([PROBABILITIES], values)
    importances = {}
    for name, (tensor, column) in ArtifactInputs.of_session(model).places.items():
        order = np.random.default_rng([seed, zlib.crc32(name.encode())]).permutation(len(X))
        mixed = values[tensor].copy()
        mixed[:, column] = mixed[order, column]
        (shuffled,) = model.run([PROBABILITIES], values | {tensor: mixed})
        importances[name] = float(np.abs(shuffled.astype(np.float64) - whole).max(axis=1).mean())
    return importances


def compare(reference: Mapping[str, float], current: Mapping[str, float], limit: float | None) -> AttributionDrift:
    """Attributions of the same features in two samples, against the least NDCG that does not count as drift."""
    gain = ndcg(reference, current)
    order = sorted(reference, key=lambda name: (-reference[name], name))
    before, after = (_shares({name: values[name] for name in order}) for values in (reference, current))
    if gain is None:
        return AttributionDrift(None, before, after, None, "the scores depend on no feature")
    if limit is None:
        return AttributionDrift(gain, before, after, None, f"ndcg {gain:.3g}, no limit is set")
    reason = f"ndcg {gain:.3g} {'<' if gain < limit else '≥'} {limit:g}"
    return AttributionDrift(gain, before, after, gain < limit, reason)


def ndcg(reference: Mapping[str, float], current: Mapping[str, float]) -> float | None:
    """How well the ranking by `current` serves the gains of `reference`, from 0 to 1; None where there is no gain.

    Normalized discounted cumulative gain, Σ gain / log₂(rank + 1) over that of the best ranking: Järvelin and
    Kekäläinen, Cumulated gain-based evaluation of IR techniques (2002). Amazon SageMaker Clarify alarms below .90.
    """
    names = sorted(reference)
    gains = np.array([reference[name] for name in names])
    discounts = 1 / np.log2(np.arange(2, len(names) + 2))
    ranked = gains[np.argsort([-current[name] for name in names], kind="stable")]
    best = float(np.sort(gains)[::-1] @ discounts)
    return float(ranked @ discounts) / best if best > 0 else None


def _shares(values: Mapping[str, float]) -> dict[str, float]:
    total = sum(values.values())
    return {name: value / total if total else 0.0 for name, value in values.items()}
