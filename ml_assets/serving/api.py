"""The routes of the server and their OpenAPI document."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

from ml_assets.serving import openapi as documents
from ml_assets.serving.docs_page import add_docs
from ml_assets.serving.health import HealthReport, Ready
from ml_assets.serving.http import PROBLEM
from ml_assets.serving.problem import Problem, server_error
from ml_assets.serving.release_api import add_release_routes
from ml_assets.serving.route_scopes import ScopedRoute, require_no_token, require_scope
from ml_assets.serving.routes.assignment import UNIT_SCHEMA, assign
from ml_assets.serving.routes.invocations import invocations
from ml_assets.serving.routes.lineage import lineage
from ml_assets.serving.routes.models import Models, details, summary
from ml_assets.serving.routes.outcomes import outcomes
from ml_assets.serving.routes.predict import SCOPE, predict
from ml_assets.serving.routes.reasons import reasons_of
from ml_assets.serving.routes.search import search
from ml_assets.serving.tokens import Scope
from ml_assets.serving.worker import Worker

_ABOUT = """Answers of the released champions, with features from the online store or from the request.

Each answer has a `prediction_id`; it was recorded before it was sent, can be traced to the rows that trained the model,
and judged by the outcomes that are posted under it."""
_READ = (401, 403, 404, 503)
_ASSIGN = (401, 403, 404, 409, 422, 503)
_WRITE = (400, 401, 403, 404, 408, 413, 415, 422, 503)
_PREDICT = (*_WRITE, 409)


def create_api(worker: Worker) -> FastAPI:
    """The application over a worker."""
    app = FastAPI(
        title="ml_assets", version="1", description=_ABOUT, docs_url=None, redoc_url=None, openapi_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    app.router.route_class = ScopedRoute
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(RequestValidationError, _http)
    app.add_exception_handler(Exception, _failed)
    _answers(app, worker)
    _questions(app, worker)
    add_release_routes(app, worker.services)
    _state(app, worker)
    _document(app, worker)
    add_docs(app)
    return app


def _answers(app: FastAPI, worker: Worker) -> None:
    def _post(
        path: str, scope: Scope, run: Callable[..., Awaitable[bytes]], schema: str,
        refused: Sequence[int] = _WRITE, **more: Any,  # noqa: ANN401 - of FastAPI
    ) -> None:  # fmt: skip
        async def endpoint(request: Request) -> Response:
            names = list(request.path_params.values())
            return _json(await run(worker.services, *names, request.scope, request.receive))

        endpoint.__doc__, endpoint.__name__ = (run.__doc__ or "").split("\n\n")[0], run.__name__
        app.add_api_route(
            path, endpoint, methods=["POST"], response_class=Response,
            dependencies=require_scope(worker.services.guard, scope),
            responses=documents.answers(schema, "Answered, and recorded", *refused), **more,
        )  # fmt: skip

    name = {"in": "path", "name": "model", "required": True, "schema": {"type": "string"}, "example": "churn"}
    _post(
        "/models/{model}/predict", SCOPE, predict, "Answers", _PREDICT, summary="Scores and decisions, a row each",
        openapi_extra={"parameters": [name], **documents.body("Predict")},
    )  # fmt: skip
    _post(
        "/models/{model}/invocations", SCOPE, invocations, "Predictions", summary="MLflow's scoring protocol",
        openapi_extra={"parameters": [name], **documents.body("Invocations", table=True)},
    )  # fmt: skip
    _post(
        "/search", "search", search, "SearchResponse", summary="Documents that fit a query",
        openapi_extra=documents.body("SearchRequest"),
    )  # fmt: skip
    _post(
        "/outcomes", "outcomes", outcomes, "Accepted", summary="What turned out to be true, or what users did",
        openapi_extra=documents.body("Outcomes"),
    )  # fmt: skip


def _questions(app: FastAPI, worker: Worker) -> None:
    secured: dict[str, Any] = {"response_class": Response, "dependencies": require_scope(worker.services.guard, "read")}

    def reads(name: str, description: str) -> dict[str, Any]:
        return {**secured, "responses": documents.answers(name, description, *_READ)}

    @app.get("/models", summary="The champions", **reads("Models", "Those that this server answers with"))
    async def models() -> Response:
        """Name, version, since when it answers, and the variants with their shares."""
        return _json(msgspec.json.encode(Models([summary(route) for route in worker.services.models.routes.values()])))

    @app.get(
        "/models/{model}",
        summary="A model: variants, and the champion's features, bands, metrics, gates",
        **reads("Model", "What it is"),
    )
    async def model(model: str) -> Response:
        """What was released, and as of when the online store holds its features."""
        return _json(msgspec.json.encode(details(worker.services, worker.services.route(model))))

    @app.get(
        "/models/{model}/ping",
        summary="Whether a model answers, as MLflow's clients ask",
        response_class=Response,
        dependencies=require_no_token(),
        responses={200: {"description": "It does"}, **documents.problems(404, 503)},
    )
    async def ping(model: str) -> Response:
        """200 with an empty body."""
        worker.services.model(model)
        return Response()

    @app.get("/predictions/{prediction_id}/lineage", summary="Where an answer comes from", **reads("Lineage", "Whence"))
    async def of_prediction(prediction_id: str) -> Response:
        """Prediction → version → MLflow run → Dagster run → tables and their versions, and the feature values."""
        return _json(msgspec.json.encode(await lineage(worker.services, prediction_id)))

    @app.get(
        "/predictions/{prediction_id}/reasons", summary="Why an answer is what it is",
        response_class=Response, dependencies=secured["dependencies"],
        responses=documents.answers("ReasonsOfPrediction", "What speaks for its decision", *_READ, 409),
    )  # fmt: skip
    async def why(prediction_id: str) -> Response:
        """The reasons that it was given, to the bit, and up to ten of them."""
        return _json(msgspec.json.encode(await reasons_of(worker.services, prediction_id)))

    unit = {"in": "query", "name": "unit", "required": True, "schema": UNIT_SCHEMA, "example": "c000017"}

    @app.get(
        "/experiments/{name}/assignment", summary="The variant of a unit, for products that call no model",
        response_class=Response, dependencies=require_scope(worker.services.guard, SCOPE),
        responses=documents.answers("Assignment", "Assigned, and recorded", *_ASSIGN),
        openapi_extra={"parameters": [unit]},
    )  # fmt: skip
    async def assignment(request: Request, name: str) -> Response:
        """The same for a unit for ever; it is recorded as an exposure before it is answered."""
        return _json(await assign(worker.services, name, request.query_params.get("unit", "")))

    numbers = {"description": "The numbers", "content": {"text/plain": {"schema": {"type": "string"}}}}

    @app.get(
        "/metrics",
        summary="For Prometheus, of all workers",
        responses={200: numbers, **documents.problems(*_READ)},
        **secured,
    )
    async def metrics() -> Response:
        """Requests, latency, errors, scores, missing features."""
        return Response(worker.services.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _state(app: FastAPI, worker: Worker) -> None:
    @app.get(
        "/health",
        summary="Live, and what is degraded",
        response_class=Response,
        dependencies=require_no_token(),
        responses=documents.answers("HealthReport", "It lives"),
    )
    async def health() -> Response:
        """Always 200 while the process answers; `degraded` names each part that does not work, and why."""
        degraded = worker.health.degraded_parts()
        return _json(msgspec.json.encode(HealthReport("degraded" if degraded else "ok", degraded)))

    @app.get(
        "/ready",
        summary="Whether requests shall be sent here",
        response_class=Response,
        dependencies=require_no_token(),
        responses=documents.answers("Ready", "They shall", 503),
    )
    async def ready() -> Response:
        """200, or 503 and why."""
        why = worker.health.unready_reason()
        if why is not None:
            raise Problem(503, "not-ready", why, "see /health", retry_after=1)
        return _json(msgspec.json.encode(Ready()))


def _document(app: FastAPI, worker: Worker) -> None:
    """Made anew when other champions answer, or tokens are asked for: it says what they are sent.

    That names features and what is common of them, so where there are tokens it is for those who have one; others
    read of the routes alone.
    """
    documents_by_access: dict[bool, tuple[object, bytes]] = {}

    @app.get("/openapi.json", include_in_schema=False, dependencies=require_no_token())
    async def document(request: Request) -> Response:
        authorized = worker.services.guard.open or worker.services.guard.has_token(request.scope)
        models = worker.services.models.defaults() if authorized else []
        of = (worker.services.guard.open, *(model.release for model in models))
        if authorized not in documents_by_access or documents_by_access[authorized][0] != of:
            app.openapi_schema = None
            openapi = documents.complete_document(app.openapi(), models, open_=worker.services.guard.open)
            documents_by_access[authorized] = (of, msgspec.json.encode(openapi))
        return _json(documents_by_access[authorized][1])


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - as it was registered
    headers = {key.decode(): value.decode() for key, value in error.headers}
    return Response(error.body, error.status, headers, PROBLEM.decode())


async def _failed(_: Request, error: Exception) -> Response:
    """Errors that no handler expects; the application's log says more."""
    problem = server_error(error)
    return Response(problem.body, problem.status, media_type=PROBLEM.decode())


async def _http(request: Request, error: Exception) -> Response:
    """Refusals of FastAPI itself: unknown paths, wrong methods."""
    status = error.status_code if isinstance(error, HTTPException | StarletteHTTPException) else 422
    headers = getattr(error, "headers", None)
    problem = Problem(status, "no-route", f"{request.method} {request.url.path} is not answered", "see /docs")
    return Response(problem.body, status, headers, PROBLEM.decode())
