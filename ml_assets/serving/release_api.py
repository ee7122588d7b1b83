"""`GET /models/{model}/release` and `/card` as FastAPI answers and documents them."""

from fastapi import FastAPI, Response

from ml_assets.serving import openapi as documents
from ml_assets.serving.route_scopes import require_scope
from ml_assets.serving.routes.release import card, release_record
from ml_assets.serving.services import Services

_REFUSED = (401, 403, 404, 503)


def add_release_routes(app: FastAPI, services: Services) -> None:
    """Answer both at an application."""
    readers = require_scope(services.guard, "read")
    markdown = {"description": "What it is", "content": {"text/markdown": {"schema": {"type": "string"}}}}

    @app.get(
        "/models/{model}/release", summary="What was checked of the champion, signed", response_class=Response,
        dependencies=readers, responses=documents.answers("SignedRelease", "What was checked", *_REFUSED),
    )  # fmt: skip
    async def release(model: str) -> Response:
        """The entry of its release record, with its signature, to the byte."""
        return Response(release_record(services, model), media_type="application/json")

    @app.get(
        "/models/{model}/card", summary="The card of the champion", response_class=Response, dependencies=readers,
        responses={200: markdown, **documents.problems(*_REFUSED)},
    )  # fmt: skip
    async def model_card(model: str) -> Response:
        """Markdown, whose front matter the Hugging Face hub reads."""
        return Response(card(services, model), media_type="text/markdown; charset=utf-8")
