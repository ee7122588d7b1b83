"""How a layout looks, and which banks of phrases it draws from."""

from dataclasses import dataclass
from typing import Literal

from ml_assets.examples.documents.truth import Label

Font = Literal["Times", "Helvetica", "Courier"]
Numbering = Literal["none", "arabic", "section", "article", "letter", "paren", "sign", "roman"]
Signing = Literal["by", "lines", "slash", "witness", "plain", "none"]

LETTER = (612.0, 792.0)
LEGAL = (612.0, 1008.0)


@dataclass(frozen=True)
class Style:
    """How a layout looks. Lengths are in points of 1/72 inch.

    Args:
        font: a family of the PDF base 14.
        size: of the text.
        leading: from line to line, as a multiple of the size.
        margin: left and right; top and bottom are at least 54.
        columns: 1 or 2.
        numbering: of the headings.
        runin: the heading stands at the start of its paragraph.
        heading_caps: headings are in capitals.
        all_caps: everything is.
        title_left: the title is on the left, not centred.
        letterhead: a name and an address stand on top.
        footer: with `{page}`, `{pages}` and `{number}`; empty for none.
        header: the same.
        sign: the form of the signatures.
        indent: of the first line of a paragraph.
        paper: width and height.
        ruled: tables have lines.
    """

    font: Font = "Times"
    size: float = 11
    leading: float = 1.2
    margin: float = 72
    columns: int = 1
    numbering: Numbering = "arabic"
    runin: bool = False
    heading_caps: bool = False
    all_caps: bool = False
    title_left: bool = False
    letterhead: bool = False
    footer: str = "Page {page} of {pages}"
    header: str = ""
    sign: Signing = "by"
    indent: float = 0
    paper: tuple[float, float] = LETTER
    ruled: bool = True


@dataclass(frozen=True)
class LayoutFamily:
    """A layout family of one class.

    Args:
        label: the class.
        name: unique over all classes.
        style: how it looks.
        banks: the banks of phrases that it draws from; no other layout uses them.
        home: its tenants are people.
        boilerplate: at most so many of the clauses that all long contracts share.
        held_out: kept from training, and arriving last.
    """

    label: Label
    name: str
    style: Style
    banks: tuple[str, ...]
    home: bool = False
    boilerplate: int = 0
    held_out: bool = False
