"""Draw a document: every choice is a function of the seed, and the truth is noted while it is written."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ml_assets.examples.documents import layouts
from ml_assets.examples.documents.compose import Composed, compose
from ml_assets.examples.documents.dice import Dice
from ml_assets.examples.documents.facts import Facts
from ml_assets.examples.documents.grammar import banks
from ml_assets.examples.documents.styles import LayoutFamily, Style
from ml_assets.examples.documents.truth import Label, Truth
from ml_assets.examples.documents.typeset import Block, Sheet, typeset

_MIX: tuple[tuple[Label, float], ...] = (
    ("lease", 0.3),
    ("amendment", 0.2),
    ("addendum", 0.14),
    ("cam_statement", 0.14),
    ("other", 0.22),
)
_ATTEMPTS = 24  # at most so many documents of a class are drawn to find one of few pages


@dataclass(frozen=True)
class Drawn:
    """A document: what is true of it, and what it is made of.

    Args:
        truth: label, text, parties, dates, amounts.
        blocks: its content in reading order, before pages.
        style: its look.
        sheets: its pages, with each line in its place.
    """

    truth: Truth
    blocks: tuple[Block, ...]
    style: Style
    sheets: tuple[Sheet, ...]


def draw(
    seed: int | tuple[int, ...],
    label: Label | None = None,
    layout: str | None = None,
    *,
    held_out: bool | None = None,
    length: float | None = None,
) -> Drawn:
    """The document of a seed.

    Args:
        seed: whole numbers from 0 on.
        label: its class; otherwise drawn: leases are the most frequent.
        layout: the name of a layout of that class; otherwise one of them.
        held_out: choose among the layouts that are held out (True), among the others (False), or all (None).
        length: from 0, one page or two, to 1, all clauses; otherwise drawn, short ones more often.

    Raises:
        DataError: the class has no such layout.
    """
    dice = Dice(*((seed,) if isinstance(seed, int) else seed))
    mix_label = dice.weighted_choice(_MIX)
    own_label = label or mix_label
    name = dice.pick(layouts.names(own_label, held_out=held_out))
    extent = dice.unit() ** 1.3
    return _drawn(layouts.find(own_label, layout or name), dice, extent if length is None else length)


def short(seed: tuple[int, ...], pages: int, *, held_out: bool | None = None) -> Drawn:
    """A document of at most `pages` pages, if there is one in a row of seeds; its class is drawn first."""
    label = Dice(*seed).weighted_choice(_MIX)
    candidates = (draw((*seed, number), label, held_out=held_out, length=0.05) for number in range(_ATTEMPTS))
    document = next((one for one in candidates if one.truth.page_count <= pages), None)
    return document or draw(seed, "addendum", "pets", length=0)  # the tersest there is


def texts(count: int, seed: int, *, held_out: bool | None = None) -> Iterator[tuple[str, Truth]]:
    """Plain text only, for a hundred thousand documents.

    Yields:
        The document's id (SHA-256 of its text), and what is true of it. A larger `count` begins with the same ones.
    """
    for number in range(count):
        truth = draw((seed, number), held_out=held_out).truth
        yield hashlib.sha256(truth.text.encode()).hexdigest(), truth


def flow(blocks: Sequence[Block]) -> str:
    """The text without pages, a line for each block: what a word processor or a web page holds."""
    lines = (" ".join(cell for cell in block.cells if cell) or block.text for block in blocks)
    return "\n".join(line for line in lines if line)


def reflow(drawn: Drawn) -> Truth:
    """The truth of a document that is written without pages, headers and footers: one page of text."""
    return replace(drawn.truth, pages=(flow(drawn.blocks),))


def _drawn(layout: LayoutFamily, dice: Dice, length: float) -> Drawn:
    facts = Facts(dice, home=layout.home)
    composed = compose(layout, banks()[dice.pick(layout.banks)], dice, facts, length)
    style = _varied(layout.style, dice)
    sheets = typeset(composed.blocks, style, f"{dice.between(1_000, 99_999)}")
    return Drawn(_truth(layout, composed, facts, sheets), composed.blocks, style, sheets)


def _varied(style: Style, dice: Dice) -> Style:
    """No two printers are the same: a little larger or smaller, a little further in or out."""
    size = style.size + dice.pick((-0.5, 0.0, 0.0, 0.5))
    return replace(style, size=size, margin=style.margin + dice.between(-8, 10))


def _truth(layout: LayoutFamily, composed: Composed, facts: Facts, sheets: Sequence[Sheet]) -> Truth:
    return Truth(
        label=layout.label,
        layout=layout.name,
        group=f"{layout.label}/{layout.name}",
        title=composed.title,
        pages=tuple(sheet.text for sheet in sheets),
        parties=tuple(facts.parties),
        dates=tuple(facts.dates),
        amounts=tuple(facts.amounts),
    )
