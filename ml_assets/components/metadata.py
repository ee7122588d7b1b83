"""Plain results as Dagster shows them: numbers as numbers, tables as Markdown, pictures as pictures.

Its UI takes cells and the descriptions of results for Markdown, and text of files, names and errors stands in them:
what holds such text is made here, and only here.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from ml_assets.escaping import fence, markdown

ROWS = 500
"""The rows of a table that are shown: it is an event of Dagster's log, and one hostile file can differ in thousands."""


def table(rows: Sequence[Mapping[str, object]]) -> dg.MarkdownMetadataValue:
    """Rows of the same columns as a Markdown table, at most `ROWS` of them, and how many more there are."""
    if not rows:
        return dg.MetadataValue.md("none")
    head = [*rows[0]]
    lines = [map(markdown, head), ["---"] * len(head), *([_cell(row[name]) for name in head] for row in rows[:ROWS])]
    more = f"\n\n… and {len(rows) - ROWS:,} more" if len(rows) > ROWS else ""
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines) + more)


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A PNG that the Dagster UI shows."""
    return dg.MetadataValue.md(f"![{markdown(title)}](data:image/png;base64,{base64.b64encode(png).decode()})")


def text_block(text: str) -> dg.MarkdownMetadataValue:
    """Lines of text as they are."""
    return dg.MetadataValue.md(fence(text))


def check_result(
    name: str, *, passed: bool, warning: bool = False, description: str = "", metadata: Mapping[str, Any] | None = None
) -> dg.AssetCheckResult:
    """What became of an asset check; a failed one is an error unless it is a warning.

    Args:
        name: of the check.
        passed: whether it did.
        warning: of what severity it fails.
        description: plain text.
        metadata: as Dagster takes it.
    """
    return dg.AssetCheckResult(
        check_name=name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN if warning else dg.AssetCheckSeverity.ERROR,
        description=markdown(description) or None,
        metadata=metadata,
    )


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else markdown(str(value))
