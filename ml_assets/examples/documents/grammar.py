"""Phrases with alternatives, and the banks that hold the phrases of a layout.

A phrase: `Tenant [shall|agrees to] pay {rent}[| promptly]` — brackets hold alternatives, braces hold a slot.

A bank, in a `.txt` file beside this one:

    @@ name
    @title A | B |            the alternatives of the title; an empty one is no title
    @opening                  a part without a heading, always there
    @section Heading | Other  a part with a heading, always there
    @maybe Heading            a part that longer documents have
    @exhibit Heading          the same, on a new page after the signatures
    @closing                  a part before the signatures
    @sign landlord tenant     who signs

A line of a part is a paragraph; `- ` begins an item of a list, `= a ; b` a row of a table, `: ` a line of a form,
`^ ` a centred line, `%` what only code can write, such as a table that adds up. `~` begins another version of a part.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

from ml_assets.errors import DeclarationError
from ml_assets.examples.documents.dice import Dice

_TOKEN = re.compile(r"\[|\]|\||\{[^{}]*\}|[^\[\]|{}]+")
_KINDS = {"- ": "item", "= ": "row", ": ": "field", "^ ": "center", "% ": "code"}
_PARTS = ("opening", "section", "maybe", "exhibit", "closing")


@dataclass(frozen=True)
class Slot:
    """A place for a fact."""

    name: str


@dataclass(frozen=True)
class Phrase:
    """Alternatives, each a sequence of words, slots and phrases."""

    options: "tuple[tuple[Piece, ...], ...]"


Piece: TypeAlias = str | Slot | Phrase


@dataclass(frozen=True)
class Line:
    """A paragraph, item, row ... of a part."""

    kind: str
    phrase: Phrase


@dataclass(frozen=True)
class Clause:
    """A clause: its heading and its versions, each a sequence of lines."""

    kind: str
    heading: Phrase
    versions: tuple[tuple[Line, ...], ...]


@dataclass(frozen=True)
class Bank:
    """The phrases that one kind of document is made of."""

    name: str
    title: Phrase
    parts: tuple[Clause, ...]
    signers: tuple[str, ...]


def parse(text: str) -> Phrase:
    """The phrase that `text` spells."""
    return _alternatives(iter(_TOKEN.findall(text)))


def expand(phrase: Phrase, dice: Dice, say: Callable[[str], str]) -> str:
    """One of the sentences of a phrase; `say` fills a slot by its name."""
    words: list[str] = []
    _expand(phrase, dice, say, words)
    return "".join(words)


@cache
def banks() -> dict[str, Bank]:
    """All banks by name.

    Raises:
        DeclarationError: a file says something that is no bank.
    """
    files = sorted(Path(__file__).parent.glob("*.txt"))
    return {bank.name: bank for path in files for bank in _read(path)}


def _alternatives(tokens: Iterator[str]) -> Phrase:
    options: list[list[Piece]] = [[]]
    for mark in tokens:
        if mark == "]":
            break
        if mark == "|":
            options.append([])
        elif mark == "[":
            options[-1].append(_alternatives(tokens))
        else:
            options[-1].append(Slot(mark[1:-1]) if mark[0] == "{" else mark)
    return Phrase(tuple(map(tuple, options)))


def _expand(phrase: Phrase, dice: Dice, say: Callable[[str], str], words: list[str]) -> None:
    options = phrase.options
    for piece in options[0] if len(options) == 1 else dice.pick(options):
        if isinstance(piece, str):
            words.append(piece)
        elif isinstance(piece, Slot):
            words.append(say(piece.name))
        else:
            _expand(piece, dice, say, words)


def _read(path: Path) -> Iterator[Bank]:
    sections = path.read_text(encoding="utf-8").split("\n@@ ")
    for text in sections[1:]:
        name, _, rest = text.partition("\n")
        yield _bank(f"{path.name}: {name.strip()}", name.strip(), rest)


def _bank(where: str, name: str, text: str) -> Bank:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    title = Phrase(((),))
    signers: tuple[str, ...] = ()
    parts: list[Clause] = []
    for word, rest, body in _commands(lines):
        if word == "title":
            title = _trimmed(rest)
        elif word == "sign":
            signers = tuple(rest.split())
        elif word in _PARTS:
            parts.append(Clause(word, _trimmed(rest), _versions(body)))
        else:
            raise DeclarationError(f"{where}: @{word} is none of title, sign, {', '.join(_PARTS)}")
    return Bank(name, title, tuple(parts), signers)


def _commands(lines: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Each `@word rest` with the lines that follow it."""
    starts = [number for number, line in enumerate(lines) if line.startswith("@")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        word, _, rest = lines[start][1:].partition(" ")
        yield word, rest, lines[start + 1 : end]


def _versions(lines: Iterable[str]) -> tuple[tuple[Line, ...], ...]:
    chunks = groupby(lines, key=lambda line: line == "~")
    return tuple(tuple(map(_line, chunk)) for between, chunk in chunks if not between)


def _line(text: str) -> Line:
    kind = _KINDS.get(text[:2])
    return Line(kind, parse(text[2:])) if kind else Line("para", parse(text))


def _trimmed(text: str) -> Phrase:
    """Alternatives at the top, without the blanks around each."""
    return parse("|".join(option.strip() for option in text.split("|")))
