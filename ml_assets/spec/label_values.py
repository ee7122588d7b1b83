"""How the values of a label are spelled: 0 and 1 in other words, or one of several classes."""

from collections.abc import Sequence
from dataclasses import dataclass

from ml_assets.errors import shorten

LABEL = "label"
WRITTEN = "label_written"
"""The column of a view of labels that holds what the query returned, where that is not 0 and 1 already."""


@dataclass(frozen=True)
class LabelValues:
    """How the values of a label are read.

    Args:
        classes: three or more values; without, a label is 0 or 1.
        positive: the value, as text, that counts as 1 beside one other value.
    """

    classes: tuple[str, ...] = ()
    positive: str | None = None

    def __repr__(self) -> str:
        """Stored fingerprints of label queries hold this text: another one would compute all labels anew."""
        return f"Outcome(classes={self.classes!r}, positive={self.positive!r})"


def describe_mapping(pairs: Sequence[tuple[str, int]]) -> str:
    """`no → 0, yes → 1`, for people."""
    return ", ".join(f"{shorten(written, 30)} → {label}" for written, label in sorted(pairs, key=lambda pair: pair[1]))
