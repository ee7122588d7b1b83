"""`python -m ml_assets.documents.child HANDLE LIFELINE LIMITS`: what runs in a `Sandbox`."""

import math
import os
import queue
import select
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

import msgspec

from ml_assets.documents.document import ReadingLimits, UnreadableError
from ml_assets.documents.extractor import load_extractor
from ml_assets.documents.sandbox import SandboxRequest, SandboxResult
from ml_assets.errors import DeclarationError

Pipe = Connection  # a socket to our parent


def main() -> None:
    """Answer one request after the other, until the parent is gone."""
    pipe, limits = Connection(int(sys.argv[1])), msgspec.json.decode(sys.argv[3], type=ReadingLimits)
    end_with_parent(int(sys.argv[2]))
    requests: queue.SimpleQueue[tuple[SandboxRequest, bytes]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, requests), daemon=True).start()
    restrict(limits)
    while True:
        request, data = requests.get()
        allow(limits, limits.seconds)
        pipe.send_bytes(msgspec.json.encode(_answer(request, data, limits, pipe)))


def restrict(limits: ReadingLimits) -> None:
    """Bound the address space of this process, and leave no core file."""
    with suppress(ImportError, ValueError):  # there is no such thing on Windows, nor on every macOS
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))


def end_with_parent(lifeline: int) -> None:
    """Have the system end this process when its parent does, also while a library holds the interpreter for hours.

    A thread that waits would not run then. PR_SET_PDEATHSIG would end it with the thread that had started it.

    Args:
        lifeline: the end of a pipe that nobody writes to and whose other end is the parent's alone.
    """
    with suppress(ImportError, AttributeError):  # on Windows and macOS only the thread below sees the end
        import fcntl

        signal.signal(signal.SIGIO, signal.SIG_DFL)  # which is to end
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
        if select.select([lifeline], [], [], 0)[0]:  # it was gone before we listened
            os._exit(0)


def allow(limits: ReadingLimits, seconds: float) -> None:
    """Bound the processor time from now on; the system ends the process where it takes more.

    Whoever reads may be unable to look at the clock: stopped, or busy. All threads together get what they could take in
    the wall time, and one more beside them.
    """
    with suppress(ImportError, ValueError):
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        most = math.ceil(usage.ru_utime + usage.ru_stime + seconds * (limits.threads + 1))
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _receive(pipe: "Connection", requests: "queue.SimpleQueue[tuple[SandboxRequest, bytes]]") -> None:
    """Take in requests; in a thread of its own, so that the end of the parent is seen while a file is read."""
    with suppress(EOFError, OSError):
        while True:
            request = msgspec.json.decode(pipe.recv_bytes(), type=SandboxRequest)
            requests.put((request, pipe.recv_bytes()))
    os._exit(0)  # nobody waits for the file that is being read


def _answer(request: SandboxRequest, data: bytes, limits: ReadingLimits, pipe: "Connection") -> SandboxResult:
    def on_page(_done: int, _pages: int) -> None:
        allow(limits, limits.seconds_per_page)
        pipe.send_bytes(b"")

    try:
        if request.extract:
            return SandboxResult(facts=_extract(request.extract, data.decode(errors="surrogatepass")))
        from ml_assets.documents.read import read_bytes  # under the limit, like everything that it imports

        return SandboxResult(read_bytes(data, request.name, limits, on_page))
    except UnreadableError as error:
        return SandboxResult(code=error.code, message=str(error))
    except DeclarationError as error:
        return SandboxResult(code="extractor", message=str(error))
    except (MemoryError, ImportError) as error:
        return SandboxResult(code="memory", message=f"{request.name}: {error or 'no memory left'}: raise Limits.memory")


def _extract(path: str, text: str) -> msgspec.Raw:
    """What an extractor returns, as JSON."""
    extractor = load_extractor(path)
    try:
        return msgspec.Raw(msgspec.json.encode(extractor.function(text)))
    except MemoryError:
        raise
    except Exception as error:  # whatever a function of the project raises
        raise extractor.failure(error) from error


if __name__ == "__main__":
    main()
