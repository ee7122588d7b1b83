"""What `ml-assets up` starts, each on loopback only."""

import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from ml_assets.errors import MlAssetsError
from ml_assets.settings import Settings

HOST = "127.0.0.1"
_PYTHON = (sys.executable, "-m")


class UpError(MlAssetsError):
    """A service cannot be started."""


@dataclass(frozen=True)
class Service:
    """A process to keep running.

    Args:
        name: what people call it.
        command: program and arguments.
        address: where it answers.
        health: the path that answers 200 once it is ready.
        log: where what it says goes.
        environment: variables beside those of this process.
    """

    name: str
    command: tuple[str, ...]
    address: str
    health: str
    log: Path
    environment: tuple[tuple[str, str], ...] = ()

    def answers(self) -> bool:
        """Whether it is ready."""
        try:
            with urlopen(self.address + self.health, timeout=1) as answer:  # noqa: S310 - our own address
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


def dagster(port: int, settings: Settings) -> Service:
    """The Dagster UI with the daemon that runs schedules and sensors."""
    command = (*_PYTHON, "ml_assets.commands.dagster_services", str(port))
    log, as_dev = settings.dagster / "dagster.log", (("DAGSTER_IS_DEV_CLI", "1"),)
    return Service("Dagster", command, f"http://{HOST}:{port}", "/server_info", log, as_dev)


def mlflow(port: int, settings: Settings) -> Service:
    """The MLflow UI over the embedded database; one worker, because nobody else asks it."""
    artifacts = str(settings.artifacts)
    where = ("--backend-store-uri", settings.tracking_uri, "--artifacts-destination", artifacts)
    how = ("--host", HOST, "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning")
    # By default it answers as 10.…, 192.168.… and the like, too: 10.evil.example is one of them.
    names = ("--allowed-hosts", ",".join(f"{name}{end}" for name in ("localhost", HOST) for end in ("", ":*")))
    # Its job runners would be processes for nothing, and its warnings are about its own code.
    quiet = (("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"), ("PYTHONWARNINGS", "ignore"))
    command, log = (*_PYTHON, "mlflow", "server", *where, *how, *names), settings.dagster / "mlflow.log"
    return Service("MLflow", command, f"http://{HOST}:{port}", "/health", log, quiet)


def predictions(port: int, settings: Settings) -> Service:
    """The server of predictions."""
    command = (*_PYTHON, "ml_assets", "serve", "--host", HOST, "--port", str(port))
    return Service("Predictions", command, f"http://{HOST}:{port}", "/health", settings.dagster / "serve.log")


def require_free(port: int) -> None:
    """Refuse a port that something listens on, or that is none.

    Raises:
        UpError: with what to do.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OverflowError as error:
            raise UpError(f"{port} is no port: choose one from 1024 to 65535") from error
        except OSError as error:
            remedy = "stop what listens there, or choose another one (--port, --mlflow-port, --serve-port)"
            raise UpError(f"port {port} of {HOST} cannot be used ({error.strerror}): {remedy}") from error
