"""What is true of a generated document: known because it was written so, not because it was read."""

from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

Label = Literal["lease", "amendment", "addendum", "cam_statement", "other"]
LABELS: tuple[Label, ...] = get_args(Label)


@dataclass(frozen=True)
class Party:
    """Somebody who is named in a document.

    Args:
        name: as written, apart from capitals.
        role: what the document calls them: landlord, tenant, seller ...
    """

    name: str
    role: str


@dataclass(frozen=True)
class Dated:
    """A whole date (day, month and year) that is written in a document, and what it means there."""

    day: date
    meaning: str


@dataclass(frozen=True)
class Amount:
    """An amount of money that is written in a document, and what it means there."""

    cents: int
    meaning: str

    @property
    def dollars(self) -> float:
        """US dollars."""
        return self.cents / 100


@dataclass(frozen=True)
class Truth:
    """Everything that is known of a document.

    Args:
        label: its class.
        layout: the name of its layout, with its own look and its own phrases.
        group: what must stay on one side of a split: label and layout.
        title: the printed title; empty where there is none.
        pages: the text of each page, exactly as drawn, line by line in reading order.
        parties: in order of their first mention.
        dates: the same.
        amounts: the same.
    """

    label: Label
    layout: str
    group: str
    title: str
    pages: tuple[str, ...]
    parties: tuple[Party, ...]
    dates: tuple[Dated, ...]
    amounts: tuple[Amount, ...]

    @property
    def page_count(self) -> int:
        """How many pages there are."""
        return len(self.pages)

    @property
    def text(self) -> str:
        r"""All pages, with a form feed (`\f`) between two."""
        return "\f".join(self.pages)
