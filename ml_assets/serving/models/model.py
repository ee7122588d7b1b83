"""A variant of a model in a worker: its release, ready, and what turns rows into answers and records."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from ml_assets.events.rows import Prediction, prediction_id
from ml_assets.features.online.schema import OnlineRecord, Schema, stale_views
from ml_assets.reasons.contributions import AnswerReason
from ml_assets.serving.models.artifact import Artifact, Decision, Value
from ml_assets.serving.problem import Problem
from ml_assets.serving.request import Requests, SeenRows
from ml_assets.storage.manifest import Input


class Answer(msgspec.Struct, omit_defaults=False, gc=False):
    """What is said of a row.

    Args:
        prediction_id: under which outcomes and lineage are asked for.
        score: P(label = 1).
        decision: the declared band that the score falls into.
        model_version: which version answered.
        variant: that the row was assigned to: `champion`.
        features_as_of: the as-of date of the features; null where they came with the request.
        missing: features without a value.
        stale: feature views past their TTL.
        reasons: what speaks for the decision, where it was asked for; of several classes in contrast to the others.
        base: the score in log-odds without any feature.
        method: how the reasons were found: `exact` or `sampled`; `unavailable`: they could not be.
    """

    prediction_id: str
    score: float
    decision: str
    model_version: int
    variant: str
    features_as_of: str | None
    missing: tuple[str, ...]
    stale: tuple[str, ...]
    reasons: list[AnswerReason] | msgspec.UnsetType = msgspec.UNSET
    base: float | msgspec.UnsetType = msgspec.UNSET
    method: str | msgspec.UnsetType = msgspec.UNSET


class Classified(Answer, omit_defaults=False, gc=False, kw_only=True):
    """What is said of a row by a model of several classes.

    Args:
        predicted: the most probable class; `score` is its probability. The decision is the same, or `needs_review`.
        unseen_share: of its words, the share that the training never saw; where that is large, nothing is known of the
            document, and the decision is `needs_review`. Null where the model reads no running text.
    """

    predicted: str
    unseen_share: float | None


class Answers(msgspec.Struct, gc=False):
    """What is said of a request, a row in its order."""

    predictions: list[Answer]


class ModelInput(msgspec.Struct, gc=False):
    """The inputs of a model of one row."""

    values: Sequence[Value]
    as_of: str | None = None
    stale: tuple[str, ...] = ()


class AnswerLabels(NamedTuple):
    """What is said of answers beside what the model says.

    Args:
        variant: that the rows were assigned to, whoever answers.
        ids: of the answers, one for each row.
        requested: when the request came, microseconds since 1970.
        latency: microseconds from then to the scores.
        explained: told of each answer the model and what it saw, if reasons are asked for.
    """

    variant: str
    ids: Sequence[str]
    requested: int
    latency: int
    explained: SeenRows | None = None


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
        self.expected = self.manifest.expected
        self._pick: dict[int, Callable[[Sequence[Any]], Sequence[Value]]] = {}

    def inputs_from_records(
        self, entities: Sequence[str], records: Sequence[OnlineRecord | None], now: float
    ) -> list[ModelInput]:
        """The inputs of entities, from their records in the online store.

        Raises:
            Problem: it holds nothing of some.
        """
        self.require_records(entities, records)
        then = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
        return [
            ModelInput(
                self._picker_for(record.schema)(record.values), record.as_of.isoformat(), stale_views(record, then)
            )
            for record in records
            if record is not None
        ]

    def require_records(self, entities: Sequence[str], records: Sequence[OnlineRecord | None]) -> None:
        """Return if there is a record of each entity.

        Raises:
            Problem: the online store holds nothing of some.
        """
        if None in records:
            raise self._unknown([who for who, record in zip(entities, records, strict=True) if record is None])

    def answers(
        self,
        entities: Sequence[str | None],
        seen: Sequence[ModelInput],
        began: int,
        explained: SeenRows | None = None,
    ) -> tuple[list[Answer], list[Prediction]]:
        """Scores, decisions, and what is recorded of them.

        Args:
            entities: of the rows.
            seen: what the model sees of each.
            began: when the request came, nanoseconds since 1970.
            explained: as of `AnswerLabels`.
        """
        decisions = self.artifact.answer([row.values for row in seen])
        now = time.time_ns()
        ids = [prediction_id(self.manifest.model, now) for _ in seen]
        labels = AnswerLabels(self.variant, ids, began // 1000, (now - began) // 1000, explained)
        return self.label(entities, seen, decisions, labels)

    def label(
        self,
        entities: Sequence[str | None],
        seen: Sequence[ModelInput],
        decisions: Sequence[Decision],
        labels: AnswerLabels,
    ) -> tuple[list[Answer], list[Prediction]]:
        """Answers, and what is recorded of them.

        Args:
            entities: of the rows.
            seen: what the model saw of each.
            decisions: what it said.
            labels: what else is said of the answers.
        """
        answers, predictions = [], []
        manifest, variant, requested, latency = self.manifest, labels.variant, labels.requested, labels.latency
        for who, entity, row, (score, decision, predicted, unseen) in zip(
            labels.ids, entities, seen, decisions, strict=True
        ):
            missing = self._missing(row.values)
            common = (who, score, decision, manifest.version, variant, row.as_of, missing, row.stale)
            classified = predicted and Classified(*common, predicted=predicted, unseen_share=unseen)
            answers.append(classified or Answer(*common))
            features = msgspec.json.encode(dict(zip(self.artifact.names, row.values, strict=True))).decode()
            predictions.append(
                Prediction(
                    who, manifest.model, self.version, variant, entity, row.as_of, score, decision, features,
                    _json_list(missing), _json_list(row.stale), requested, latency, predicted,
                )
            )  # fmt: skip
        if labels.explained is not None:
            labels.explained.update(
                {who: (self.release, row.values) for who, row in zip(labels.ids, seen, strict=True)}
            )
        return answers, predictions

    def picker_from(self, inputs: Sequence[Input]) -> Callable[[Sequence[Any]], Sequence[Value]] | None:
        """A function from the values of other inputs to those of this version; None: some are not among them."""
        kinds = {column.name: column.kind for column in inputs}
        if any(kinds.get(column.name) != column.kind for column in self.manifest.inputs):
            return None
        return _picker(list(kinds), self.artifact.names)

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
