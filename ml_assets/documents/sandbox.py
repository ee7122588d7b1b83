"""One child process that reads files for us: what it costs is bounded, and what it dies of is its own.

A file of strangers can make a parser loop, ask for all memory, or crash. The child may do none of it to us: it has
limits of address space and of processor time, it is killed when a page takes too long, it ends with us whatever it is
at, and it is sent bytes and answers JSON, so that it opens no file, sees no secret of our environment, and what it says
is never executed.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any

import msgspec

from ml_assets.documents.document import Code, Document, ReadingLimits, UnreadableError
from ml_assets.documents.extractor import Extractor
from ml_assets.telemetry import OFF

_VARIABLES = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR")
_CHILD = "ml_assets.documents.child"


class SandboxRequest(msgspec.Struct):
    """What a child is asked, beside the bytes that follow.

    Args:
        name: of the file, for messages.
        extract: the name of the extractor that is called with the bytes, a text; None: they are a file to be read.
    """

    name: str
    extract: str | None = None


class SandboxResult(msgspec.Struct):
    """What a child answers: a document, or facts, or why there is neither."""

    document: Document | None = None
    facts: Any = None
    code: Code = "crashed"
    message: str = ""


class Sandbox:
    """A child process. It reads one file after the other, because loading the models takes a second.

    Args:
        limits: of each file.
    """

    def __init__(self, limits: ReadingLimits) -> None:
        self._limits = limits
        self._pipe, theirs = Pipe()
        ours, self._lifeline = Pipe(duplex=False)  # nothing is ever said on it: it breaks when we are gone
        with theirs, ours:
            handles = theirs.fileno(), ours.fileno()
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", _CHILD, *map(str, handles), msgspec.json.encode(limits).decode()],
                env=environment(),
                pass_fds=handles,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us; we then end the child
            )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked again."""
        return self._process.poll() is None

    def read(self, data: bytes, name: str) -> Document:
        """Have a file read.

        Raises:
            UnreadableError: as `read.read_bytes`, or `timeout`, `memory`, `crashed`: the child has ended then.
        """
        result = self._ask(SandboxRequest(name.encode(errors="replace").decode()), data)
        if result.document is None:
            raise UnreadableError(result.code, result.message)
        return result.document

    def extract(self, text: str, name: str, extractor: Extractor) -> dict[str, Any]:
        """Have facts found in a text; by column.

        Raises:
            UnreadableError: `extractor`: it fails; or, as the child has ended, `timeout`, `memory`, `crashed`.
        """
        result = self._ask(SandboxRequest(name, extractor.path), text.encode(errors="surrogatepass"))
        if result.message:
            raise UnreadableError(result.code, result.message)
        return extractor.values(result.facts)

    def _ask(self, request: SandboxRequest, data: bytes) -> SandboxResult:
        try:
            self._pipe.send_bytes(msgspec.json.encode(request))
            self._pipe.send_bytes(data)
            result = msgspec.json.decode(self._received(request.name), type=SandboxResult)
        except (EOFError, OSError, msgspec.MsgspecError) as error:
            self.end()
            raise self._crashed(request.name) from error
        if result.code == "memory":
            self.end()  # a child that once ran out of it may hold on to half of it
        return result

    def end(self) -> None:
        """Kill the child, whatever it does."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._pipe.close()
        self._lifeline.close()

    def _received(self, name: str) -> bytes:
        """The child's answer; an empty frame before it says that another page begins."""
        seconds = self._limits.seconds
        while self._pipe.poll(seconds):
            if frame := self._pipe.recv_bytes(maxlength=4 * self._limits.unpacked):
                return frame
            seconds = self._limits.seconds_per_page
        self.end()
        raise _too_slow(name, seconds)

    def _crashed(self, name: str) -> UnreadableError:
        code = self._process.returncode
        if code == -signal.SIGXCPU:
            return _too_slow(name, self._limits.seconds)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return UnreadableError(
            "crashed", f"{name} crashed the process that read it ({how}): print it to a new PDF, or raise Limits.memory"
        )


def _too_slow(name: str, seconds: float) -> UnreadableError:
    return UnreadableError(
        "timeout",
        f"{name} took more than {seconds:g} s for one step (opening it, or one page): send it again when the "
        "machine is less busy, or split it",
    )


def environment() -> dict[str, str]:
    """The variables of a child: no secret of ours is among them."""
    variables = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    # glibc reserves 64 MiB of address space for each thread that allocates, which counts against the limit.
    path = os.pathsep.join(filter(None, sys.path))
    return variables | dict(OFF) | {"PYTHONPATH": path, "MALLOC_ARENA_MAX": "2"}
