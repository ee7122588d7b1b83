"""Parts of documents: a cover sheet, an opening, some clauses, what is left of a file that broke off.

Such is delivered, too: a page that was scanned by itself, a draft, an attachment that was cut. Its class is that of the
document that it is a part of; how sure one may be of that is for a model to learn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from ml_assets.examples.documents import wording
from ml_assets.examples.documents.dice import Dice
from ml_assets.examples.documents.draw import Drawn, draw, flow
from ml_assets.examples.documents.truth import Truth
from ml_assets.examples.documents.typeset import Block, typeset

Part = Literal["cover", "opening", "clauses", "cut"]
_PARTS: tuple[tuple[Part, float], ...] = (("cover", 0.25), ("opening", 0.3), ("clauses", 0.15), ("cut", 0.3))
SHARE = 0.1
"""Of all documents, those that are parts."""

_OPENING, _CLAUSES = (40, 200), (120, 400)  # words, at least and at most about
# Words by one of which a title says what it is the title of; a cover sheet without them is anybody's guess.
_TELLING = {
    "lease": ("lease", "rental", "tenancy", "sublet"),
    "amendment": ("amend", "modification", "extension"),
    "addendum": ("addend", "rider", "supplement"),
    "cam_statement": ("cam ", "common area", "reconciliation", "operating"),
    "other": ("",),
}


def choose_part(dice: Dice) -> Part | None:
    """Which part of a document there is; None for most, which are whole."""
    part = dice.weighted_choice(_PARTS)
    return part if dice.chance(SHARE) else None


def delivered_truths(count: int, seed: int, *, held_out: bool | None = None) -> Iterator[Truth]:
    """Documents as they are delivered: most are whole, and those of `draw.texts`; the others are parts of them."""
    for number in range(count):
        dice = Dice(seed, number, 8)
        document, part = draw((seed, number), held_out=held_out), choose_part(dice)
        yield (excerpt(document, part, dice) if part else document).truth


def excerpt(drawn: Drawn, part: Part, dice: Dice) -> Drawn:
    """A part of a document, set anew, and what is true of it: its class, and whatever is still written in it."""
    blocks = {"cover": _cover, "opening": _opening, "clauses": _clauses, "cut": _cut}[part](drawn, dice)
    sheets = typeset(blocks, drawn.style, f"{dice.between(1_000, 99_999)}")
    return Drawn(_truth(drawn.truth, blocks, [sheet.text for sheet in sheets]), tuple(blocks), drawn.style, sheets)


def _cover(drawn: Drawn, dice: Dice) -> Sequence[Block]:
    """The title, if it tells the class, and who the parties are: by their names, by their roles, or not at all."""
    title = drawn.truth.title
    if not title or not any(word in f"{title.lower()} " for word in _TELLING[drawn.truth.label]):
        return _opening(drawn, dice)
    parties = drawn.truth.parties[:2]
    names = dice.pick(
        (" and ".join(party.name for party in parties), " and ".join(party.role for party in parties), "")
    )
    lines = [Block("title", title)]
    if names:
        lines.append(Block("center", f"between {names}"))
    if drawn.truth.dates and dice.chance(0.3):
        lines.append(Block("center", wording.day(drawn.truth.dates[0].day, "long")))
    return lines


def _opening(drawn: Drawn, dice: Dice) -> Sequence[Block]:
    """How the document begins."""
    return _until(drawn.blocks, dice.between(*_OPENING))


def _clauses(drawn: Drawn, dice: Dice) -> Sequence[Block]:
    """A stretch of it, from anywhere but the beginning."""
    first = dice.between(min(2, len(drawn.blocks) - 1), max(2, len(drawn.blocks) * 2 // 3))
    return _until(drawn.blocks[first:] or drawn.blocks, dice.between(*_CLAUSES))


def _cut(drawn: Drawn, dice: Dice) -> Sequence[Block]:
    """The first part of it, which ends within a sentence."""
    blocks = list(drawn.blocks[: max(1, int(len(drawn.blocks) * (0.2 + 0.6 * dice.unit())))])
    words = blocks[-1].text.split()
    return [*blocks[:-1], blocks[-1]._replace(text=" ".join(words[: max(1, len(words) // 2)]))] if words else blocks


def _until(blocks: Sequence[Block], words: int) -> Sequence[Block]:
    """The first blocks, until there are so many words; the last is cut."""
    remaining: list[Block] = []
    for block in blocks:
        spoken = flow([block]).split()
        if len(spoken) >= words:
            text = " ".join(block.text.split()[:words])
            return [*remaining, block._replace(text=text) if text else block]
        words -= len(spoken)
        remaining.append(block)
    return remaining


def _truth(truth: Truth, blocks: Sequence[Block], pages: Sequence[str]) -> Truth:
    text = " ".join(flow(blocks).split()).casefold()
    dates = (
        dated
        for dated in truth.dates
        if any(wording.day(dated.day, form).casefold() in text for form in wording.DATE_FORMS)
    )
    return replace(
        truth,
        title=truth.title if " ".join(truth.title.split()).casefold() in text else "",
        pages=tuple(pages),
        parties=tuple(party for party in truth.parties if party.name.casefold() in text),
        dates=tuple(dates),
        amounts=tuple(amount for amount in truth.amounts if wording.plain(amount.cents) in text),
    )
