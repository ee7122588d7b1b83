"""`ml-assets` as a process of its own that is forked from one that has imported the libraries, not started anew.

To import Dagster, MLflow, scikit-learn, Great Expectations and Evidently takes longer than what most tests then want.
What is forked is a child of the test like any other: it has its own arguments, environment, folder and streams, imports
all of `ml_assets` itself, and can be killed. How a process starts and what a terminal shows is tested with the command
itself: `COMMAND`.
"""

import atexit
import ctypes
import functools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("ml-assets")
_SERVER = Path(__file__).with_name("fork_server.py")
_ADOPT = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2): whose parent ends becomes a child of this process."""


class Preloaded(subprocess.Popen[str]):
    """A process of `ml-assets` that finds its libraries imported; else a `subprocess.Popen`.

    Where processes cannot be handed over, which is everywhere but on Linux, it is started as the command is.
    """

    def __init__(self, *arguments: str, env: Mapping[str, str], cwd: Path | None = None, **more: Any) -> None:
        super().__init__([str(COMMAND), *arguments], env=env, cwd=cwd, text=True, **more)

    def _execute_child(self, *given: Any) -> None:
        if sys.platform != "linux":
            super()._execute_child(*given)  # type: ignore[misc]
            return
        (command, _, _, _, _, folder, env), pipes, session = given[:7], given[10:16], given[-2]
        order = {
            "command": command, "folder": str(folder or Path.cwd()), "environment": dict(env), "session": session,
            "umask": _umask(),
        }  # fmt: skip
        streams = [own if pipe == -1 else pipe for own, pipe in enumerate((pipes[0], pipes[3], pipes[5]))]
        self.pid = _forked(order, streams)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def call(
    *arguments: str, env: Mapping[str, str], cwd: Path | None = None, timeout: float = 900
) -> "subprocess.CompletedProcess[str]":
    """What `subprocess.run` would return of such a process: its exit code and what it wrote."""
    pipe = subprocess.PIPE
    with Preloaded(*arguments, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as process:
        try:
            written, errors = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, written, errors)


def _forked(order: Mapping[str, Any], streams: Sequence[int]) -> int:
    channel, prctl = _server(), ctypes.CDLL(None).prctl
    prctl(_ADOPT, 1, 0, 0, 0)
    try:
        socket.send_fds(channel, [json.dumps(order).encode()], streams)
        pid = channel.recv(32)
    finally:
        prctl(_ADOPT, 0, 0, 0, 0)
    assert pid, "the server of processes has ended"
    return int(pid)


@functools.cache
def _server() -> socket.socket:
    """The server of this process, and of nobody else; it ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-P", str(_SERVER), str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, cwd="/")
    assert ours.recv(32) == b"ready", "the server of processes cannot start"

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _umask() -> int:
    umask = os.umask(0o022)
    os.umask(umask)
    return umask
