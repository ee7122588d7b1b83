"""`ml-assets explain`: why an answer was given, or what would be said of an entity, from the lake."""

import json
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml_assets.commands.progress import show_work
from ml_assets.commands.screen import echo
from ml_assets.errors import DataError

if TYPE_CHECKING:
    from ml_assets.commands.project import Project
    from ml_assets.reasons.contributions import AnswerReason, Value
    from ml_assets.storage.manifest import Manifest
    from ml_assets.storage.registry import Version


@dataclass(frozen=True)
class Explained:
    """An answer with its reasons.

    Args:
        model: that answered.
        version: of it.
        entity: who or what was scored; None where the request did not say.
        prediction_id: of an answer of a server; None: it was made now.
        as_of: the as-of date of the features.
        score: P(label = 1), or of several classes the probability of the best one.
        decision: what follows from it.
        reasons: what speaks for the decision, the largest first.
        base: the score of the background, in log-odds.
        method: exact, or sampled.
    """

    model: str
    version: int
    entity: str | None
    prediction_id: str | None
    as_of: date | None
    score: float
    decision: str | None
    reasons: "list[AnswerReason]"
    base: float
    method: str

    def lines(self) -> list[str]:
        """What a person reads."""
        who = self.prediction_id or f"{self.entity} as of {self.as_of}"
        head = f"{who}: {self.decision}, score {self.score:.4f}, by version {self.version} of {self.model}"
        return [
            head,
            *(f"{reason.contribution:+8.3f}  {reason.text}" for reason in self.reasons),
            f"{self.base:+8.3f}  base; log-odds, {self.method}",
        ]


def explain(
    what: Annotated[str, typer.Argument(help="The id of a prediction, or a model folder")],
    entity: Annotated[str, typer.Argument(help="Of a model: who is scored, by its champion")] = "",
    reasons: Annotated[int, typer.Option(min=1, max=10, help="How many")] = 4,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object")] = False,
) -> None:
    """Why an answer was given, by its prediction id; or what the champion says of an entity now, and why."""
    from ml_assets.commands.project import Project
    from ml_assets.settings import PROJECT

    with show_work(f"explaining {what}"):
        project = Project(PROJECT)
        found = explain_entity(project, what, entity, reasons) if entity else explain_prediction(project, what, reasons)
    plain = asdict(found) | {"as_of": None if found.as_of is None else str(found.as_of)}
    echo(json.dumps(plain, ensure_ascii=False) if json_ else "\n".join(found.lines()))


def explain_prediction(project: "Project", prediction_id: str, most: int) -> Explained:
    """An answer of a server, from the prediction log in the lake: what the server said of it, to the bit.

    Raises:
        DataError: it is not in the lake.
        RegistryError: its version was released without reasons, or they were changed.
    """
    from ml_assets.events.rows import EventRefusedError, model_of
    from ml_assets.storage.tables import ModelTables

    try:
        model = model_of(prediction_id)
    except EventRefusedError:
        raise DataError(f"{prediction_id!r} is no id of a prediction: pass one, or a model and an entity") from None
    table, lake = ModelTables(model).prediction_log, project.lake
    sql = "SELECT * FROM log WHERE prediction_id = $id LIMIT 1"
    rows = [] if lake.version(table) is None else lake.query(sql, {"id": prediction_id}, log=table).to_pylist()
    if not rows:
        raise DataError(
            f"{prediction_id} is not in {table}: the graph takes what servers answered; ask GET "
            "/predictions/<id>/reasons of the server, or materialize it first"
        )
    row = rows[0]
    version = project.registry.version(model, int(row["version"]))
    return _explained(project, version, row, json.loads(row["features"]), most)


def explain_entity(project: "Project", model: str, entity: str, most: int) -> Explained:
    """What the champion says of an entity at the last as-of date that was predicted.

    Args:
        project: the loaded project.
        model: the model folder.
        entity: who is scored.
        most: how many reasons.

    Raises:
        DataError: there is no champion, nothing was predicted yet, or the entity is not in the population.
    """
    from ml_assets.training.explanations import feature_rows
    from ml_assets.training.frame import features
    from ml_assets.training.score import champion_record, list_predicted_dates
    from ml_assets.training.score import feature_rows as scored_rows

    folder, lake = project.folder(model), project.lake
    champion, kept = champion_record(project.registry, folder)
    days = list_predicted_dates(lake, model)
    if not days:
        raise DataError(f"{model} has predicted nothing yet: `ml-assets run {model}` does")
    table = scored_rows(lake, folder, kept, days[-1:])
    mine = table.filter([str(each) == entity for each in table[kept.entity].to_pylist()])
    if not len(mine):
        raise DataError(f"{kept.entity} {entity!r} is not in the population of {model} at {days[-1]}")
    (values,) = feature_rows(features(mine, kept.columns))
    row: dict[str, Any] = {"entity": entity, "as_of": days[-1], "prediction_id": None}
    return _explained(project, champion, row, dict(zip(kept.columns.all, values, strict=True)), most)


def _explained(
    project: "Project", version: "Version", row: dict[str, Any], features: "dict[str, Value]", most: int
) -> Explained:
    from ml_assets.reasons.explainer import read_explainer
    from ml_assets.serving.models.artifact import Artifact
    from ml_assets.serving.models.explained import AnswerToExplain, ReleaseExplainer
    from ml_assets.storage.manifest import Manifest
    from ml_assets.storage.reasons_file import read_reasons

    registry = project.registry
    manifest = Manifest.from_json(registry.manifest(version))
    content = read_reasons(registry, version, _digest(manifest))
    artifact = Artifact(manifest, registry.onnx(version))
    values = [features.get(name) for name in artifact.names]
    (said,) = artifact.answer([values])
    row = {**said._asdict(), **row}
    seed = row["prediction_id"] or f"{version.model} {row['entity']} {row['as_of']}"
    explainer = ReleaseExplainer(manifest, read_explainer(content, artifact.probabilities))
    found = explainer.explain(AnswerToExplain(seed, values, row["decision"], row["predicted"]), most)
    return Explained(
        version.model, version.number, row["entity"], row["prediction_id"], row["as_of"], row["score"],
        row["decision"], *found,
    )  # fmt: skip


def _digest(manifest: "Manifest") -> str:
    if manifest.reasons is None:
        raise DataError(
            f"version {manifest.version} of {manifest.model} was released without reasons: run "
            f"`ml-assets run {manifest.model}` for one that has them"
        )
    return manifest.reasons.sha256
