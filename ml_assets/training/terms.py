"""The terms of running text that a linear model leans on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

MOST = 300
"""Terms of each class."""


def top_terms(pipeline: "Pipeline", text: Sequence[str], classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Class → term → coefficient: what the term adds to the log-odds, times its weight in a text.

    Args:
        pipeline: a fitted pipeline of `estimator.build`.
        text: its columns of running text; a term that several have counts with its largest coefficient.
        classes: in the order of its probabilities.

    Returns:
        The `MOST` terms of each class that speak most for it; nothing of a model without coefficients for each class.
    """
    columns, model = pipeline[0], pipeline[-1]
    weights = getattr(model, "coef_", None)
    if weights is None or not text or len(weights) != len(classes):
        return {}
    terms: dict[str, dict[str, float]] = {name: {} for name in classes}
    for nr in range(len(text)):
        step = f"text_{nr}"
        words, place = columns.named_transformers_[step], columns.output_indices_[step]
        names = words[0].get_feature_names_out()
        for name, row in zip(classes, weights[:, place], strict=True):
            for at in np.argsort(-row, kind="stable")[:MOST]:
                word, weight = str(names[at]), float(row[at])
                if weight > 0:
                    terms[name][word] = max(weight, terms[name].get(word, 0.0))
    return terms
