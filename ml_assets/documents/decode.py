"""Characters from what the recognition model says of each column of a line, with the spaces between words."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_NOTHING = 0  # the class of "no character here"
_SPACE = 0.1  # probability of a space below which two characters are one word


class Decode:
    """Greedy CTC decoding (Graves et al., 2006) that is readier to see a space.

    The model was trained mostly on Chinese, where a space means little: between English words it now and then prefers
    "no character" to "space" (RapidOCR issue 723). So a space stands wherever its probability between two characters
    rises above a tenth.

    Args:
        characters: the model's classes, "no character" first; the last is the space.
        space: the probability from which on a space is one.
    """

    def __init__(self, characters: Sequence[str], space: float = _SPACE) -> None:
        self._characters = list(characters)
        self._space = space

    def __call__(self, columns: NDArray[np.float32]) -> tuple[str, float]:
        """Text of a line, and the mean probability of its characters.

        Args:
            columns: [column, class], probabilities.
        """
        best = columns.argmax(axis=1)
        columns_with_signs = np.flatnonzero((best != _NOTHING) & np.append(True, best[1:] != best[:-1]))
        if not columns_with_signs.size:
            return "", 0.0
        signs = [self._characters[best[column]] for column in columns_with_signs]
        space = columns[:, -1]
        gaps = [space[a + 1 : b].max(initial=0) > self._space for a, b in pairwise(columns_with_signs)]
        text = signs[0] + "".join((" " if gap else "") + sign for gap, sign in zip(gaps, signs[1:], strict=True))
        return " ".join(text.split()), float(columns[columns_with_signs, best[columns_with_signs]].mean())
