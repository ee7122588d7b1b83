"""README.md as its test reads it: fenced blocks, the commands of consoles with what they print, tables."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_assets.settings import PROJECT

README = PROJECT / "README.md"

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BOX = "│┌┐└┘├┤┬┴┼─━┃┏┓┗┛┡┩╇╈"
# What another run, day or machine writes otherwise, the longest first.
_VARIES = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
    (r"\b[0-9a-f]{12,64}\b", "<hash>"),
    (r"/[^\s'\"]*/(?=(?:incoming|reports|ml_assets|data)/)", "/…/"),
    (r"\(\w+[\s│]+as[\s│]+it[\s│]+is\)|\(\w+[\s│]+in[\s│]+bins\)", "(feature)"),
    (r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?", "#"),
    (r"[✓✗]", "✓"),
    (r'"decision": ?"[^"]*"', '"decision":""'),
    (r'"missing": ?\[[^]]*\]', '"missing":[]'),
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        section: the heading above it.
        line: of its opening fence.
        kind: console, text, json, yaml, sql, python.
        text: what stands between the fences.
    """

    section: str
    line: int
    kind: str
    text: str


@dataclass(frozen=True)
class Example:
    """A command of a console block, and the output that is shown for it; empty where none is."""

    section: str
    line: int
    command: str
    output: str

    @property
    def typed(self) -> str:
        """The command without the comment behind it."""
        return re.sub(r"\s{2,}# .*", "", self.command)


def blocks(text: str) -> list[Block]:
    """Every fenced block, in order."""
    found = []
    for fence in _FENCE.finditer(text):
        headings = re.findall(r"^## (.+)$", text[: fence.start()], re.MULTILINE)
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Block(headings[-1] if headings else "", line, fence[1], fence[2]))
    return found


def examples(text: str) -> list[Example]:
    """Every command; a block of text or JSON after a console shows what its last command printed."""
    found: list[Example] = []
    waiting = False
    for block in blocks(text):
        if block.kind == "console":
            found += _commands(block)
        elif waiting and block.kind in {"text", "json"} and not found[-1].output:
            last = found.pop()
            found.append(Example(last.section, last.line, last.command, block.text))
        waiting = block.kind == "console"
    return found


def _commands(block: Block) -> Iterator[Example]:
    """A line that begins with `$ ` is a command, which goes on while a quotation is open; the rest is its output."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        size = next(size for size in range(1, len(lines) + 1) if _closed("\n".join(lines[:size])))
        yield Example(block.section, block.line, "\n".join(lines[:size]), "\n".join(lines[size:]))


def _closed(command: str) -> bool:
    try:
        return bool(shlex.split(command, comments=True))
    except ValueError:  # No closing quotation
        return False


def skeleton(output: str) -> str:
    """An output without what differs from run to run: blanks, lines of tables, numbers, ids, hashes, folders."""
    for pattern, name in _VARIES:
        output = re.sub(pattern, name, output)
    return re.sub(rf"[\s{_BOX}]+", "", output)


def shows(expected: str, printed: str) -> bool:
    """Whether an output has the words of the expected one, in order; `…` stands for anything."""
    parts = map(re.escape, skeleton(expected).split("…"))
    return re.search(".*".join(parts), skeleton(printed), re.DOTALL) is not None


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    below = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def read(path: Path = README) -> str:
    """The README."""
    return path.read_text(encoding="utf-8")
