"""What is left of models without a folder, and of commands that were interrupted; each with what ends it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ml_assets.commands.forget import interrupted_commands
from ml_assets.commands.model_places import ForgetRequest
from ml_assets.settings import Settings
from ml_assets.storage.registry import Registry


def orphans(settings: Settings, defs: Path) -> dict[str, list[str]]:
    """Each name that no model folder has, and where something of it is."""
    places: dict[str, list[str]] = {}
    for name, where in _places(settings):
        if not (defs / name).is_dir():
            places.setdefault(name, []).append(where)
    return places


def remedies(settings: Settings, defs: Path) -> dict[str, str]:
    """What is left over, in one line each, and what to do about it."""
    begun = interrupted_commands(settings)
    left = {
        f"{name} has no model folder, and is still {', '.join(where)}": ForgetRequest(name, remove=True).command
        for name, where in orphans(settings, defs).items()
        if name not in begun
    }
    return {f"{name} is half deleted": command for name, command in begun.items()} | left


def _places(settings: Settings) -> Iterator[tuple[str, str]]:
    for where, root in _roots(settings).items():
        for path in sorted(root.glob("*")):
            if path.is_dir() and not path.name.startswith(("_", ".")):
                yield path.name, where
    for name in Registry(settings.tracking_uri).models():
        yield name, "in the registry"


def _roots(settings: Settings) -> Mapping[str, Path]:
    return {
        "in the lake": settings.lake,
        "in the drop zone": settings.incoming,
        "among the search indexes": settings.search,
        "among the reports": settings.reports,
        "among the replays": settings.replays,
    }
