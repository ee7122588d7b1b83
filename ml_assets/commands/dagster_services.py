"""`python -m ml_assets.commands.dagster_services PORT`: what `dagster dev` starts, behind a guard.

`dagster dev` lets any page of a browser on this machine start and stop things, and no setting of it says otherwise.
The web server runs in this process, the daemon and one code server for both are its children.
"""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
import yaml
from dagster import DagsterInstance
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._utils.log import configure_loggers
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__

from ml_assets.commands.origin_guard import OwnOrigin
from ml_assets.settings import PROJECT

HOST = "127.0.0.1"
GRACE = 5.0
"""Seconds that the daemon has to stop by itself."""

_LEVEL = "warning"
_STATEMENTS, _CONNECTIONS, _MORE = 15_000, 3_600, 20  # the defaults of dagster-webserver: ms, s, connections
_POLL = 2_000  # the same: ms


def run(port: int) -> int:
    """Run until told to stop; the exit code: 1 if the daemon ended by itself."""
    configure_loggers(log_level=_LEVEL.upper())
    with DagsterInstance.get() as instance, _workspace(instance) as workspace, _daemon(workspace) as daemon:
        instance.optimize_for_webserver(_STATEMENTS, _CONNECTIONS, _MORE)
        target = WorkspaceFileTarget([str(workspace)])
        with WorkspaceProcessContext(instance, target, __version__, code_server_log_level=_LEVEL) as context:
            application = OwnOrigin(create_app_from_workspace_process_context(context, live_data_poll_rate=_POLL))
            config = uvicorn.Config(application, HOST, port, log_level=_LEVEL, timeout_graceful_shutdown=3)
            server = uvicorn.Server(config)
            threading.Thread(target=_end_with, args=(daemon, server), daemon=True).start()
            with suppress(KeyboardInterrupt):
                server.run()
        return int(daemon.poll() is not None)


@contextmanager
def _workspace(instance: DagsterInstance) -> Iterator[Path]:
    """The code server, started again if it dies, and a workspace file that names it."""
    target = WorkspaceFileTarget([str(PROJECT / "workspace.yaml")])
    with ProxyServerManager(instance, target, _LEVEL) as servers, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "workspace.yaml"
        file.write_text(yaml.dump({"load_from": servers.get_code_server_specs()}), encoding="utf-8")
        yield file


@contextmanager
def _daemon(workspace: Path) -> Iterator["subprocess.Popen[bytes]"]:
    how = ("--workspace", str(workspace), "--log-level", _LEVEL, "--code-server-log-level", _LEVEL)
    # Our own descriptors are inherited: the lock of the instance is held as long as a daemon is at work on it.
    daemon = subprocess.Popen([sys.executable, "-m", "dagster._daemon", "run", *how], close_fds=False)  # noqa: S603
    try:
        yield daemon
    finally:
        daemon.terminate()
        with suppress(subprocess.TimeoutExpired):
            daemon.wait(GRACE)
        daemon.kill()
        daemon.wait()


def _end_with(daemon: "subprocess.Popen[bytes]", server: uvicorn.Server) -> None:
    daemon.wait()
    server.should_exit = True


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(run(int(sys.argv[1])))
