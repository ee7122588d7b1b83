"""`ml-assets data …`: fill the drop zone. Each sample that a model folder declares is a subcommand."""

import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ml_assets.commands.interrupt import typed_command
from ml_assets.commands.progress import bar, show_work
from ml_assets.commands.samples import Sample, by_command
from ml_assets.commands.screen import echo
from ml_assets.commands.session import settings_of
from ml_assets.commands.simulation.challenger import Fault
from ml_assets.errors import DeclarationError
from ml_assets.settings import PROJECT

DEFS = PROJECT / "ml_assets" / "defs"


class _Commands(TyperGroup):
    """The commands of this file, after those of the declared samples, which are looked up when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer's own copy of click's context
        """The names, in the order of `--help`."""
        return [*by_command(DEFS), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - typer's own copy of click's command
        """The command of a name; None where there is none.

        Raises:
            DeclarationError: the sample's function cannot be imported, or a folder that may declare it is broken.
        """
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        samples = by_command(DEFS)
        if cmd_name in samples:
            return _command(samples[cmd_name])
        if samples.unread:  # the one that is meant may be declared there
            raise DeclarationError(_broken())
        return None


def _broken() -> str:
    """Why a folder cannot be loaded, with file and line."""
    from ml_assets.commands.project import Project

    return next(iter(Project(PROJECT).broken.values()))


app = typer.Typer(cls=_Commands, no_args_is_help=True, help="Fill the drop zone with sample files; correct deliveries.")


@app.command()
def retry(
    model: Annotated[str, typer.Argument(help="The folder of a model of documents")] = "documents",
) -> None:
    """Read again what was refused of a model's documents: it took too long, or an older release could not read it."""
    with bar("reading documents", kept="read") as progress:
        from ml_assets.commands.project import Project
        from ml_assets.commands.retry import read_again

        outcomes = read_again(Project(PROJECT), model, progress)
    for outcome in outcomes:
        echo(outcome)


@app.command()
def traffic(
    model: Annotated[str, typer.Argument(help="The model's folder; a server answers for it")],
    challenger: Annotated[
        Fault | None, typer.Option(help="Make a released version with this fault and offer it to the rollout first")
    ] = None,
    effect: Annotated[
        float, typer.Option(help="Share by which other variants than the champion raise conversions", min=-1)
    ] = 0.0,
    minutes: Annotated[float, typer.Option(help="How long", min=0.01)] = 5.0,
    rate: Annotated[float, typer.Option(help="Requests a second", min=0.1, max=10_000)] = 50.0,
    delay: Annotated[float, typer.Option(help="Seconds until an outcome is known, at the median", min=0)] = 20.0,
    url: Annotated[str, typer.Option(help="Of the server")] = "http://127.0.0.1:8000",
    token: Annotated[str, typer.Option(help="Of a server that asks for one", envvar="ML_ASSETS_TOKEN")] = "",
    seed: Annotated[int, typer.Option(help="Of who asks when, and of the truth")] = 0,
) -> None:
    """Drive a running server: customers who return, late outcomes of known truth, a challenger of known fault."""
    with show_work("loading the models"):
        from ml_assets.commands.project import Project
        from ml_assets.commands.simulation.driver import TrafficPlan
        from ml_assets.commands.traffic import traffic

        project = Project(PROJECT)
        _ = project.models
    plan = TrafficPlan(url.rstrip("/"), model, "", rate, 60 * minutes, effect, delay, token, seed)
    for line in traffic(project, plan, challenger):
        echo(line)


@app.command()
def undo(
    source: Annotated[str, typer.Argument(help="Model and source: churn/transactions")],
    file: Annotated[str, typer.Argument(help="Its path as `status` names it, the end of it, or its SHA-256")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
) -> None:
    """Take a delivery back: its rows leave the table and the quarantine, and what it replaced comes back."""
    with show_work("loading the models"):
        from ml_assets.commands.project import Project
        from ml_assets.commands.undo_delivery import undo_delivery

        project = Project(PROJECT)
        _ = project.models
    undo_delivery(project, source, file, yes=yes)


def _command(sample: Sample) -> TyperCommand:
    """The subcommand that fills a drop zone; its options are the parameters of the sample's function.

    Raises:
        DeclarationError: the function cannot be imported.
    """
    fill = sample.fill()

    def run(context: typer.Context, **options: object) -> None:
        echo(fill(sample.zone(settings_of(context).incoming, typed_command(), bar), **options))

    title, texts = _documented(fill)
    _, *parameters = inspect.signature(fill, eval_str=True).parameters.values()
    options = [_option(parameter, texts.get(parameter.name)) for parameter in parameters]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    run.__signature__ = inspect.Signature([context, *options])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in (context, *options)}
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(sample.spec.command, help=title)(run)
    command = typer.main.get_command(app)
    assert isinstance(command, TyperCommand)  # noqa: S101 - one command without a callback is not a group
    return command


def _option(parameter: inspect.Parameter, text: str | None) -> inspect.Parameter:
    """A parameter of a function as an option of the command line: `from_` is `--from`."""
    name = f"--{parameter.name.rstrip('_').replace('_', '-')}"
    return parameter.replace(
        annotation=Annotated[parameter.annotation, typer.Option(name, help=text)], kind=inspect.Parameter.KEYWORD_ONLY
    )


def _documented(function: Callable[..., object]) -> tuple[str, dict[str, str]]:
    """The first paragraph of a docstring, and the texts of its `Args:` by parameter, as sentences of a help page."""
    title, _, rest = (inspect.getdoc(function) or "").partition("\n\n")
    arguments = rest.partition("Args:\n")[2].partition("\n\n")[0]
    texts = re.findall(r"^    (\w+): (.+(?:\n {5,}.+)*)", arguments, re.MULTILINE)
    sentences = {name: " ".join(text.split()).rstrip(".") for name, text in texts}
    return title, {name: f"{text[:1].upper()}{text[1:]}" for name, text in sentences.items()}
