"""`ml-assets new`: a model folder that runs."""

from datetime import UTC, date, datetime
from pathlib import Path

from ml_assets.commands.file_modes import hand_over
from ml_assets.components.templates.folder import Place, write
from ml_assets.settings import PROJECT, Settings
from ml_assets.spec.cadence import last_sunday


def new(settings: Settings, name: str, root: Path = PROJECT, today: date | None = None) -> str:
    """Write a model folder into the project at `root` and its sample into the drop zone; say what to do next.

    Args:
        settings: name the drop zone and the lake.
        name: of the model, and so of its folder.
        root: the project's folder.
        today: the sample ends on the last Sunday up to this day.

    Raises:
        DeclarationError: the name is not valid, or is taken.
    """
    place = Place(root / "ml_assets" / "defs", settings.incoming, settings.lake)
    folder = write(name, place, last_sunday(today or datetime.now(UTC).date()))
    hand_over(folder)  # it is code
    sample = settings.incoming / name
    return f"{folder}: its sample is in {sample}; next, `ml-assets run {name}`, then edit its YAML and SQL"
