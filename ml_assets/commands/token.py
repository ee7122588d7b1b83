"""`ml-assets token`: who may ask the server for what."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from ml_assets.commands.screen import echo, reveal
from ml_assets.commands.session import settings_of
from ml_assets.serving.tokens import SCOPES, Tokens

_OPENING = (
    "Add one with `ml-assets token add NAME`; to open it to this machine alone, delete {} and restart the server."
)

app = typer.Typer(no_args_is_help=True, help="Bearer tokens of the server; it takes them up within a second.")


@app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose it is, or what for")],
    scope: Annotated[list[str] | None, typer.Option(help=f"Repeatable: {', '.join(SCOPES)} [default: predict]")] = None,
) -> None:
    """Make a token and print it, once: only its hash is kept."""
    secret = _tokens(context).add(name, scope or ["predict"], datetime.now(UTC).date().isoformat())
    reveal(secret)
    echo("Keep it now, it cannot be shown again. Send it as `Authorization: Bearer …`.", err=True)


@app.command()
def remove(context: typer.Context, name: Annotated[str, typer.Argument(help="As it was added")]) -> None:
    """Take a token back."""
    tokens = _tokens(context)
    if not tokens.remove(name):
        echo(f"That was the last one: the server lets nobody in. {_OPENING.format(tokens.path)}", err=True)


@app.command("list")
def show(context: typer.Context) -> None:
    """Names, scopes and dates."""
    tokens = _tokens(context)
    entries = tokens.read()
    if entries is None:
        echo("There are no tokens: the server answers this machine only, and asks for none.", err=True)
    elif not entries:
        echo(f"{tokens.path} holds no token: the server lets nobody in. {_OPENING.format(tokens.path)}", err=True)
    for token in entries or ():
        echo(f"{token.name}\t{','.join(token.scopes)}\t{token.created}")


def _tokens(context: typer.Context) -> Tokens:
    return Tokens(settings_of(context).tokens)
