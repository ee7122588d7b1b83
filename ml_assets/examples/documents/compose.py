"""From a bank of phrases to the blocks of one document: which clauses, in which words, in which order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from ml_assets.examples.documents import signatures, tables, wording
from ml_assets.examples.documents.dice import Dice
from ml_assets.examples.documents.facts import Facts
from ml_assets.examples.documents.grammar import Bank, Clause, Line, Phrase, banks, expand
from ml_assets.examples.documents.people import street
from ml_assets.examples.documents.styles import LayoutFamily, Style
from ml_assets.examples.documents.typeset import Block

_COMMON, _COVENANTS, _FRAMES = "common", "covenants", "frames"
_LONG = 10  # common clauses: a contract of so many may be filed, drafted, or restated
_FILED, _RESTATED = 0.25, 0.12  # shares of those contracts
_DENSE = 2  # at full length, a layout with 26 common clauses has up to thirteen more sentences in each section


@dataclass(frozen=True)
class Composed:
    """A document before it is set: its printed title, and its blocks in reading order."""

    title: str
    blocks: tuple[Block, ...]


def compose(layout: LayoutFamily, bank: Bank, dice: Dice, facts: Facts, length: float) -> Composed:
    """Draw one document.

    Args:
        layout: with its look and its share of common clauses.
        bank: the phrases.
        dice: all choices.
        facts: fills the slots, and keeps what it wrote.
        length: from 0, the clauses that cannot be missing, to 1, everything.
    """
    writer = _Writer(layout, dice, facts)
    title = writer.words(bank.title)
    mark, restated, recital = _frames(layout, dice)
    if restated and title:
        title = f"{writer.words(restated)} {title}"
    if mark:
        writer.add(Block("para", writer.words(mark)))
    writer.head(title, bank.signers[0] if bank.signers else "manager")
    if recital:
        writer.add(Block("para", writer.words(recital)))
    for part in _chosen(layout, bank, dice, length):
        writer.part(part, length)
    writer.add(*signatures.blocks(layout.style.sign, bank.signers, dice, facts))
    for part in bank.parts:
        if part.kind == "exhibit" and dice.chance(length):
            writer.exhibit(part)
    blocks = [_raised(block) for block in writer.blocks] if layout.style.all_caps else writer.blocks
    return Composed(title.upper() if layout.style.all_caps else title, tuple(blocks))


class _Writer:
    """Blocks so far, and the number of the last heading."""

    def __init__(self, layout: LayoutFamily, dice: Dice, facts: Facts) -> None:
        self.blocks: list[Block] = []
        self._layout, self._style = layout, layout.style
        self._dice, self._facts = dice, facts
        self._number = 0

    def words(self, phrase: Phrase) -> str:
        text = expand(phrase, self._dice, self._facts.say)
        return (
            text.replace("  ", " ").replace(" ,", ",").replace(" .", ".").replace("..", ".")
        )  # what an empty alternative leaves

    def add(self, *blocks: Block) -> None:
        self.blocks.extend(blocks)

    def head(self, title: str, sender: str) -> None:
        if self._style.letterhead:
            self.add(*_letterhead(self._facts.say(sender), self._dice))
        if title:
            self.add(Block("title", title))

    def part(self, part: Clause, length: float) -> None:
        heading = self.words(part.heading)
        if heading:
            self._number += 1
            heading = _numbered(self._style, self._number, heading)
        lines = (*self._dice.pick(part.versions), *self._covenants(part, length))
        if heading and not self._style.runin:
            self.add(Block("heading", heading))
            heading = ""
        self._lines(lines, heading)

    def _covenants(self, part: Clause, length: float) -> tuple[Line, ...]:
        """What long contracts add to each of their sections."""
        most = self._layout.boilerplate * length * length / _DENSE
        if part.kind in {"opening", "closing"} or most < 1:
            return ()
        pool = _wordings(_COVENANTS, self._layout.held_out)
        count, first = int(most * self._dice.unit() + 0.5), self._dice.between(0, len(pool) - 1)
        parts = (pool[(first + place) % len(pool)] for place in range(min(count, len(pool))))
        return tuple(Line("item", self._dice.pick(covenant.versions)[0].phrase) for covenant in parts)

    def exhibit(self, part: Clause) -> None:
        self.add(Block("break"), Block("title", self.words(part.heading)))
        self._lines(self._dice.pick(part.versions), "")

    def _lines(self, lines: Sequence[Line], lead: str) -> None:
        if lead and lines[0].kind != "para":
            self.add(Block("heading", lead))
            lead = ""
        items = 0
        for line in lines:
            items = items + 1 if line.kind == "item" else 0
            self._line(line, lead, items)
            lead = ""

    def _line(self, line: Line, lead: str, item: int) -> None:
        text = self.words(line.phrase)
        if line.kind == "code":
            self.add(*tables.table_blocks(text.strip(), self._dice, self._facts))
        elif line.kind == "row":
            self.add(Block("row", "", tuple(cell.strip() for cell in text.split(";"))))
        elif line.kind == "item":
            self.add(Block("item", f"{_bullet(self._style, item)} {text}"))
        else:
            self.add(Block(line.kind, f"{lead} {text}".strip()))


def _frames(layout: LayoutFamily, dice: Dice) -> tuple[Phrase | None, Phrase | None, Phrase | None]:
    """Of a long contract: its mark, and where a whole contract is restated, the words of the title and of the text."""
    mark, restated, recital = (dice.pick(part.versions)[0].phrase for part in banks()[_FRAMES].parts)
    filed, again = dice.chance(_FILED), dice.chance(_RESTATED)
    filed &= layout.boilerplate >= _LONG
    again &= layout.boilerplate >= _LONG and layout.label in {"lease", "other"}
    return mark if filed else None, restated if again else None, recital if again else None


def _chosen(layout: LayoutFamily, bank: Bank, dice: Dice, length: float) -> Iterator[Clause]:
    """The parts of a document in order; the common clauses come before the closing."""
    keep = 0.25 + 0.75 * length
    parts = [part for part in bank.parts if part.kind != "maybe" or dice.chance(keep)]
    body = _swapped([part for part in parts if part.kind in {"section", "maybe"}], dice)
    yield from (part for part in parts if part.kind == "opening")
    yield from body
    yield from _common(layout, dice, round(layout.boilerplate * length * (0.4 + 0.6 * dice.unit())))
    yield from (part for part in parts if part.kind == "closing")


def _swapped(parts: list[Clause], dice: Dice) -> list[Clause]:
    """Neighbours change places now and then: the order of clauses is no law. The first one stays."""
    for place in range(1, len(parts) - 1):
        if dice.chance(0.2):
            parts[place], parts[place + 1] = parts[place + 1], parts[place]
    return parts


def _common(layout: LayoutFamily, dice: Dice, count: int) -> list[Clause]:
    """Clauses of any long contract, in a random order without repetition."""
    parts = list(_wordings(_COMMON, layout.held_out))
    for place in range(min(count, len(parts))):
        other = dice.between(place, len(parts) - 1)
        parts[place], parts[other] = parts[other], parts[place]
    return parts[:count]


@cache
def _wordings(bank: str, held_out: bool) -> tuple[Clause, ...]:
    """The common clauses or covenants; their last version is for held-out layouts alone."""
    parts = banks()[bank].parts
    cut = [part.versions[-1:] if held_out else part.versions[:-1] for part in parts]
    return tuple(Clause("section", part.heading, versions) for part, versions in zip(parts, cut, strict=True))


def _numbered(style: Style, number: int, heading: str) -> str:
    text = heading.upper() if style.heading_caps else heading
    form = {
        "none": "{text}",
        "arabic": "{number}. {text}",
        "section": "Section {number}. {text}",
        "article": "ARTICLE {number} - {text}",
        "letter": "{letter}. {text}",
        "paren": "({number}) {text}",
        "sign": "§ {number} {text}",
        "roman": "{roman}. {text}",
    }[style.numbering]
    numbered = form.format(text=text, number=number, letter=_letter(number), roman=wording.roman(number))
    return f"{numbered}." if style.runin else numbered


def _letter(number: int) -> str:
    """A to Z, then AA, BB ..."""
    return chr(ord("A") + (number - 1) % 26) * (1 + (number - 1) // 26)


def _bullet(style: Style, number: int) -> str:
    return f"({number})" if style.numbering in {"letter", "none"} else f"({_letter(number).lower()})"


def _letterhead(sender: str, dice: Dice) -> tuple[Block, ...]:
    where = f"{street(dice)} - Tel. ({dice.between(201, 989)}) 555-{dice.between(100, 199):04d}"
    return (Block("center", sender), Block("center", where), Block("gap"))


def _raised(block: Block) -> Block:
    return block._replace(text=block.text.upper(), cells=tuple(cell.upper() for cell in block.cells))
