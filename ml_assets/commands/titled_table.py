"""A titled table of labels and texts, in which no address is broken in two."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ml_assets.commands.screen import plain

if TYPE_CHECKING:
    from rich.console import Console

Line = tuple[str, str]
"""A label and what there is to say of it, with rich's markup."""

_FRAME = 7
"""Columns that borders and padding take."""


def print_table(title: str, lines: Iterable[Line], console: "Console | None" = None) -> None:
    """Print a table on standard output.

    A word that no cell can hold (an address, a path) stands below the table, where nothing cuts it: whoever copies it
    has all of it.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    cells = [(plain(label), plain(text)) for label, text in lines]
    width = console.width - max((Text.from_markup(label).cell_len for label, _ in cells), default=0) - _FRAME
    table = Table(title=plain(title) or None, title_justify="left", show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    below: list[Line] = []
    for label, text in cells:
        long = [word for word in re.split(r"\s+", text) if len(word) > width]
        for word in long:
            text = text.replace(word, "(below)")  # noqa: PLW2901 - what is left of it
        table.add_row(label, text)
        below += [(label, word) for word in long]
    console.print(table)
    for label, word in below:
        console.print(f"{label}: {word}", soft_wrap=True, highlight=False)
