"""Files that are missing, damaged or put back while a server runs: what it says, and that it goes on by itself."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ml_assets.events.rows import EventStoreError, Prediction
from ml_assets.events.store import EventStore
from ml_assets.serving import worker
from ml_assets.serving.models import loading as loaded
from ml_assets.serving.models.releases import Releases, Routes
from ml_assets.serving.tokens import Tokens
from ml_assets.settings import Settings
from ml_assets_tests.serving import released
from ml_assets_tests.serving.faults import bring_back, move_away
from ml_assets_tests.serving.released import FEATURES, MODEL, champion
from ml_assets_tests.serving.served import PREDICT, ROW, Served
from ml_assets_tests.serving.traffic import prediction

INSTANCES = {"instances": [ROW]}
ENTITIES = {"entities": [{"customer_id": "c1"}]}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server looks twenty times as often: what comes within two seconds comes within a tenth."""
    monkeypatch.setattr(worker, "TICK", 0.05)
    monkeypatch.setattr(worker, "_PROBE", 2)


@contextmanager
def started(data: Path) -> Iterator[Served]:
    made = Served(data)
    with made.client:
        yield made


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    released.release(tmp_path)
    fill(tmp_path)
    with started(tmp_path) as made:
        yield made


def fill(data: Path) -> None:
    released.write(Settings(data=data).online_url, {"c1": (0.5, 1, "pro")}, datetime.now(UTC).date())


def status(served: Served, body: Any) -> tuple[int, str]:
    answer = served.client.post(PREDICT, json=body)
    return answer.status_code, answer.json().get("type", "")


def degraded(served: Served) -> dict[str, str]:
    found: dict[str, str] = served.client.get("/health").json()["degraded"]
    return found


def wait(look: Callable[[], object], patience: float = 10) -> None:
    until = time.monotonic() + patience
    while not look():
        assert time.monotonic() < until
        time.sleep(0.02)


def metric(served: Served, part: str) -> bool:
    return f'ml_assets_degraded{{part="{part}"}} 1.0' in served.client.get("/metrics").text


def file_of(data: Path, kind: str, shift: float = 0.0, version: int = 1) -> Path:
    """The file of a release."""
    made = released.manifest(version, shift)
    folder = Releases.at(data).folder
    if kind == "onnx":
        return folder / f"{made.sha256}.onnx"
    (name,) = [path for path in folder.glob("*.json") if f'"version": {version}' in path.read_text()]
    return name


def put(data: Path, version: int, shift: float) -> str:
    """A release on the disk that is no champion yet."""
    return Releases.at(data).save_release(released.manifest(version, shift).to_json(), released.onnx(shift))


def promote(data: Path, name: str, version: int) -> None:
    now = time.time()
    Releases.at(data).save_routes(Routes({MODEL: champion(MODEL, name, version, now)}, now))


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _: None,
    "cut off": lambda content: content[: len(content) // 2],
    "one bit": lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
    "empty": lambda _: b"",
}


def damage(file: Path, how: str) -> Callable[[], object]:
    """Damage a file; what is returned puts it right."""
    content = file.read_bytes()
    left = DAMAGES[how](content)
    file.unlink()
    if left is not None:
        file.write_bytes(left)
    return lambda: file.write_bytes(content)


@pytest.mark.parametrize("kind", ["onnx", "json"])
@pytest.mark.parametrize("how", DAMAGES)
def test_a_new_release_whose_files_are_damaged_changes_nothing_until_they_are_back(
    served: Served, tmp_path: Path, kind: str, how: str
) -> None:
    name = put(tmp_path, 2, 1.0)
    mend = damage(file_of(tmp_path, kind, 1.0, 2), how)
    promote(tmp_path, name, 2)
    wait(lambda: f"model {MODEL}" in degraded(served))
    why = degraded(served)[f"model {MODEL}"]
    assert why.startswith("version 1 stays: version 2 cannot be loaded")
    assert "SHA-256" in why or "cannot be read" in why
    assert served.predict(INSTANCES)[0]["model_version"] == 1
    assert served.client.get("/ready").status_code == 200
    mend()
    promote(tmp_path, name, 2)  # as the follower does every second
    wait(lambda: served.predict(INSTANCES)[0]["model_version"] == 2)
    assert f"model {MODEL}" not in degraded(served)


