"""The page of an incident: one small HTML file, without scripts, fonts or anything from the network."""

import base64
from pathlib import Path

from ml_assets.escaping import html
from ml_assets.monitoring import html_files
from ml_assets.rollouts.incident import Incident

KEPT = 20
"""Pages of a model."""


def write_page(folder: Path, incident: Incident, picture: bytes | None = None) -> Path:
    """Write the page of an incident, whole or not at all; the last `KEPT` of its folder are kept.

    Args:
        folder: of the pages of one model.
        incident: what was known.
        picture: a PNG of its rollout.

    Returns:
        The page. The same incident gives the same file.
    """
    rollback, content = incident.rollback, render(incident, picture)
    name = f"{rollback.at:%Y-%m-%d-%H%M%S}-{rollback.name.replace(' ', '-')}.html"
    html_files.write(folder / name, lambda part: part.write_text(content, encoding="utf-8"), KEPT)
    return folder / name


def render(incident: Incident, picture: bytes | None = None) -> str:
    """The page as HTML. Names, reasons and errors are text, whatever they hold."""
    rollback, encoded = incident.rollback, None if picture is None else base64.b64encode(picture).decode()
    title = f"{incident.model}: version {rollback.version} was rolled back"
    facts = [
        ("When", f"{rollback.at:%Y-%m-%d %H:%M:%S} UTC"),
        ("By", rollback.actor),
        ("Rollout", rollback.name if rollback.steps else "none was running"),
        ("Answers instead", f"version {rollback.stays}"),
        ("Written", f"{incident.written_at:%Y-%m-%d %H:%M:%S} UTC"),
    ]
    page = html("ml_assets.rollouts", "incident.html", title=title, incident=incident, facts=facts, picture=encoded)
    return str(page)
