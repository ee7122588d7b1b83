"""The parent process of the workers."""

import socket
from collections.abc import Callable

from uvicorn import Config
from uvicorn.supervisors import Multiprocess


class Supervisor(Multiprocess):
    """Starts workers and replaces those that die; ends where the first of them cannot even start.

    Args:
        config: of uvicorn.
        listening: where they listen.
        ready: called once, as soon as one of them answers.
    """

    def __init__(self, config: Config, listening: socket.socket, ready: Callable[[], None]) -> None:
        super().__init__(config, sockets=[listening])
        self._announce = ready
        self._waiting = True
        self.failed = False
        """True once a worker ended before any had answered: its successors would, too."""

    def keep_subprocess_alive(self) -> None:
        """Called by uvicorn twice a second."""
        before = [*self.processes]
        super().keep_subprocess_alive()
        if not self._waiting:
            return
        if any((process.exitcode or 0) > 0 for process in before):  # and not killed: it ended by itself
            self.failed = True
            self.should_exit.set()
        elif not self.should_exit.is_set() and any(process.is_ready() for process in self.processes):
            self._waiting = False
            self._announce()
