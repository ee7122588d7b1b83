"""The metrics by which groups of entities are compared, as sums of each entity."""

from typing import TYPE_CHECKING

import numpy as np

from ml_assets.decisions.entity_sums import EntityRatio
from ml_assets.decisions.fairness import BASE_RATE, CALIBRATION, OF_CLASSES, OF_SCORES
from ml_assets.training.bootstrap import Clusters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def of_scores(
    y: "Floats", p: "Floats", entities: Clusters, threshold: float
) -> "tuple[list[EntityRatio], NDArray[np.bool_]]":
    """Of a label 0 or 1: what is selected, of all rows and of each label; how far scores exceed the rate; base rates.

    Args:
        y: labels 0/1, [n].
        p: P(label = 1), [n].
        entities: of the rows.
        threshold: rows with `p >= threshold` are selected.

    Returns:
        The metrics, and whether an entity has a row with label 1 and one with label 0, [entities, 2].
    """
    selected = (p >= threshold).astype(np.float64)
    rows, ones = entities.rows, entities.sums(y)
    hits, both = entities.sums(selected * y), entities.sums(selected)
    tops, bottoms = (both, hits, both - hits), (rows, ones, rows - ones)
    rates = [EntityRatio(*each) for each in zip(OF_SCORES[:-1], tops, bottoms, strict=True)]
    base = EntityRatio(BASE_RATE, ones, rows, family=BASE_RATE)
    return [*rates, _calibration(y, p, entities), base], np.stack([ones > 0, rows - ones > 0], axis=1)


def of_classes(
    right: "Floats", confidence: "Floats", entities: Clusters, review_below: float
) -> "tuple[list[EntityRatio], NDArray[np.bool_]]":
    """Of several classes: how often the named one is right, how often nobody is sure, how far confidence exceeds it.

    Args:
        right: 1 where the named class is the true one, else 0, [n].
        confidence: of the named class, [n].
        entities: of the rows.
        review_below: rows of less confidence go to review.

    Returns:
        The metrics, and that each entity has a label, [entities, 1].
    """
    accuracy, review, _ = OF_CLASSES
    unsure = entities.sums((confidence < review_below).astype(np.float64))
    rates = [EntityRatio(accuracy, entities.sums(right), entities.rows), EntityRatio(review, unsure, entities.rows)]
    return [*rates, _calibration(right, confidence, entities)], np.ones((entities.count, 1), dtype=bool)


def _calibration(y: "Floats", p: "Floats", entities: Clusters) -> EntityRatio:
    """Mean score minus rate; a row with the mean score has this much of it with either label."""
    mean = float(p.mean())
    return EntityRatio(CALIBRATION, entities.sums(p - y), entities.rows, mean - 1, mean)
