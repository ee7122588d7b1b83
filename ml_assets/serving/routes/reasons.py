"""Reasons: in an answer, where they are asked for, and of one that was recorded, `GET /predictions/{id}/reasons`."""

import logging
from collections.abc import Sequence

import msgspec

from ml_assets.errors import MlAssetsError
from ml_assets.events.rows import EventRefusedError, EventStoreError, Prediction, model_of
from ml_assets.reasons.contributions import MOST, AnswerReason
from ml_assets.serving.models.explained import AnswerToExplain, ExplainedAnswer
from ml_assets.serving.models.model import Answer, Classified
from ml_assets.serving.problem import Problem, unavailable
from ml_assets.serving.request import RequestRows
from ml_assets.serving.routes.lineage import unknown_prediction
from ml_assets.serving.services import Services

_LOG = logging.getLogger("ml_assets.serving")


class ReasonsOfPrediction(msgspec.Struct, forbid_unknown_fields=True):
    """The reasons of an answer that was recorded.

    Args:
        prediction_id: of the answer.
        model: that answered.
        version: of it.
        score: the answer's.
        decision: the answer's.
        reasons: what speaks for the decision, the largest first; of several classes in contrast to the others.
        base: the score of the background, in log-odds.
        method: exact, or sampled.
    """

    prediction_id: str
    model: str
    version: str
    score: float
    decision: str | None
    reasons: list[AnswerReason]
    base: float
    method: str


async def add_reasons(services: Services, rows: RequestRows, answers: Sequence[Answer]) -> None:
    """Write into answers the reasons that were asked for. The answers are recorded: whatever fails here, they are sent.

    Args:
        services: of the process.
        rows: of the request, with what the models saw.
        answers: to them.
    """
    for answer in answers:
        release, values = (rows.explained or {}).get(answer.prediction_id, ("", ()))
        predicted = answer.predicted if isinstance(answer, Classified) else None
        seen = AnswerToExplain(answer.prediction_id, values, answer.decision, predicted)
        quick = services.explainers.quick(release)
        try:
            if quick is not None:
                found: ExplainedAnswer | None = quick.explain(seen, rows.reasons)
            else:
                found = await services.lanes.explaining.run(_explain, services, release, seen, rows.reasons)
        except MlAssetsError as error:
            _LOG.warning("no reasons of %s: %s", answer.prediction_id, error)
            found = None
        if found is None:
            answer.reasons, answer.method = [], "unavailable"
        else:
            answer.reasons, answer.base, answer.method = found


def _explain(services: Services, release: str, seen: AnswerToExplain, most: int) -> ExplainedAnswer | None:
    explainer = services.explainers.of(release)
    return None if explainer is None else explainer.explain(seen, most)


async def reasons_of(services: Services, prediction_id: str) -> ReasonsOfPrediction:
    """The reasons of an answer that was recorded: those that it was given, to the bit, and more of them.

    Raises:
        Problem: there is no such prediction here, its version was released without reasons, or the event store does not
            answer.
    """
    try:
        model_of(prediction_id)
        return await services.lanes.explaining.run(_recorded, services, prediction_id)
    except EventRefusedError:
        raise unknown_prediction(prediction_id) from None
    except EventStoreError as error:
        raise unavailable("event-store", str(error)) from None


def _recorded(services: Services, prediction_id: str) -> ReasonsOfPrediction:
    event = services.events.find(Prediction, prediction_id)
    if event is None:
        raise unknown_prediction(prediction_id)
    release = services.releases.release_of_version(event.model, event.version)
    explainer = None if release is None else services.explainers.of(release)
    if release is None or explainer is None:
        raise Problem(
            409, "reasons-unavailable",
            f"version {event.version} was released without reasons, or before this server's disk was new",
            f"run `ml-assets explain {prediction_id}`, or `ml-assets run {event.model}` for a version with reasons",
            field="prediction_id", value=prediction_id,
        )  # fmt: skip
    features = msgspec.json.decode(event.features)
    values = [features.get(column.name) for column in services.releases.manifest(release).inputs]
    seen = AnswerToExplain(prediction_id, values, event.decision, event.predicted)
    found = explainer.explain(seen, MOST)
    return ReasonsOfPrediction(
        prediction_id, event.model, event.version, event.score, event.decision, found.reasons, found.base, found.method
    )
