"""`ml-assets experiment`: what A/B tests say, and the end of one by hand."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ml_assets.commands.person import person
from ml_assets.commands.progress import show_work
from ml_assets.commands.screen import echo
from ml_assets.commands.titled_table import Line, print_table
from ml_assets.errors import DataError
from ml_assets.settings import PROJECT

if TYPE_CHECKING:
    from ml_assets.commands.project import Project
    from ml_assets.decisions.secondary import SecondaryEffect
    from ml_assets.rollouts.experiment_ledger import ExperimentStep
    from ml_assets.rollouts.experiment_report import ExperimentReport

app = typer.Typer(no_args_is_help=True, help="A/B tests: what they say, and the end of one by hand.")

_Model = Annotated[str, typer.Argument(help="The model folder")]
_Name = Annotated[str, typer.Argument(help="The experiment's name")]


@app.command("list")
def show_all(model: Annotated[str, typer.Argument(help="The model folder [default: all]")] = "") -> None:
    """Every experiment: since when, how it stands, and why."""
    with show_work("looking at experiments"):
        from ml_assets.rollouts.experiment import list_experiments

        project = _project()
        names = [project.model(model).folder] if model else [*project.models]
        steps = [(name, step) for name in names for step in list_experiments(project.lake, name)]
    if not steps:
        echo("No experiment has begun: declare one, see docs/experiments.md.", err=True)
    for name, step in steps:
        echo(f"{name}/{step.experiment}\t{step.action}\t{step.started:%Y-%m-%d}\t{step.reason}")


@app.command()
def show(model: _Model, name: _Name) -> None:
    """What is known of an experiment as of its last measurement."""
    with show_work(f"looking at {name}"):
        from ml_assets.rollouts.experiment_report import read_report

        step = _last(_project(), model, name)
    report = read_report(step.evidence)
    print_table(f"{model}: experiment {name}", [*_head(step), *(_body(report) if report else [])])


@app.command()
def stop(model: _Model, name: _Name, reason: Annotated[str, typer.Option(help="Why, for the ledger")]) -> None:
    """End an experiment: the champion answers everything."""
    with show_work(f"ending {name}"):
        from ml_assets.rollouts.experiment import stop as end

        project = _project()
        now = datetime.now(UTC).replace(tzinfo=None)
        end(project.lake, project.registry, model, name, now, actor=person(), reason=reason)
    echo(f"{model}: experiment {name} has ended; servers let the champion answer everything within seconds")


def _project() -> "Project":
    from ml_assets.commands.project import Project

    return Project(PROJECT)


def _last(project: "Project", model: str, name: str) -> "ExperimentStep":
    from ml_assets.rollouts.experiment import list_experiments

    steps = {step.experiment: step for step in list_experiments(project.lake, project.model(model).folder)}
    if name not in steps:
        raise DataError(f"{model} has no experiment {name!r}: there are {', '.join(steps) or 'none'}")
    return steps[name]


def _head(step: "ExperimentStep") -> list[Line]:
    times = f"{step.started:%Y-%m-%d %H:%M} UTC to {step.ends:%Y-%m-%d %H:%M} UTC"
    return [("stands", step.action), ("what to do", step.reason), ("runs", times)]


def _body(report: "ExperimentReport") -> list[Line]:
    rows = report.rows()
    lines = [(str(row["variant"]), ", ".join(_cells(row))) for row in rows]
    lines += [(f"{each.metric}, {each.variant}", _beside(each)) for each in report.secondary]
    return [*lines, ("measured", f"{report.at:%Y-%m-%d %H:%M} UTC"), *(("left out", note) for note in report.notes)]


def _beside(effect: "SecondaryEffect") -> str:
    """What is said of a secondary metric."""
    return f"{effect.reason}; e-value {effect.e_value:.3g}, {'stands' if effect.stands else 'does not stand'}"


def _cells(row: dict[str, object]) -> list[str]:
    words = [f"version {row['version']}", f"{row['share']} of the units", f"{row['exposed']:,} exposed"]
    words.append(f"{row['units']:,} with a value")
    words += [f"{name} {row[name]}" for name in ("mean", "difference", "lift") if row[name] != ""]
    return words
