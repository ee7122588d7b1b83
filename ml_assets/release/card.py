"""The card of a version: what it is for, how good it is, and what nobody has checked.

Its front matter is what the Hugging Face hub reads (`model-index`); all but the owner's words follows from what was
measured.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from ml_assets.decisions.metric import METRICS, headline
from ml_assets.decisions.release import Check, CheckStatus
from ml_assets.release.text import MARKS
from ml_assets.spec.release import CardSpec
from ml_assets.storage.manifest import Manifest
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.evaluation import Evaluation
from ml_assets.training.record import TrainingRecord

if TYPE_CHECKING:
    from ml_assets.decisions.interval import Interval

_NOBODY_SAID = "*(nobody has said)*"


@dataclass(frozen=True)
class CardFacts:
    """What a card is made of.

    Args:
        folder: the declaration.
        manifest: of the version.
        origin: what it was trained from.
        evaluation: what was measured on rows that it never saw.
        checks: of the record.
    """

    folder: ModelDefinition
    manifest: Manifest
    origin: TrainingRecord
    evaluation: Evaluation
    checks: Sequence[Check]


def write_card(facts: CardFacts) -> bytes:
    """The card as Markdown; the same facts give the same bytes."""
    front = yaml.safe_dump(_front(facts), sort_keys=False, allow_unicode=True, width=120)
    sections = (_about, _data, _metrics, _groups, _limits, _rollback, _hashes)
    body = "\n".join(line for section in sections for line in (*section(facts), ""))
    title = f"{facts.manifest.model} version {facts.manifest.version}"
    return f"---\n{front}---\n\n# {title}\n\n{body}".encode()


def _front(facts: CardFacts) -> dict[str, Any]:
    """As `huggingface_hub.ModelCardData` reads it: a task, a dataset and the metrics of one result."""
    manifest, running = facts.manifest, any(each.kind == "document" for each in facts.manifest.inputs)
    task = "text-classification" if running else "tabular-classification"
    metrics = [
        {"type": name, "name": name, "value": float(facts.evaluation.metrics[name])}
        for name in headline()
        if name in facts.evaluation.metrics
    ]
    dataset = {"type": "tabular", "name": f"{manifest.model} as of {manifest.as_of}", "split": "test"}
    result = {"task": {"type": task}, "dataset": dataset, "metrics": metrics}
    card = facts.folder.spec.card or CardSpec()
    return {
        **({"license": card.license} if card.license else {}),
        "library_name": "onnx",
        "pipeline_tag": task,
        "tags": ["ml_assets", manifest.model],
        "model-index": [{"name": f"{manifest.model} {manifest.version}", "results": [result]}],
    }


def _about(facts: CardFacts) -> Iterator[str]:
    spec = facts.folder.spec
    card = spec.card or CardSpec()
    yield from ("## What it is for", "")
    days = spec.label.horizon.days
    classes = f", one of {', '.join(spec.label.classes)}" if spec.label.classes else ""
    yield f"{spec.description or facts.manifest.model}"
    yield f"A probability for each `{spec.entity}`{classes}: of what happens within {days} days after an as-of date."
    yield f"Owners: {', '.join(spec.owners) or _NOBODY_SAID}."
    yield ""
    yield f"- **Intended use**: {card.intended_use.strip() or _NOBODY_SAID}"
    yield f"- **Not for**: {card.not_for.strip() or _NOBODY_SAID}"
    yield f"- **Risk**: {card.risk or _NOBODY_SAID}"


def _data(facts: CardFacts) -> Iterator[str]:
    split, manifest = facts.origin.split, facts.manifest
    yield from ("## Data", "")
    yield f"As of {manifest.as_of}: {len(manifest.inputs)} features of {len(manifest.ttls)} views, each computed from"
    yield "what was known before its as-of date."
    yield ""
    yield from _table(("rows", "as-of dates"), [
        ("training", _dates(split.train)), ("test", _dates(split.test)), ("fitted for release", _dates(split.refit)),
    ])  # fmt: skip
    yield ""
    yield from _table(("table", "version"), sorted(manifest.tables.items()))


def _dates(days: Sequence[object]) -> str:
    return f"{days[0]} to {days[-1]} ({len(days)})"


def _metrics(facts: CardFacts) -> Iterator[str]:
    found = facts.evaluation
    yield from ("## How good it is", "")
    yield f"On {found.rows:,} rows of {found.entities:,} entities that it was not fitted on; differences with their"
    yield "95 % interval."
    yield ""
    others = sorted(found.others)
    rows = [
        (name, f"{found.metrics[name]:.4f}", *(_beside(found, other, name) for other in others))
        for name in METRICS
        if name in found.metrics
    ]
    yield from _table(("metric", "value", *(f"against the {other}" for other in others)), rows)
    if found.baseline is not None:
        yield ""
        yield f"The baseline is the best single feature, {found.baseline}."


def _beside(found: Evaluation, other: str, metric: str) -> str:
    interval: Interval | None = found.intervals.get(other, {}).get(metric)
    return "" if interval is None else f"{interval.estimate:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


def _groups(facts: CardFacts) -> Iterator[str]:
    yield from ("## Groups", "")
    slices: Mapping[str, Mapping[str, Mapping[str, float]]] = facts.evaluation.slices
    if not slices:
        yield "No slices are declared."
        return
    names = [name for name in headline() if any(name in part for values in slices.values() for part in values.values())]
    rows = [
        (f"{column} = {value}", f"{part.get('rows', 0):,.0f}",
         *(f"{part[name]:.4f}" if name in part else "too few rows" for name in names))
        for column, values in slices.items()
        for value, part in values.items()
    ]  # fmt: skip
    yield from _table(("group", "rows", *names), rows)


def _limits(facts: CardFacts) -> Iterator[str]:
    yield from ("## What was checked, and what was not", "")
    yield from (f"- {MARKS[check.status]} **{check.name}**: {check.reason}" for check in facts.checks)
    unknown = sum(check.status is CheckStatus.NOT_JUDGED for check in facts.checks)
    yield ""
    days = facts.folder.spec.label.horizon.days
    yield f"{unknown} of {len(facts.checks)} checks were not judged: nothing is known of them. Labels come {days} days"
    yield "after an answer, so a change in what it predicts is seen that late."


def _rollback(facts: CardFacts) -> Iterator[str]:
    yield from ("## Going back", "")
    yield f'`ml-assets rollback {facts.manifest.model} --reason "…"` lets the champion before answer, within seconds.'


def _hashes(facts: CardFacts) -> Iterator[str]:
    yield from ("## Where it comes from", "")
    yield f"- artifact: SHA-256 `{facts.manifest.sha256}`"
    yield f"- run: `{facts.manifest.run_id}`"
    yield from (f"- {name}: `{value}`" for name, value in sorted(facts.manifest.tags.items()))


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    from ml_assets.escaping import markdown

    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    yield from (f"| {' | '.join(markdown(str(cell)) for cell in row)} |" for row in rows)
