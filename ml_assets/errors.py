"""The exception tree. Each message names the thing, the value and the remedy, in one line of bounded length."""

from collections.abc import Iterable

from ml_assets.redaction import redact

_LISTED = 5
_LONGEST = 60


class MlAssetsError(Exception):
    """What a user can put right. The command line prints it as one line and exits with 2.

    Its message holds no secret of a URL, whatever it quotes.
    """

    def __init__(self, *said: object) -> None:
        super().__init__(*(redact(part) if isinstance(part, str) else part for part in said))


class DeclarationError(MlAssetsError):
    """A `defs.yaml` or `.sql` file says something that cannot be run."""


class DataError(MlAssetsError):
    """Data is missing, unreadable, or not what the declaration promises."""


class LakeError(MlAssetsError):
    """A table cannot be read or written."""


class OvertakenError(LakeError):
    """A table is at another version than the one that a write was made for."""


class TrainingError(MlAssetsError):
    """A model cannot be trained, exported or evaluated from what is there."""


class RegistryError(MlAssetsError):
    """The model registry does not hold what was asked for."""


class OnlineStoreError(MlAssetsError):
    """The online store does not answer, or holds what cannot be read."""


def shorten(text: str, most: int = _LONGEST) -> str:
    """The text, or its beginning and an ellipsis: `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def list_values(values: Iterable[object], most: int = _LISTED) -> str:
    """Values for a message, however many and long they are.

    >>> list_values(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    texts = [shorten(repr(value)) for value in values]
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
