"""`/docs`: Swagger's own files out of a package, and a page that asks for a token where one is needed.

Nothing comes from another machine, and no script stands within the page, so the browser can be told to refuse both.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Response
from starlette.exceptions import HTTPException

from ml_assets.serving.route_scopes import require_no_token

_HERE = Path(__file__).parent / "docs"
_OURS = {"page.js": "text/javascript", "page.css": "text/css"}
_SWAGGER = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon-32x32.png": "image/png"}
_HEADERS = {
    # Swagger sets styles by script, and its icons are data.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def add_docs(app: FastAPI) -> None:
    """Add the page and its files; they say nothing of the models."""

    @app.get("/docs", include_in_schema=False, dependencies=require_no_token())
    def page() -> Response:
        return Response(_read(_HERE / "page.html"), headers=_HEADERS, media_type="text/html; charset=utf-8")

    @app.get("/docs/{name}", include_in_schema=False, dependencies=require_no_token())
    def file(name: str) -> Response:
        kind = _OURS.get(name) or _SWAGGER.get(name)
        if kind is None:
            raise HTTPException(404)
        folder = _HERE if name in _OURS else _swagger()
        return Response(_read(folder / name), headers={**_HEADERS, "Cache-Control": "max-age=3600"}, media_type=kind)


@cache
def _read(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _swagger() -> Path:
    """Where the package has Swagger's files; it is not imported, for that would import Flask."""
    package = find_spec("flask_swagger_ui")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("the package flask-swagger-ui is not installed: pip install flask-swagger-ui")
    return Path(next(iter(package.submodule_search_locations))) / "dist"
