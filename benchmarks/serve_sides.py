"""The servers that are compared: how each is started, what it is asked, and where its answer holds the score."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from benchmarks.process import PROJECT, BenchmarkError
from benchmarks.serve_forest import COMMAND, MODEL, Forest
from benchmarks.serve_load import post
from benchmarks.serve_process import Server

# uvloop and httptools are none of its requirements; it takes them where they are, as the other sides do.
BENTOML = ("bentoml==1.4.39", "uvloop", "httptools")

RAM = Path("/dev/shm")  # noqa: S108 - what is there is named after this process, and removed
SQLITE = "sqlite:///"
_SHARED = ("scikit-learn", "onnxruntime", "numpy")
_TOLERANCE = 1e-5
_CHECKED = "mlflow models serve, ONNX, with a signature"


@dataclass(frozen=True)
class Side:
    """A server.

    Args:
        name: what the table calls it.
        command: that starts it; `{port}` stands for its port.
        path: where it is asked.
        bodies: one request each, of one row.
        score: takes the probability out of an answer.
        variables: of its environment.
        logged: of ours, whether it records what it answers.
    """

    name: str
    command: list[str]
    path: str
    bodies: list[str]
    score: Callable[[Any], float]
    variables: dict[str, str] = field(default_factory=dict)
    logged: bool | None = None

    def await_ready(self, server: Server) -> None:
        """Wait until it answers the first request."""

        def answers() -> bool:
            try:
                return post(server.port, self.path, self.bodies[0])[0] == 200
            except OSError:
                return False

        server.await_until(answers)

    def require_scores(self, server: Server, expected: Sequence[float]) -> None:
        """Refuse a server that answers something else than the others.

        Raises:
            BenchmarkError: a score is another one.
        """
        for body, wanted in list(zip(self.bodies, expected, strict=True))[:8]:
            status, said = post(server.port, self.path, body)
            if status != 200 or abs(self.score(json.loads(said)) - wanted) > _TOLERANCE:
                raise BenchmarkError(f"{self.name}: {body} gives {status} {said!r}, not {wanted}\n{server.output()}")


def peers(forest: Forest) -> list[Side]:
    """The peers, with scikit-learn and with ONNX, the ceiling of FastAPI, and the near-limit with 1 and 2 workers."""
    python = _bentoml()
    return [
        _mlflow("mlflow models serve, scikit-learn", forest, "sklearn", lambda said: said["predictions"][0][1]),
        _mlflow(_CHECKED, forest, "onnx-signature", lambda said: said["predictions"][1]["probabilities"]),
        _mlflow_tensor("mlflow models serve, ONNX", forest),
        _asgi("FastAPI, scikit-learn", "fastapi_sklearn", forest),
        _asgi("FastAPI, ONNX", "fastapi_onnx", forest),
        _bento("BentoML with batching, scikit-learn", "bento_sklearn", forest, python),
        _bento("BentoML with batching, ONNX", "bento_onnx", forest, python),
        # It has nothing to say; what it says is right.
        _asgi("an empty FastAPI echo", "fastapi_echo", forest, score=lambda said: _known(forest, said)),
        _asgi("the near-limit", "near_limit", forest),
        _asgi("the near-limit, 2 workers", "near_limit", forest, workers=2),
    ]


def ours(
    forest: Forest, *, workers: int = 1, logged: bool = True, entities: bool = False, memory: bool = False
) -> Side:
    """`ml-assets serve`.

    Args:
        forest: with the data folder that it serves from.
        workers: processes that answer.
        logged: whether predictions are recorded.
        entities: whether requests name an account, or bring its features.
        memory: whether the event store is on a RAM disk: what is left is what the software takes.
    """
    log = "log on a RAM disk" if memory else "" if logged else "log off"
    words = ["entities" if entities else "instances", log, "2 workers" if workers > 1 else ""]
    events = RAM / f"ml-assets-benchmark-{os.getpid()}.db" if memory else forest.data / "events.db"
    named = [{"entities": [{"account_id": entity}]} for entity in forest.entities]
    return Side(
        f"ours, {', '.join(filter(None, words))}",
        [COMMAND, "serve", "--port", "{port}", "--workers", str(workers)],
        f"/models/{MODEL}/predict",
        [json.dumps(body) for body in (named if entities else _instances(forest))],
        lambda said: float(said["predictions"][0]["score"]),
        {
            **forest.variables,
            "ML_ASSETS_LOG_PREDICTIONS": str(logged).lower(),
            "ML_ASSETS_EVENT_STORE": f"{SQLITE}{events}",
        },
        logged,
    )


def _instances(forest: Forest) -> list[dict[str, Any]]:
    return [{"instances": [row]} for row in forest.rows]


def _asgi(
    name: str, module: str, forest: Forest, *, workers: int = 1, score: Callable[[Any], float] | None = None
) -> Side:
    """An ASGI application of `benchmarks.peers` under uvicorn, on uvloop and httptools, without its access log."""
    command = [sys.executable, "-m", "uvicorn", f"benchmarks.peers.{module}:app", "--port", "{port}", "--no-access-log"]
    return Side(
        name,
        [*command, "--host", "127.0.0.1", "--loop", "uvloop", "--http", "httptools", "--workers", str(workers)],
        "/predict",
        [json.dumps(body) for body in _instances(forest)],
        score or (lambda said: float(said["predictions"][0]["score"])),
        {"BENCHMARK_FOREST": str(forest.folder)},
    )


def _mlflow(name: str, forest: Forest, model: str, score: Callable[[Any], float]) -> Side:
    """One worker, as every side; it is sent what pandas writes, by column names."""
    split = [{"columns": list(row), "data": [list(row.values())]} for row in forest.rows]
    mlflow = str(Path(sys.executable).with_name("mlflow"))
    served = ["-m", str(forest.folder / model), "--env-manager", "local", "--workers", "1"]
    return Side(
        name,
        [mlflow, "models", "serve", *served, "--host", "127.0.0.1", "--port", "{port}"],
        "/invocations",
        [json.dumps({"dataframe_split": body}) for body in split],
        score,
        # It starts `uvicorn` by name.
        {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{Path(mlflow).parent}{os.pathsep}{os.environ['PATH']}"},
    )


def _mlflow_tensor(name: str, forest: Forest) -> Side:
    """The fastest way that it has: no signature, no names, so nothing is checked and no DataFrame is made."""
    side = _mlflow(name, forest, "onnx", lambda said: said["predictions"]["probabilities"][0][1])
    return replace(side, bodies=[json.dumps({"inputs": [list(row.values())]}) for row in forest.rows])


def _bento(name: str, module: str, forest: Forest, python: Path) -> Side:
    command = [str(python), "-m", "bentoml", "serve", f"benchmarks.peers.{module}:Forest", "--host", "127.0.0.1"]
    return Side(
        name,
        [*command, "--port", "{port}", "--working-dir", str(PROJECT)],
        "/predict",
        [json.dumps({"rows": [list(row.values())]}) for row in forest.rows],
        lambda said: float(said[0]),
        {
            "BENCHMARK_FOREST": str(forest.folder),
            "BENTOML_DO_NOT_TRACK": "true",
            "BENTOML_HOME": str(forest.folder / "bentoml"),
        },
    )


def _known(forest: Forest, said: Any) -> float:  # noqa: ANN401 - JSON
    return forest.scores[forest.rows.index(said["instances"][0])]


def _bentoml() -> Path:
    """The Python of an environment with BentoML and with our versions of what runs the model, kept for the next run."""
    wanted = (*BENTOML, *(f"{name}=={version(name)}" for name in _SHARED))
    kept = Path(tempfile.gettempdir()) / f"ml-assets-benchmarks-{os.getuid()}"
    kept.mkdir(mode=0o700, exist_ok=True)
    if kept.stat().st_uid != os.getuid():
        raise BenchmarkError(f"{kept} belongs to somebody else: code that lies there is not run")
    folder, done = kept / "bentoml", kept / "bentoml.installed"
    if not done.is_file() or done.read_text() != "\n".join(wanted):
        done.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        environment(folder, "bentoml", wanted)
        done.write_text("\n".join(wanted))
    return folder / "bin" / "python"
