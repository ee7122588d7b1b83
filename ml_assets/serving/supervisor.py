"""The parent of the workers."""

import socket
from collections.abc import Callable

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess


class Supervisor(Multiprocess):
    """Starts workers and replaces those that die; ends where they cannot even start.

    Args:
        config: of uvicorn.
        listening: where they listen.
        ready: called once, as soon as one of them answers.
    """

    def __init__(self, config: Config, listening: socket.socket, ready: Callable[[], None]) -> None:
        super().__init__(config, sockets=[listening])
        self._ready = ready
        self._waiting = True

    @property
    def failed(self) -> bool:
        """Whether a worker could not start."""
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    def keep_subprocess_alive(self) -> None:
        """Called by uvicorn twice a second."""
        super().keep_subprocess_alive()
        if self._waiting and not self.should_exit.is_set() and any(process.is_ready() for process in self.processes):
            self._waiting = False
            self._ready()
