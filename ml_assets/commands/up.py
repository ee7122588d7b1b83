"""`ml-assets up`: the Dagster UI and daemon, the MLflow UI, the prediction server; on loopback only, until Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from filelock import FileLock, Timeout

from ml_assets.commands.interrupt import CODE, new_line
from ml_assets.commands.progress import Show, displaying
from ml_assets.commands.screen import echo
from ml_assets.errors import MlAssetsError
from ml_assets.settings import PROJECT, Settings, settings

HOST = "127.0.0.1"
GRACE = 10.0
"""Seconds that a service has to stop by itself before it is killed."""

_LOOK = 0.25
_SHOWN = 4000  # characters of the log of a service that ended by itself
_PYTHON = (sys.executable, "-m")
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class UpError(MlAssetsError):
    """A service cannot be started."""


Process = subprocess.Popen[bytes]


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


def up(port: int, mlflow_port: int, serve_port: int) -> int:
    """Run until Ctrl-C, SIGTERM or the end of a service; nothing that was started is left behind.

    Returns:
        The exit code: 130 after Ctrl-C, 0 if it was told to stop otherwise, 1 if a service ended by itself, and the
        others were then stopped.

    Raises:
        UpError: a port is taken, or another `up` runs on the same data.
    """
    chosen, told = settings(), threading.Event()
    embedded = chosen.mlflow_tracking_uri is None
    ports = (port, serve_port, mlflow_port) if embedded else (port, serve_port)
    for wanted in ports:
        require_free(wanted)
    if twice := {wanted for wanted in ports if ports.count(wanted) > 1}:
        raise UpError(f"port {min(twice)} is named twice: give --port, --mlflow-port and --serve-port one each")
    with _alone(chosen), _listening(told) as signals, _stopping() as running:
        with displaying("starting") as show:
            lines = _begun(chosen, (port, mlflow_port, serve_port), running, show)
            waiting = _awaited(running, told, show)
        for line in (*lines, *waiting):
            echo(line)
        code = _watch(running, told)
    if signal.SIGINT in signals:
        echo("ml-assets: stopped, and nothing is left running; `ml-assets up` starts it again", err=True)
        return CODE
    return code


def _begun(chosen: Settings, ports: tuple[int, int, int], running: dict[Service, Process], show: Show) -> list[str]:
    """Start the services; what is to be said of it."""
    port, mlflow_port, serve_port = ports
    show("runs that were killed", 0, 0)
    lines = _taken_up()
    running[dagster(port, chosen)] = _start(dagster(port, chosen))
    if chosen.mlflow_tracking_uri is None:
        show("the database of MLflow", 0, 0)
        _prepare_database(chosen)
        running[mlflow(mlflow_port, chosen)] = _start(mlflow(mlflow_port, chosen))
    else:
        lines.append(f"MLflow: {chosen.tracking_uri} (MLFLOW_TRACKING_URI)")
    running[serving(serve_port, chosen)] = _start(serving(serve_port, chosen))
    return lines


def dagster(port: int, chosen: Settings) -> Service:
    """The Dagster UI with the daemon that runs schedules and sensors."""
    workspace = str(PROJECT / "workspace.yaml")
    how = ("-w", workspace, "--host", HOST, "--port", str(port), "--log-level", "warning")
    command = (*_PYTHON, "dagster", "dev", *how)
    return Service("Dagster", command, f"http://{HOST}:{port}", "/server_info", chosen.dagster / "dagster.log")


def mlflow(port: int, chosen: Settings) -> Service:
    """The MLflow UI over the embedded database; one worker, because nobody else asks it."""
    artifacts = str(chosen.data / "mlflow" / "artifacts")
    where = ("--backend-store-uri", chosen.tracking_uri, "--artifacts-destination", artifacts)
    how = ("--host", HOST, "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning")
    # Its job runners would be processes for nothing, and its warnings are about its own code.
    quiet = (("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"), ("PYTHONWARNINGS", "ignore"))
    command, log = (*_PYTHON, "mlflow", "server", *where, *how), chosen.dagster / "mlflow.log"
    return Service("MLflow", command, f"http://{HOST}:{port}", "/health", log, quiet)


def serving(port: int, chosen: Settings) -> Service:
    """The server of predictions."""
    command = (*_PYTHON, "ml_assets", "serve", "--host", HOST, "--port", str(port))
    return Service("Predictions", command, f"http://{HOST}:{port}", "/health", chosen.dagster / "serve.log")


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


@contextmanager
def _alone(chosen: Settings) -> Iterator[None]:
    """Two daemons on one instance would start every scheduled run twice."""
    path = chosen.dagster / "up.lock"
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout as error:
        raise UpError(f"another `ml-assets up` runs on {chosen.data}: stop that one, or set ML_ASSETS_DATA") from error


@contextmanager
def _listening(told: threading.Event) -> Iterator[list[int]]:
    """Set `told` on Ctrl-C and SIGTERM, instead of ending in the middle of something; the signals that came."""
    signals: list[int] = []

    def note(number: int, frame: object) -> None:  # noqa: ARG001 - Python's signature
        signals.append(number)
        told.set()

    before = {number: signal.signal(number, note) for number in _STOPS}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _taken_up() -> list[str]:
    """Runs that were killed with the last daemon are marked, so that this one takes them up again."""
    import dagster as dg  # 1 s, which a refused port need not pay

    from ml_assets.commands.recover import bury

    with dg.DagsterInstance.get() as instance:
        dead = bury(instance)
    return [f"{len(dead)} runs were killed: they are taken up again"] if dead else []


def _prepare_database(chosen: Settings) -> None:
    """Create MLflow's database before the server and a run both try to."""
    from ml_assets.registry import Registry

    Registry(chosen.tracking_uri).champion("up")


