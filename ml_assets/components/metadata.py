"""Plain results as Dagster metadata: numbers as numbers, tables as Markdown, pictures as pictures."""

import base64
from collections.abc import Mapping, Sequence

import dagster as dg


def table(rows: Sequence[Mapping[str, object]]) -> dg.MarkdownMetadataValue:
    """Rows of the same columns as a Markdown table."""
    if not rows:
        return dg.MetadataValue.md("none")
    head = [*rows[0]]
    lines = [head, ["---"] * len(head), *([_cell(row[name]) for name in head] for row in rows)]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A PNG that the Dagster UI shows."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("|", "\\|").replace("\n", " ")