@pytest.mark.parametrize("kind", ["onnx", "json"])
@pytest.mark.parametrize("how", DAMAGES)
def test_a_server_without_a_release_that_it_can_load_never_answers(tmp_path: Path, kind: str, how: str) -> None:
    name = released.release(tmp_path)
    fill(tmp_path)
    mend = damage(file_of(tmp_path, kind), how)
    with started(tmp_path) as served:
        assert status(served, INSTANCES) == status(served, ENTITIES) == (503, "no-release")
        said = served.client.post(PREDICT, json=INSTANCES).json()["detail"]
        assert "version 1 cannot be loaded" in said
        ready = served.client.get("/ready")
        assert (ready.status_code, ready.json()["type"]) == (503, "not-ready")
        assert "version 1 cannot be loaded" in ready.json()["detail"]
        assert f"model {MODEL}" in degraded(served)
        assert served.events(Prediction) == []
        mend()
        promote(tmp_path, name, 1)
        wait(lambda: status(served, INSTANCES)[0] == 200)
        assert served.client.get("/ready").status_code == 200
        assert f"model {MODEL}" not in degraded(served)


def test_a_damaged_list_of_champions_changes_nothing_and_is_said(served: Served, tmp_path: Path) -> None:
    list_ = Releases.at(tmp_path).folder / "routes.json"
    mend = damage(list_, "cut off")
    wait(lambda: "routes.json" in degraded(served).get("registry", ""))
    assert status(served, INSTANCES)[0] == status(served, ENTITIES)[0] == 200
    assert served.client.get("/ready").status_code == 200
    mend()
    wait(lambda: not degraded(served))


def test_a_server_starts_with_a_damaged_list_of_champions(tmp_path: Path) -> None:
    released.release(tmp_path)
    mend = damage(Releases.at(tmp_path).folder / "routes.json", "cut off")
    with started(tmp_path) as served:
        assert served.client.get("/ready").status_code == 503
        mend()
        wait(lambda: served.client.get("/ready").status_code == 200)


def test_a_registry_that_is_away_takes_no_model_out_of_a_server(served: Served, tmp_path: Path) -> None:
    Releases.at(tmp_path).save_routes(Routes({}, 0, "the registry does not answer: gone"))
    wait(lambda: "gone" in degraded(served).get("registry", ""))
    assert status(served, INSTANCES)[0] == 200


def test_a_follower_that_says_nothing_is_said_to(served: Served, tmp_path: Path) -> None:
    list_ = Releases.at(tmp_path).folder / "routes.json"
    old = time.time() - loaded._SILENT - 1
    os.utime(list_, (old, old))
    wait(lambda: "nobody has looked for 16 s" in degraded(served).get("registry", ""))
    wait(lambda: metric(served, "registry"))
    assert served.client.get("/ready").status_code == 200
    os.utime(list_)
    wait(lambda: not degraded(served))
    wait(lambda: not metric(served, "registry"))


def test_tokens_that_can_be_read_again_let_in_again(served: Served) -> None:
    secret = Tokens(served.settings.tokens).add("app", ["predict"], "2026-11-22")
    served.client.headers["authorization"] = f"Bearer {secret}"
    wait(lambda: status(served, INSTANCES)[0] == 200)
    mend = damage(served.settings.tokens, "cut off")
    wait(lambda: status(served, INSTANCES) == (503, "tokens"))
    assert "is no file of tokens" in degraded(served)["tokens"]
    mend()
    wait(lambda: status(served, INSTANCES)[0] == 200)
    wait(lambda: not degraded(served))
    assert served.client.get("/ready").status_code == 200


def test_an_online_store_that_is_moved_away_is_missed_and_taken_up_again(served: Served, tmp_path: Path) -> None:
    assert status(served, ENTITIES)[0] == 200
    away = move_away(tmp_path / "online.db")
    wait(lambda: status(served, ENTITIES) == (503, "online-store"))
    time.sleep(0.3)  # nobody makes an empty one, of which nobody would be known
    assert status(served, ENTITIES) == (503, "online-store")
    assert status(served, INSTANCES)[0] == 200
    assert "has gone: restore it" in degraded(served)["online_store"]
    wait(lambda: metric(served, "online_store"))
    assert served.client.get("/ready").status_code == 200
    bring_back(away)
    wait(lambda: status(served, ENTITIES)[0] == 200)
    wait(lambda: not degraded(served) and not metric(served, "online_store"))


