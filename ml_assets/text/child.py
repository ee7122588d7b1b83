"""`python -m ml_assets.text.child HANDLE LIMITS`: what runs in a `Sandbox`."""

import os
import queue
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

import msgspec

from ml_assets.text.document import Limits, UnreadableError
from ml_assets.text.sandbox import Answer

Pipe = Connection  # a socket to our parent


def main() -> None:
    """Answer one file after the other, until the parent is gone."""
    pipe, limits = Connection(int(sys.argv[1])), msgspec.json.decode(sys.argv[2], type=Limits)
    files: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, files), daemon=True).start()
    restrict(limits)
    while True:
        name, data = files.get()
        pipe.send_bytes(msgspec.json.encode(_answer(name, data, limits, pipe)))


def restrict(limits: Limits) -> None:
    """Bound the address space of this process, and leave no core file."""
    with suppress(ImportError, ValueError):  # there is no such thing on Windows, nor on every macOS
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))


def _receive(pipe: "Connection", files: "queue.SimpleQueue[tuple[str, bytes]]") -> None:
    """Take in files; in a thread of its own, so that the end of the parent is seen while a file is read."""
    with suppress(EOFError, OSError):
        while True:
            name = pipe.recv_bytes().decode()
            files.put((name, pipe.recv_bytes()))
    os._exit(0)  # nobody waits for the file that is being read


def _answer(name: str, data: bytes, limits: Limits, pipe: "Connection") -> Answer:
    try:
        from ml_assets.text.read import read_bytes  # under the limit, like everything that it imports

        return Answer(read_bytes(data, name, limits, lambda _done, _pages: pipe.send_bytes(b"")))
    except UnreadableError as error:
        return Answer(code=error.code, message=str(error))
    except (MemoryError, ImportError) as error:
        return Answer(code="memory", message=f"{name}: {error or 'no memory left'}: raise Limits.memory")


if __name__ == "__main__":
    main()
