"""`POST /search`: documents by words and by meaning, each answer recorded like a prediction."""

import time
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from ml_assets.errors import DataError
from ml_assets.events.rows import Search, prediction_id
from ml_assets.search.results import DEPTH, Hit, Results
from ml_assets.serving.content import read_json_content
from ml_assets.serving.http import Receive
from ml_assets.serving.json_body import Decoder
from ml_assets.serving.problem import Problem, unavailable
from ml_assets.serving.services import Services

if TYPE_CHECKING:
    from ml_assets.search.index import SearchIndex


_LARGEST = 1e308
_Amount = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)] | None


class SearchFilters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """What a document must be; all that is given must hold. Ranges include both ends.

    Args:
        labels: one of these classes.
        kinds: one of these file types, such as `pdf`.
        party: part of a party's name, whatever the case, accents and spacing.
        date_from: with `date_to`: the text mentions a date in this range.
        date_to: see `date_from`.
        received_from: the document arrived then or later; with a time zone.
        received_to: the document arrived then or before.
        amount_from: with `amount_to`: the text states an amount in this range.
        amount_to: see `amount_from`.
    """

    labels: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    party: str | None = None
    date_from: date | None = None
    date_to: date | None = None
    received_from: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    received_to: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    amount_from: _Amount = None
    amount_to: _Amount = None


class SearchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What is looked for.

    Args:
        query: words, names, amounts, a question; empty lists what the filters allow, the newest first.
        filters: what a document must be.
        limit: documents of the answer.
        offset: documents before them.
        model: whose documents; needed where several models have some.
    """

    query: Annotated[str, msgspec.Meta(max_length=1000, pattern=r"^[^\x00]*$")] = ""
    filters: SearchFilters = SearchFilters()
    # Whole numbers of JSON: 10.0 is one, which an int of msgspec is not.
    limit: Annotated[float, msgspec.Meta(ge=1, le=DEPTH, multiple_of=1)] = 10
    offset: Annotated[float, msgspec.Meta(ge=0, le=1_000_000, multiple_of=1)] = 0
    model: Annotated[str, msgspec.Meta(max_length=100)] | None = None


class SearchResponse(msgspec.Struct):
    """The documents, best first.

    Args:
        prediction_id: under which outcomes (`kind: click`) and lineage are asked for.
        hits: the page.
        total: documents found in all; at least as many where `exact` is false.
        exact: whether there are no more.
        serial: of the state of the index; pages of one serial do not overlap.
    """

    prediction_id: str
    hits: tuple[Hit, ...]
    total: int
    exact: bool
    serial: int


_DECODER: Decoder[SearchRequest] = Decoder(SearchRequest, "see POST /search in /docs")


async def search(services: Services, scope: Any, receive: Receive) -> bytes:  # noqa: ANN401 - of ASGI
    """The documents that fit a query best, with filters, and the place that fits marked.

    Raises:
        Problem: the query is not answered.
        GoneError: nobody waits for it any more.
    """
    began = time.time_ns()
    _, body = await read_json_content(scope, receive)
    request = _DECODER.decode(body)
    name = _model(services, request)
    results = await services.lanes.searching.run(_search, services.index(name), request)
    row = _row(name, request, results, began)
    await services.recorder.record_predictions([row])
    return msgspec.json.encode(
        SearchResponse(row.prediction_id, results.hits, results.total, results.exact, results.serial)
    )


def _model(services: Services, request: SearchRequest) -> str:
    """The model whose documents are meant.

    Raises:
        Problem: no model has some, or several have and none was named.
    """
    names = [model.manifest.model for model in services.models.defaults() if model.manifest.documents]
    if request.model is None and len(names) == 1:
        return names[0]
    if request.model in names:
        return str(request.model)
    services.models.require_loaded(request.model)
    listed = ", ".join(names) or "none yet"
    what = f"no documents of {request.model!r}" if request.model else f"{len(names)} models have documents"
    raise Problem(
        404, "unknown-model", what,
        f"name one of them: {listed}", field="$.model", value=request.model,
    )  # fmt: skip


def _search(index: "SearchIndex", request: SearchRequest) -> Results:
    from ml_assets.search import query  # pyarrow: only where something is searched

    try:
        filters = query.Filters(
            **{name: _naive(name, value) for name, value in msgspec.structs.asdict(request.filters).items()}
        )
        return index.search(request.query, filters=filters, limit=int(request.limit), offset=int(request.offset))
    except query.QueryError as error:
        raise _refused(request, str(error)) from None
    except DataError as error:
        raise unavailable("search-index", str(error)) from None
    except (OSError, RuntimeError) as error:  # what LanceDB raises where files of the index are gone
        raise unavailable("search-index", f"the index of {request.model or 'the documents'} cannot be read") from error


def _naive(name: str, value: Any) -> Any:  # noqa: ANN401 - of any filter
    """A moment in UTC without a time zone, as the index has it; anything else as it is.

    Raises:
        Problem: UTC has no such year.
    """
    try:
        return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
    except OverflowError:
        raise Problem(
            422, "invalid-field", f"{value.isoformat()} is not within the years 1 to 9999 in UTC",
            "send another moment, or leave it out", field=f"$.filters.{name}", value=value.isoformat(),
        ) from None  # fmt: skip


def _refused(request: SearchRequest, message: str) -> Problem:
    """The refusal of a field whose name the message begins with."""
    name, fields = message.partition(" ")[0], msgspec.to_builtins(request)
    place, among = ("$.filters", fields["filters"]) if name in fields["filters"] else ("$", fields)
    return Problem(
        422, "invalid-field", message, "see POST /search in /docs", field=f"{place}.{name}" if name in among else place,
        value=among.get(name, msgspec.UNSET),
    )  # fmt: skip


def _row(name: str, request: SearchRequest, results: Results, began: int) -> Search:
    now = time.time_ns()
    return Search(
        prediction_id(name, now), name, results.serial, request.query, msgspec.json.encode(request.filters).decode(),
        msgspec.json.encode([hit.document_id for hit in results.hits]).decode(), results.total, began // 1000,
        (now - began) // 1000,
    )  # fmt: skip
