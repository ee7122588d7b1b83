"""A variant of a model in a worker: its release, ready, and what turns rows into answers and records."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import msgspec

from ml_assets.documents.reasons import reasons
from ml_assets.events.rows import Prediction, prediction_id
from ml_assets.features.online.schema import OnlineRecord, Schema, stale_views
from ml_assets.serving.models.artifact import Artifact, Value
from ml_assets.serving.problem import Problem
from ml_assets.serving.request import RequestRows, Requests
from ml_assets.storage.scorer import normal


class Answer(msgspec.Struct, omit_defaults=False, gc=False):
    """What is said of a row.

    Args:
        prediction_id: under which outcomes and lineage are asked for.
        score: P(label = 1).
        decision: the declared band that the score falls into.
        model_version: which version answered.
        variant: under which name: `champion`.
        features_as_of: the as-of date of the features; null where they came with the request.
        missing: features without a value.
        stale: feature views past their TTL.
    """

    prediction_id: str
    score: float
    decision: str
    model_version: int
    variant: str
    features_as_of: str | None
    missing: tuple[str, ...]
    stale: tuple[str, ...]


class Classified(Answer, omit_defaults=False, gc=False):
    """What is said of a row by a model of several classes.

    Args:
        predicted: the most probable class; `score` is its probability. The decision is the same, or `needs_review`.
        reasons: words of the document that speak most for it.
        unseen_share: of its words, the share that the training never saw; where that is large, nothing is known of the
            document, and the decision is `needs_review`. Null where the model reads no running text.
    """

    predicted: str
    reasons: tuple[str, ...]
    unseen_share: float | None


class Answers(msgspec.Struct, gc=False):
    """What is said of a request, a row in its order."""

    predictions: list[Answer]


class ModelInput(msgspec.Struct, gc=False):
    """The inputs of a model of one row."""

    values: Sequence[Value]
    as_of: str | None = None
    stale: tuple[str, ...] = ()


class ServedModel:
    """A release that answers.

    Args:
        release: its name.
        artifact: verified and loaded.
        since: when it began to answer, seconds since 1970.
        variant: the name under which it answers.
    """

    def __init__(self, release: str, artifact: Artifact, since: float, variant: str) -> None:
        self.release = release
        self.artifact = artifact
        self.since = since
        self.variant = variant
        self.manifest = artifact.manifest
        self.requests = Requests(self.manifest)
        self.version = str(self.manifest.version)
        self._texts = [at for at, column in enumerate(self.manifest.inputs) if column.kind == "document"]
        self._pick: dict[int, Callable[[Sequence[Any]], Sequence[Value]]] = {}

    def inputs_from_records(
        self, entities: Sequence[str], records: Sequence[OnlineRecord | None], now: float
    ) -> list[ModelInput]:
        """The inputs of entities, from their records in the online store.

        Raises:
            Problem: it holds nothing of some.
        """
        if None in records:
            raise self._unknown([who for who, record in zip(entities, records, strict=True) if record is None])
        then = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
        return [
            ModelInput(
                self._picker_for(record.schema)(record.values), record.as_of.isoformat(), stale_views(record, then)
            )
            for record in records
            if record is not None
        ]

    def answers(
        self, rows: RequestRows, seen: Sequence[ModelInput], began: int
    ) -> tuple[list[Answer], list[Prediction]]:
        """Scores, decisions, and what is recorded of them.

        Args:
            rows: of the request.
            seen: what the model sees of each.
            began: when the request came, nanoseconds since 1970.
        """
        decisions = self.artifact.answer([row.values for row in seen])
        now = time.time_ns()
        latency, requested = (now - began) // 1000, began // 1000
        answers, predictions = [], []
        for entity, row, (score, decision, predicted, unseen) in zip(rows.entities, seen, decisions, strict=True):
            missing, who = self._missing(row.values), prediction_id(self.manifest.model, now)
            common = (who, score, decision, self.manifest.version, self.variant, row.as_of, missing, row.stale)
            classified = predicted and Classified(*common, predicted, self._reasons(row, predicted), unseen)
            answers.append(classified or Answer(*common))
            features = msgspec.json.encode(dict(zip(self.artifact.names, row.values, strict=True))).decode()
            predictions.append(
                Prediction(
                    who, self.manifest.model, self.version, self.variant, entity, row.as_of, score, decision, features,
                    _json_list(missing), _json_list(row.stale), requested, latency, predicted,
                )
            )  # fmt: skip
        return answers, predictions

    def _reasons(self, row: ModelInput, predicted: str) -> tuple[str, ...]:
        texts = [row.values[at] or "" for at in self._texts]
        return reasons(normal(" ".join(map(str, texts))), self.manifest.terms.get(predicted, {}))

    def _missing(self, values: Sequence[Value]) -> tuple[str, ...]:
        if None not in values:
            return ()
        return tuple(name for name, value in zip(self.artifact.names, values, strict=True) if value is None)

    def _picker_for(self, schema: Schema) -> Callable[[Sequence[Any]], Sequence[Value]]:
        """A function from the values of a record to the model's inputs; made once for each schema."""
        pick = self._pick.get(schema.fingerprint)
        if pick is None:
            pick = self._pick[schema.fingerprint] = _picker(
                [column.name for column in schema.columns], self.artifact.names
            )
        return pick

    def _unknown(self, entities: Sequence[str]) -> Problem:
        name = self.manifest.entity
        return Problem(
            404, "unknown-entity", f"the online store holds no features of {len(entities)} of the entities",
            f"send entities of the population, or instances with their features; {self.manifest.model}/online_features "
            "says as of when it was written", field=f"$.entities[*].{name}", value=", ".join(entities[:5]),
        )  # fmt: skip


def _picker(held: Sequence[str], wanted: Sequence[str]) -> Callable[[Sequence[Any]], Sequence[Value]]:
    places = [held.index(name) if name in held else None for name in wanted]
    if None in places or len(places) < 2:
        return lambda values: tuple(None if place is None else values[place] for place in places)
    return itemgetter(*places)


def _json_list(names: Sequence[str]) -> str | None:
    return msgspec.json.encode(names).decode() if names else None
