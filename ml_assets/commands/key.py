"""`ml-assets key`: the key that signs releases."""

import typer

from ml_assets.commands.screen import echo
from ml_assets.commands.session import settings_of
from ml_assets.release.sign import KeyFolder

app = typer.Typer(
    no_args_is_help=True, help="The key that signs releases; servers trust those of ML_ASSETS_RELEASE_KEYS."
)


@app.command()
def new(context: typer.Context) -> None:
    """Make a new key and print its public part; what the old one has signed goes on to be good here."""
    keys = _keys(context)
    echo(keys.renew().public)
    echo(f"The private key is {keys.path}. Servers that trust keys need this one in ML_ASSETS_RELEASE_KEYS.", err=True)


@app.command()
def show(context: typer.Context) -> None:
    """Print the public keys of this data folder, the newest first: for ML_ASSETS_RELEASE_KEYS."""
    keys = _keys(context)
    key = keys.find()
    if key is None:
        echo("There is no key yet: the first release makes one, or `ml-assets key new`.", err=True)
        return
    for public in (key.public, *reversed(keys.old_keys())):
        echo(public)


def _keys(context: typer.Context) -> KeyFolder:
    return KeyFolder.at(settings_of(context).state)
