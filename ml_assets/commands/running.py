"""The services that run now: none of their processes is there after this one, whatever ends it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ml_assets.commands import keeper
from ml_assets.commands.progress import Show, display_work
from ml_assets.commands.services import Service
from ml_assets.settings import PROJECT

GRACE = 10.0
"""Seconds that a service has to stop by itself before it is killed."""

Process = subprocess.Popen[bytes]


class Running:
    """Services, each in a process group of its own: Ctrl-C reaches this process alone, which then stops them all.

    Args:
        held: descriptors that every service inherits, such as that of a lock.
    """

    def __init__(self, held: Sequence[int] = ()) -> None:
        self.processes: dict[Service, Process] = {}
        self._held = tuple(held)
        self._keeper = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-I", "-S", keeper.__file__], stdin=subprocess.PIPE, pass_fds=self._held,
            start_new_session=True,
        )  # fmt: skip

    def start(self, service: Service) -> Process:
        """Start a service. What it says goes into a file, anew at each start: it would hide the addresses."""
        service.log.parent.mkdir(parents=True, exist_ok=True)
        with service.log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                service.command,
                cwd=PROJECT,
                env=os.environ | dict(service.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=self._held,
                start_new_session=True,
            )
        self.processes[service] = process
        self._tell(process.pid)
        return process

    def ended_services(self) -> list[Service]:
        """Those that have ended by themselves."""
        return [service for service, process in self.processes.items() if process.poll() is not None]

    def stop(self, show: Show) -> None:
        """Stop them all; afterwards their process groups are empty."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        until = time.monotonic() + GRACE
        for done, (service, process) in enumerate(self.processes.items()):
            show(service.name, done, len(self.processes))
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(until - time.monotonic(), 0))
            with suppress(ProcessLookupError):  # whatever is left of the group
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._keeper.kill()
        self._keeper.communicate()

    def _tell(self, group: int) -> None:
        if self._keeper.stdin is None:
            raise RuntimeError("the keeper has no standard input")
        with suppress(BrokenPipeError):  # somebody killed it: the lock of the instance is held all the same
            self._keeper.stdin.write(b"%d\n" % group)
            self._keeper.stdin.flush()


@contextmanager
def service_group(held: Sequence[int] = ()) -> Iterator[Running]:
    """The services that the body starts; afterwards there are none."""
    services = Running(held)
    try:
        yield services
    finally:
        with display_work("stopping") as show:
            services.stop(show)
