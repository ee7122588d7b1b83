"""The processes of the server: a parent that follows the registry, and workers that answer."""

import logging
import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress

import msgspec

from ml_assets.errors import MlAssetsError, RegistryError
from ml_assets.serving.auth import Authenticator, is_loopback, mark_path
from ml_assets.serving.connection_limits import raise_descriptors
from ml_assets.serving.log import log_plainly
from ml_assets.serving.models.follower import Follower
from ml_assets.serving.models.releases import Releases
from ml_assets.serving.tokens import Tokens
from ml_assets.settings import Settings
from ml_assets.storage.registry import Registry

# The follower asks again a second later; MLflow's own patience is minutes, in which nobody would know what is wrong.
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


_LOG = logging.getLogger("ml_assets.serving")


class ServeError(MlAssetsError):
    """The server cannot be started."""


def serve(settings: Settings, host: str, port: int, workers: int, announce: Callable[[str], None]) -> None:
    """Run until it is told to stop; a worker that dies is replaced.

    Args:
        settings: paths and URLs.
        host: an address of this machine.
        port: of TCP; 0: any that is free.
        workers: processes that answer.
        announce: is told the URL, once somebody answers there.

    Raises:
        ServeError: the port is taken, nobody but this machine may be answered without tokens, or no worker can start.
    """
    from uvicorn import Config

    from ml_assets.serving.supervisor import Supervisor

    log_plainly()
    tokens = Tokens(settings.tokens)
    _require_tokens(tokens, host)
    config = Config(
        "ml_assets.serving.app:create", factory=True, host=host, port=port, workers=workers, loop="uvloop",
        http="ml_assets.serving.connection:Connection", ws="none", lifespan="on", log_level="warning",
        access_log=False, server_header=False, date_header=False, proxy_headers=False, timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )  # fmt: skip
    listening = _listen(host, port)
    raise_descriptors()
    os.environ.update({key: value for key, value in _IMPATIENT.items() if key not in os.environ})
    releases = Releases.at(settings.state, settings.release_keys)
    _forget_asked(releases)
    follower = Follower(Registry(settings.tracking_uri, ui=settings.mlflow_ui), releases)
    follower.start()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        Authenticator(tokens, mark_path())  # from now on a file of tokens that vanishes is missed
        supervisor = Supervisor(config, listening, lambda: announce(_url(listening)))
        try:
            supervisor.run()
        finally:
            follower.stop()
            listening.close()
    if supervisor.failed:
        raise ServeError("the server has not started: its worker has said why")


def _require_tokens(tokens: Tokens, host: str) -> None:
    existing = tokens.read()
    if existing == ():
        _LOG.warning("%s holds no token: nobody is let in until `ml-assets token add NAME`", tokens.path)
    if existing is None and not is_loopback(host):
        raise ServeError(
            f"--host {host}: without tokens the server listens on this machine only; make one with "
            "`ml-assets token add NAME`, or leave --host out"
        )


def _forget_asked(releases: Releases) -> None:
    """Until this server's follower has asked the registry, nobody can say that a model is not released."""
    with suppress(OSError, RegistryError):  # the follower says what is wrong with the disk
        releases.save_routes(msgspec.structs.replace(releases.routes(), asked=0.0, trouble=None))


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except (OSError, OverflowError) as error:
        listening.close()
        why = error.strerror if isinstance(error, OSError) else "no port"
        raise ServeError(f"{host}:{port} cannot be listened on ({why}): choose another --port or --host") from error
    listening.set_inheritable(True)
    return listening