def _start(service: Service) -> Process:
    """A service in a process group of its own: Ctrl-C reaches this process alone, which then stops them all.

    What it says goes into a file, anew at each start: a line for each event of each run hides the addresses.
    """
    service.log.parent.mkdir(parents=True, exist_ok=True)
    with service.log.open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own command
            service.command,
            cwd=PROJECT,
            env=os.environ | dict(service.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@contextmanager
def _stopping() -> Iterator[dict[Service, Process]]:
    """The services that the body starts; afterwards their process groups are empty."""
    running: dict[Service, Process] = {}
    try:
        yield running
    finally:
        with displaying("stopping") as show:
            _stop(running, show)


def _stop(running: Mapping[Service, Process], show: Show) -> None:
    for process in running.values():
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    until = time.monotonic() + GRACE
    for done, (service, process) in enumerate(running.items()):
        show(service.name, done, len(running))
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(until - time.monotonic(), 0))
        with suppress(ProcessLookupError):  # whatever is left of the group
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _awaited(running: Mapping[Service, Process], told: threading.Event, show: Show) -> list[str]:
    """Wait until each service answers, one has ended, or we are told to stop; the addresses of those that answer."""
    since, lines = time.monotonic(), list[str]()
    waiting = list(running)
    while waiting and not told.wait(_LOOK) and not _ended(running):
        for service in [service for service in waiting if _answers(service)]:
            waiting.remove(service)
            after = time.monotonic() - since
            lines.append(f"{service.name}: {service.address} (after {after:.0f} s; log {service.log})")
        show(", ".join(service.name for service in waiting), len(running) - len(waiting), len(running))
    return lines if waiting else [*lines, "Ctrl-C stops everything"]


def _ended(running: Mapping[Service, Process]) -> list[Service]:
    return [service for service, process in running.items() if process.poll() is not None]


def _watch(running: Mapping[Service, Process], told: threading.Event) -> int:
    """Come back when told to stop or when a service has ended."""
    while not told.wait(_LOOK):
        for service in _ended(running):
            code, said = running[service].returncode, service.log.read_text(errors="replace")[-_SHOWN:]
            echo(f"{said}\nml-assets: {service.name} ended by itself (exit code {code}): see above", err=True)
            return 1
    sys.stderr.write(f"{new_line()}ml-assets: stopping ...\n")
    return 0


def _answers(service: Service) -> bool:
    try:
        with urlopen(service.address + service.health, timeout=1) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
