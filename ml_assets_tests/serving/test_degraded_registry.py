"""A real server whose registry goes away: it answers with what is on its disk, also after a restart."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ml_assets.serving.models.follower import Follower
from ml_assets.serving.models.releases import Releases
from ml_assets_tests.processes import free_port, tracking
from ml_assets_tests.serving.faults import bring_back, move_away
from ml_assets_tests.serving.process import Server, serving
from ml_assets_tests.serving.released import MODEL
from ml_assets_tests.serving.test_degraded import ask, recovers, suffers
from ml_assets_tests.serving.test_serve import Shelf

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _garbage(file: Path) -> None:
    file.write_bytes(b"garbage " * 1000)


DAMAGES: dict[str, Callable[[Path], object]] = {"garbage": _garbage, "a folder": Path.mkdir, "nothing": lambda _: None}


def test_a_server_answers_without_its_embedded_registry_also_after_a_restart(tmp_path: Path) -> None:
    shelf, database = Shelf(tmp_path), tmp_path / "mlflow" / "mlflow.db"
    shelf.release(shelf.train(0.0), 0.0)
    with serving(tmp_path) as server:
        server.wait("a registry that answers", lambda: not server.health())
        for damage in DAMAGES.values():
            away = move_away(database)
            damage(database)
            _answers(server)
            bring_back(away)
            recovers(server, "registry")
        away = move_away(database)
        _garbage(database)
        suffers(server, "registry", ready=True)
    with serving(tmp_path) as server:
        _answers(server)
        bring_back(away)
        recovers(server, "registry")
        assert server.health() == {}


def _answers(server: Server) -> str:
    why = suffers(server, "registry", ready=True)
    assert ask(server)[0] == 200
    assert server.get("/models").json()["models"][0]["version"] == 1
    return why


def test_a_server_starts_and_answers_while_its_tracking_server_is_away(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    version = shelf.release(shelf.train(0.0), 0.0)
    Follower(shelf.registry, Releases.at(tmp_path)).look()  # as a server did that has ended since
    assert Releases.at(tmp_path).routes().models[MODEL].default.release == version.tags["release"]
    port = free_port()
    with serving(tmp_path, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{port}") as server:
        assert "the registry does not answer" in _answers(server)
        for _ in range(2):
            with tracking(shelf.registry.uri, shelf.data, artifacts=str(shelf.registry.artifacts), port=port):
                recovers(server, "registry", 60)
                assert server.health() == {}
            assert "the registry does not answer" in _answers(server)
