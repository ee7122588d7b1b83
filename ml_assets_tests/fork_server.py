"""A process that has imported the libraries and forks itself for each `ml-assets` that a test starts (`preloaded.py`).

Nothing of `ml_assets` is imported here: each command loads its own code, of whichever copy of the project.
"""

import gc
import importlib
import json
import os
import socket
import sys
import tempfile
from typing import Any

LIBRARIES = (
    "apprise", "dagster", "deltalake", "duckdb", "evidently", "evidently.metrics", "fsspec", "great_expectations",
    "matplotlib.backends.backend_agg", "matplotlib.dates", "matplotlib.figure", "mlflow", "mlflow.pyfunc", "onnx",
    "onnxruntime", "optuna", "pandas", "pyarrow.csv", "pyarrow.dataset", "pyarrow.parquet", "pydantic_settings",
    "rich.progress", "rich.table", "scipy.stats", "skl2onnx", "sklearn.calibration", "sklearn.compose",
    "sklearn.ensemble", "sklearn.linear_model", "sklearn.metrics", "sklearn.pipeline", "sqlalchemy", "typer",
)  # fmt: skip
"""What a loop imports, but LanceDB: it starts a thread, which a process that is forked has not got."""


def preload() -> None:
    """Import the libraries; whoever is forked shares their memory."""
    gc.disable()  # nothing of it is garbage
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.enable()


def serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for each order; return the order in the process that was forked, None once nobody can give orders."""
    while True:
        message, handles, _, _ = socket.recv_fds(channel, 1 << 20, 3, socket.MSG_CMSG_CLOEXEC)
        if not message:
            return None
        answer, said = os.pipe()
        if not (middle := os.fork()):
            if child := os.fork():
                os.write(said, str(child).encode())
                os._exit(0)
            for number, handle in enumerate(handles):
                os.dup2(handle, number)
            for handle in (*handles, answer, said):
                os.close(handle)
            return dict(json.loads(message))
        for handle in (*handles, said):
            os.close(handle)
        os.waitpid(middle, 0)  # what it forked is now a child of who asked
        channel.send(os.read(answer, 32))
        os.close(answer)


def become(order: dict[str, Any]) -> None:
    """Run `ml-assets` as its script does."""
    if order["session"]:
        os.setsid()
    os.umask(order["umask"])
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    tempfile.tempdir = None
    sys.argv = order["command"]
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    from ml_assets.__main__ import main

    main()


if __name__ == "__main__":
    preload()
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        channel.send(b"ready")
        order = serve(channel)
    if order is None:
        os._exit(0)
    become(order)
