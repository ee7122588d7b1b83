"""What a run of the loop came to, for people: what is in the tables, who answers and why, where everything lies."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape

from ml_assets.commands.summary import Summary, numbers
from ml_assets.commands.titled_table import Line, print_table
from ml_assets.settings import Settings

_SHOWN = 3
"""Files, reasons and warnings of a source that are shown; `--json` has all of them."""


def show(summary: Summary, settings: Settings) -> None:
    """Print a table of the outcome."""
    print_table(f"{summary.model} as of {summary.as_of}", lines(summary, settings))


def lines(summary: Summary, settings: Settings) -> list[Line]:
    """Labels and texts."""
    label = [("label", escape(summary.label))] if summary.label else []
    return [
        *([("late", summary.behind)] if summary.behind else []),
        ("rows", "\n".join(line for name, row in summary.rows.items() for line in source(name, row))),
        ("model", escape(f"version {summary.candidate}, {_trained(summary)}: {summary.reason}")),
        *label,
        ("metrics", _metrics(summary)),
        ("gates", "\n".join(_gates(summary))),
        *([("record", escape("\n".join(_record(summary.record, summary.model))))] if summary.record else []),
        ("champion", escape("\n".join(champion(summary)))),
        ("predictions", escape("\n".join(_predictions(summary, settings)))),
        ("drift", escape("\n".join(drift(summary)))),
        ("verdict", escape(_verdict(summary))),
        ("seconds", f"{summary.seconds:.1f}"),
        ("look next", f"ml-assets up: {settings.dagster_ui}/locations/ml_assets/asset-groups/{summary.model}"),
        ("training", summary.mlflow),
    ]


def source(name: str, row: Mapping[str, Any]) -> Iterator[str]:
    """What came of a source in this run, beside all that it holds."""
    total = f"{_counted(row['accepted'], 'row')}, {row['quarantined']:,} quarantined"
    if row["new_files"]:
        files = f"{_counted(row['new_files'], 'new file')}, {_counted(row['accepted_now'], 'row')} accepted"
        yield f"{name}: {files}, {row['quarantined_now']:,} quarantined; of all time {total}"
    else:
        yield f"{name}: {total}; no new files"
    reasons = [f"quarantined, {_counted(each['rows'], 'row')}: {each['reason']}" for each in row["reasons"]]
    left = [f"left where it is: {_left(each)}" for each in row["refused"]]
    beside = [f"beside its `files`, and not read: {each}" for each in row["beside"]]
    for notes in (reasons, left, [f"warning: {each}" for each in row["warnings"]], beside):
        yield from (f"  {escape(line)}" for line in notes[:_SHOWN])
        if len(notes) > _SHOWN:
            yield f"  … and {len(notes) - _SHOWN:,} more: ml-assets run --json names them"


def champion(summary: Summary) -> Iterator[str]:
    """Who answers and why, and why the candidate does not."""
    answers = summary.champion
    if answers is None:
        yield "none yet, so nobody answers"
    else:
        since = f" since {answers['since']}" if answers["since"] else ""
        yield f"version {answers['version']} answers{since}: {answers['decision']}, {answers['reason']}"
    if summary.not_champion:
        yield f"version {summary.candidate} does not: {summary.not_champion}"


def drift(summary: Summary) -> Iterator[str]:
    """What drifted, how much of the features could be judged, and the page that shows it."""
    if not summary.watched:
        yield "nobody watches: declare a Monitor in defs.yaml"
        return
    judged = [name for name, row in summary.drift.items() if row.get("drifted") is not None]
    drifted = [name for name in judged if summary.drift[name]["drifted"]]
    yield from (f"{name} ({summary.drift[name]['reason']})" for name in drifted)
    if summary.drift:
        yield f"{len(drifted) or 'none'} of {len(judged)} judged{_unjudged(summary.drift)}"
    else:
        yield "nobody to compare" if summary.champion else "no champion to compare with"
    if summary.page:
        yield f"page: {Path(summary.page).absolute().as_uri()}"


def _unjudged(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """How many features have no verdict, and why the first of them has none."""
    reasons = [str(row["reason"]) for row in rows.values() if row.get("drifted") is None]
    small = [reason for reason in reasons if reason.startswith("too few values")]
    others = [reason for reason in reasons if reason not in small]
    return (f", {len(small)} too small to judge" if small else "") + (
        f", {len(others)} not judged ({others[0]})" if others else ""
    )


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _left(note: object) -> str:
    return f"{note['file']}: {note['reason']}" if isinstance(note, Mapping) else str(note)


def _trained(summary: Summary) -> str:
    return "trained now" if summary.trained else "not trained"


def _record(record: Mapping[str, Any], model: str) -> Iterator[str]:
    from ml_assets.release.text import short_lines

    yield record["headline"]
    yield from (line for line in short_lines(record) if " accuracy: " not in line)  # the gates say it
    yield f"ml-assets release {model}"


def _metrics(summary: Summary) -> str:
    best = "" if summary.best_possible is None else f"  (best possible roc_auc {summary.best_possible:.4f})"
    return numbers(summary.metrics) + best


def _gates(summary: Summary) -> Iterator[str]:
    yield from map(_gate, summary.gates)
    if summary.suspected_leak:
        yield f"[yellow]![/] {escape(summary.suspected_leak)}"


def _gate(gate: Mapping[str, Any]) -> str:
    return f"{'[green]✓[/]' if gate['passed'] else '[red]✗[/]'} {escape(gate['reason'])}"


def _predictions(summary: Summary, settings: Settings) -> Iterator[str]:
    if summary.champion and not summary.predictions:
        yield f"nobody is scored: population.sql returned no row as of {summary.as_of}"
        return
    if not summary.predictions:
        yield "none: nobody answers yet"
        return
    yield f"{summary.predictions:,} entities scored, in {settings.lake / summary.predictions_table}"
    yield f"ml-assets export {summary.model} predictions --to FILE"


def _verdict(summary: Summary) -> str:
    if not summary.watched:
        return "none: nobody watches"
    return f"{summary.verdict['action']}: {summary.verdict['reason']}" if summary.verdict else "none"
