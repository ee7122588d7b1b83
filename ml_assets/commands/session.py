"""What one call of the command line shares: the settings, which enter here and are handed to every command."""

from dataclasses import dataclass

import typer

from ml_assets.settings import Settings


@dataclass
class Session:
    """One call of `ml-assets`.

    Args:
        settings: None until a command is about to begin: `--help` works with a wrong variable, too.
    """

    settings: Settings | None = None


def settings_of(context: typer.Context) -> Settings:
    """The settings of the session that a command belongs to."""
    settings = context.ensure_object(Session).settings
    if settings is None:
        raise RuntimeError("the callback of the command line reads the settings before any command")
    return settings