def test_an_online_store_that_was_replaced_is_read_anew(served: Served, tmp_path: Path) -> None:
    assert status(served, ENTITIES)[0] == 200
    move_away(tmp_path / "online.db")
    released.write(served.settings.online_url, {"c1": (2.0, 1, "pro")}, datetime.now(UTC).date())
    expected = pytest.approx(released.probability(2.0, 1), rel=1e-6)
    wait(lambda: served.predict(ENTITIES)[0]["score"] == expected)


@pytest.mark.parametrize("how", ["cut off", "garbage"])
def test_an_online_store_that_is_overwritten_is_an_error_until_it_is_back(
    served: Served, tmp_path: Path, how: str
) -> None:
    file = tmp_path / "online.db"
    away = move_away(file)
    content = away.read_bytes()
    file.write_bytes(b"garbage " * 2000 if how == "garbage" else content[:5000])
    wait(lambda: status(served, ENTITIES) == (503, "online-store"))
    assert status(served, INSTANCES)[0] == 200
    wait(lambda: "online_store" in degraded(served))
    bring_back(away)
    wait(lambda: status(served, ENTITIES)[0] == 200)
    wait(lambda: not degraded(served))


def test_garbage_inside_an_online_store_is_never_an_answer(served: Served, tmp_path: Path) -> None:
    """Written over the pages of a file that the server has mapped into its memory."""
    assert status(served, ENTITIES)[0] == 200
    file = tmp_path / "online.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = file.read_bytes()
    file.write_bytes(bytes(len(content)))
    assert status(served, ENTITIES) == (503, "online-store")
    assert status(served, INSTANCES)[0] == 200
    file.write_bytes(content)
    wait(lambda: status(served, ENTITIES)[0] == 200)


def test_a_record_that_is_damaged_is_an_error_for_its_entity_alone(served: Served) -> None:
    file = served.settings.online_url.removeprefix("sqlite:///")
    released.write(served.settings.online_url, {"c2": (0.5, 2, "x")}, datetime.now(UTC).date())
    with sqlite3.connect(file) as connection:
        connection.execute(f"UPDATE record SET value = x'00' WHERE model = '{FEATURES}' AND entity = 'c2'")
    connection.close()
    assert status(served, {"entities": [{"customer_id": "c2"}]}) == (503, "online-store")
    assert status(served, ENTITIES)[0] == 200
    assert served.events(Prediction)[0].entity == "c1"


@pytest.mark.parametrize("which", ["the file", "its log", "both"])
def test_what_is_written_to_a_file_that_is_gone_is_not_acknowledged(tmp_path: Path, which: str) -> None:
    file = tmp_path / "events.db"
    url = f"sqlite:///{file}"
    with EventStore(url) as store:
        writer = store.writer()
        writer.write([prediction("before")])
        for part in {"the file": [""], "its log": ["-wal"], "both": ["", "-wal", "-shm"]}[which]:
            file.with_name(file.name + part).unlink()
        with pytest.raises(EventStoreError, match="removed or replaced while it was open"):
            writer.write([prediction("lost")])
        for name in ("after", "and on"):
            writer.write([prediction(name)])
        writer.close()
    with EventStore(url) as store:
        found = [row.entity for row in store.read_since(Prediction, 0, 10, model=MODEL).rows]
    assert {"after", "and on"} <= set(found)


def test_an_event_store_that_was_replaced_is_written_to(served: Served, tmp_path: Path) -> None:
    assert status(served, INSTANCES)[0] == 200
    move_away(tmp_path / "events.db")
    assert status(served, INSTANCES) == (503, "event-store")
    (found,) = served.predict(INSTANCES)
    assert [row.prediction_id for row in served.events(Prediction)] == [found["prediction_id"]]
    wait(lambda: not degraded(served))
    assert served.client.get("/ready").status_code == 200
