"""`ml-assets up`: the Dagster UI and daemon, the MLflow UI, the prediction server; on loopback only, until Ctrl-C."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ml_assets.commands.instance_lock import alone
from ml_assets.commands.interrupt import CODE, new_line
from ml_assets.commands.progress import Show, display_work
from ml_assets.commands.running import Running, service_group
from ml_assets.commands.screen import echo
from ml_assets.commands.services import UpError, dagster, mlflow, predictions, require_free
from ml_assets.settings import Settings

_LOOK = 0.25
_SHOWN = 4000  # characters of the log of a service that ended by itself
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(settings: Settings, port: int, mlflow_port: int, serve_port: int) -> int:
    """Run until Ctrl-C, SIGTERM or the end of a service; nothing that was started is left behind.

    Args:
        settings: what the services work on.
        port: of Dagster's UI.
        mlflow_port: of MLflow's UI; unused where a tracking server is configured.
        serve_port: of the prediction server.

    Returns:
        The exit code: 130 after Ctrl-C, 0 if it was told to stop otherwise, 1 if a service ended by itself, and the
        others were then stopped.

    Raises:
        UpError: a port is taken, or another `up` runs on the same data.
    """
    stop = threading.Event()
    embedded = settings.mlflow_tracking_uri is None
    ports = (port, serve_port, mlflow_port) if embedded else (port, serve_port)
    if twice := {number for number in ports if ports.count(number) > 1}:
        raise UpError(f"port {min(twice)} is named twice: give --port, --mlflow-port and --serve-port one each")
    with alone(settings) as lock, _listening(stop) as signals, service_group((lock,)) as services:
        for number in ports:
            require_free(number)
        with display_work("starting") as show:
            lines = _begun(settings, (port, mlflow_port, serve_port), services, show)
            waiting = _awaited(services, stop, show)
        for line in (*lines, *waiting):
            echo(line)
        code = watch(services, stop)
    if signal.SIGINT in signals:
        echo("ml-assets: stopped, and nothing is left running; `ml-assets up` starts it again", err=True)
        return CODE
    return code


def _begun(settings: Settings, ports: tuple[int, int, int], services: Running, show: Show) -> list[str]:
    """Start them; what is to be said of it."""
    port, mlflow_port, serve_port = ports
    show("runs that were killed", 0, 0)
    lines = _taken_up()
    services.start(dagster(port, settings))
    if settings.mlflow_tracking_uri is None:
        show("the database of MLflow", 0, 0)
        _prepare_database(settings)
        services.start(mlflow(mlflow_port, settings))
    else:
        lines.append(f"MLflow: {settings.tracking_uri} (MLFLOW_TRACKING_URI)")
    services.start(predictions(serve_port, settings))
    return lines


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

    from ml_assets.commands.dead_runs import fail_dead_runs

    with dg.DagsterInstance.get() as instance:
        dead = fail_dead_runs(instance)
    return [f"{len(dead)} runs were killed: they are taken up again"] if dead else []


def _prepare_database(settings: Settings) -> None:
    """Create MLflow's database before the server and a run both try to."""
    from ml_assets.storage.registry import Registry

    Registry(settings.tracking_uri).latest("up")


def _awaited(services: Running, told: threading.Event, show: Show) -> list[str]:
    """Wait until each service answers, one has ended, or we are told to stop; the addresses of those that answer."""
    since, lines = time.monotonic(), list[str]()
    waiting, all_of_them = list(services.processes), len(services.processes)
    while waiting and not told.wait(_LOOK) and not services.ended_services():
        for service in [service for service in waiting if service.answers()]:
            waiting.remove(service)
            after = time.monotonic() - since
            lines.append(f"{service.name}: {service.address} (after {after:.0f} s; log {service.log})")
        show(", ".join(service.name for service in waiting), all_of_them - len(waiting), all_of_them)
    return lines if waiting else [*lines, "Ctrl-C stops everything"]


def watch(services: Running, told: threading.Event) -> int:
    """Come back when told to stop (0) or when a service has ended (1)."""
    while not told.wait(_LOOK):
        for service in services.ended_services():
            code, output = services.processes[service].returncode, service.log.read_text(errors="replace")[-_SHOWN:]
            echo(f"{output}\nml-assets: {service.name} ended by itself (exit code {code}): see above", err=True)
            return 1
    sys.stderr.write(f"{new_line()}ml-assets: stopping ...\n")
    return 0
