"""The ASGI application of a worker: predictions go straight to their function, all else through FastAPI."""

import logging
import re
import sys
import time

from ml_assets.errors import MlAssetsError
from ml_assets.escaping import printable
from ml_assets.redaction import redact, redact_logs
from ml_assets.serving.api import create_api
from ml_assets.serving.connection_limits import capacity
from ml_assets.serving.http import VARIANT, GoneError, Message, Receive, Scope, Send, answer_json, refuse, release_body
from ml_assets.serving.log import log_plainly
from ml_assets.serving.problem import Problem, server_error, unavailable
from ml_assets.serving.routes.predict import SCOPE, predict
from ml_assets.serving.worker import Worker
from ml_assets.settings import read_settings

BUSY = 1000
"""Requests that a worker has in hand; more are refused at once."""

FIRST_WORD = 30.0
"""Seconds to wait for the follower's first report before requests are answered all the same."""

_LOG = logging.getLogger("ml_assets.serving")
_PREFIX, _SUFFIX = "/models/", "/predict"
_PREDICT = f"{_PREFIX}{{model}}{_SUFFIX}"
_OF_MODEL = re.compile(r"/models/([^/]+)/(predict|invocations|ping)")
_ROUTES = frozenset({"/search", "/outcomes", "/models"})
_ALWAYS = frozenset({"/health", "/ready", "/metrics"})
"""Routes about the state of a worker, which are answered also while it is overloaded."""


class App:
    """The ASGI application. Predictions bypass FastAPI, which would double their cost; it answers all other routes.

    Args:
        worker: what the requests share.
        patience: seconds to wait for the follower's first word before anything is answered. A worker that did not wait
            would answer that it is loading after another one of the same server has said that it is ready.
    """

    def __init__(self, worker: Worker, patience: float = 0.0) -> None:
        self._worker = worker
        self._services = worker.services
        self._guard = worker.services.guard
        self._routes = worker.services.models.routes
        self._count = worker.traffic.count
        self._patience = patience
        self._api = create_api(worker)
        self._active = 0
        self._most = capacity() * 3 // 4  # a client who only asks how the worker is finds a connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._limited(scope, receive, send)

    def count_refusal(self, status: int) -> None:
        """Count an answer that a connection gave by itself, before there was a request."""
        self._count("connection", "", status, 0)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._active >= min(BUSY, self._most) and scope["path"] not in _ALWAYS:
            await self._busy(scope, send)
            return
        self._active += 1
        try:
            self._guard.admit(scope)
            path: str = scope["path"]
            if path.endswith(_SUFFIX) and scope["method"] == "POST" and path.startswith(_PREFIX):
                await self._predict(path[len(_PREFIX) : -len(_SUFFIX)], scope, receive, send)
            else:
                await self._other(scope, receive, send)
        except Problem as problem:
            await refuse(send, problem)
        finally:
            self._active -= 1
            release_body(scope)

    async def _busy(self, scope: Scope, send: Send) -> None:
        """Overload is counted like every other answer: who looks at the numbers has to see it."""
        await refuse(send, unavailable("busy", f"{BUSY} requests are in hand", "try again, or add workers"))
        path: str = scope["path"]
        match = _OF_MODEL.fullmatch(path)
        name = match[1] if match and match[1] in self._routes else ""
        route = f"/models/{{model}}/{match[2]}" if match else path if path in _ROUTES else "other"
        self._count("predict" if route == _PREDICT else route, name, 503, 0)

    async def _predict(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.perf_counter(), 200
        try:
            self._guard.require(scope, SCOPE)
            body = await predict(self._services, name, scope, receive)
            await answer_json(scope, send, body)
        except Problem as problem:
            status = problem.status
            await refuse(send, problem)
        except GoneError:
            return
        except Exception as error:  # noqa: BLE001 - logged; the next request is answered all the same
            status = 500
            _LOG.exception("predict %s", name)
            await refuse(send, server_error(error))
        known_name = name if name in self._routes else ""
        self._count("predict", known_name, status, time.perf_counter() - began, scope.get(VARIANT))

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.perf_counter(), 500
        bare = scope["method"] == "HEAD"  # answered as GET, without the body
        if bare:
            scope = {**scope, "method": "GET"}

        async def send_message(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send({**message, "body": b""} if bare and "body" in message else message)

        try:
            await self._api(scope, receive, send_message)
        except GoneError:
            status = 0
        except Exception:  # noqa: BLE001 - answered by the API's own handler; the next request is answered all the same
            _LOG.exception("%s %s", scope["method"], scope["path"])
        finally:
            route = getattr(scope.get("route"), "path", "other")
            name = scope.get("path_params", {}).get("model", "")
            known_name = name if name in self._routes else ""
            if status:  # nobody was answered who has gone
                self._count(route, known_name, status, time.perf_counter() - began, scope.get(VARIANT))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._worker.start()
            await self._worker.services.models.wait(self._patience)
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._worker.stop()
        await send({"type": "lifespan.shutdown.complete"})


def create() -> App:
    """The application of this process: here the settings enter the server.

    What a user can put right is one line, and the process ends.
    """
    log_plainly()
    redact_logs()
    try:
        return App(Worker(read_settings()), FIRST_WORD)
    except MlAssetsError as error:
        sys.stderr.write(f"ml-assets: {printable(redact(str(error)))}\n")
        raise SystemExit(2) from error
