"""Every URL of the settings with a secret in it, unreachable, against every output: none of them shows the secret."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from ml_assets import redaction
from ml_assets.alerts.delivery import deliver
from ml_assets.alerts.outbox import alerts, record_failed_run, record_failed_sensor
from ml_assets.commands import doctor, screen
from ml_assets.commands.screen import keep, plain
from ml_assets.errors import MlAssetsError
from ml_assets.events.rows import EventStoreError
from ml_assets.events.store import EventStore
from ml_assets.monitoring.overview import champions
from ml_assets.serving.models.follower import Follower
from ml_assets.serving.models.releases import Releases
from ml_assets.settings import Settings, read_settings
from ml_assets.storage.event_log import EventLog
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets_tests.serving import released
from ml_assets_tests.serving.process import serving
from ml_assets_tests.serving.served import PREDICT, ROW

HTTP = "http://mlf:TOPSECRET@127.0.0.1:9"
STORED = "postgresql://u:TOPSECRET@127.0.0.1:9/db?sslpassword=TOPSECRET"
VARIABLES = {
    "MLFLOW_TRACKING_URI": HTTP,
    "ML_ASSETS_ONLINE_STORE": "redis://u:TOPSECRET@127.0.0.1:9/0?socket_timeout=1",
    "ML_ASSETS_EVENT_STORE": STORED,
    "ML_ASSETS_ALERTS": "json://u:TOPSECRET@127.0.0.1:9 mailto://u:TOPSECRET@127.0.0.1:9?to=a@b.example",
    "ML_ASSETS_MLFLOW_UI": HTTP,
    "ML_ASSETS_DAGSTER_UI": HTTP,
}
NOW = datetime(2026, 11, 22, 12)  # noqa: DTZ001 - naive UTC


@pytest.fixture(autouse=True)
def _unreachable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of a process that nobody answers; afterwards it is as it was."""
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (VARIABLES | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(redaction, "_known", {})
    yield
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        os.environ.pop(name, None)


def holding(folder: Path) -> list[str]:
    """The files of a folder that hold the secret."""
    return [str(file) for file in folder.rglob("*") if file.is_file() and b"TOPSECRET" in file.read_bytes()]


def test_every_setting_with_a_url_is_tried_here() -> None:
    urls = {"alerts", "online_store", "event_store", "mlflow_tracking_uri", "mlflow_ui", "dagster_ui"}
    paths = {"data", "lake_url", "state_url", "embedding_model", "memory", "workers", "log_predictions", "release_keys"}
    assert Settings.model_fields.keys() == urls | paths, "try a new one here, too"
    assert {name.removeprefix("ML_ASSETS_").lower() for name in VARIABLES} == urls


def test_the_login_of_a_tracking_server_is_moved_to_where_mlflow_looks_for_it(tmp_path: Path) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = "https://me:TOP%20SE/CRET@host:5000/path"
    os.environ["ML_ASSETS_DATA"] = str(tmp_path)
    try:
        found = read_settings()
    finally:
        del os.environ["ML_ASSETS_DATA"]
    assert found.tracking_uri == os.environ["MLFLOW_TRACKING_URI"] == "https://host:5000/path"
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "me"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "TOP SE/CRET"  # noqa: S105 - the one of this test
    assert "CRET" not in repr(found) + found.model_dump_json() + found.mlflow_ui + found.dagster_ui
    assert plain("nonnumeric port: 'TOP%20SE/CRET@host'") == "nonnumeric port: '***@host'"


@pytest.mark.parametrize("uri", ["http://host:5000/a@b", "http://host/a:b@c", "http://me@host", "sqlite:///a:b@c"])
def test_a_tracking_server_without_a_login_is_left_as_it_is(uri: str) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = uri
    assert read_settings().tracking_uri == uri
    assert "MLFLOW_TRACKING_USERNAME" not in os.environ


def test_who_asks_a_registry_says_no_secret_of_it(tmp_path: Path) -> None:
    with pytest.raises(MlAssetsError, match=r"127\.0\.0\.1") as caught, Registry(HTTP).rewording_errors():
        Registry(HTTP).champion("churn")
    follower = Follower(Registry(HTTP), Releases.at(tmp_path))
    said = [str(caught.value), str(champions(Registry(HTTP), ["churn"])), str(follower.look().trouble)]
    assert "does not answer" in said[2]
    assert "TOPSECRET" not in "".join(said)
    assert holding(tmp_path) == []


def test_the_doctor_says_no_secret(tmp_path: Path) -> None:
    chosen = Settings(data=tmp_path)
    for name in ("mlflow", "online_store", "event_store"):
        found = doctor.examine(name, lambda: getattr(doctor, name)(chosen))  # noqa: B023 - called here
        assert found.status == "fail"
        assert "TOPSECRET" not in str(found)


def test_an_alert_and_its_delivery_say_no_secret(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    record_failed_run(lake, "churn", "1", "loop", None, f"ValueError: {HTTP} is away", "", NOW)
    record_failed_sensor(lake, "churn", "sensor x", f"ValueError: {STORED} is away", "", NOW)
    assert [alert.text.rpartition(": ")[2] for alert in alerts(lake, "churn")] == [
        "http://127.0.0.1:9 is away", "postgresql://127.0.0.1:9/db?sslpassword=*** is away",
    ]  # fmt: skip
    done = deliver(lake, ["churn"], Settings().alerts, now=NOW)
    assert done.sent == 0
    assert "TOPSECRET" not in str(done)
    assert holding(tmp_path) == []


def test_what_a_command_prints_and_keeps_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_log", screen.log_path())  # it is as it was afterwards
    screen.log_to(tmp_path)
    assert plain(f"a {HTTP}\n\tb") == "a http://127.0.0.1:9\n\tb"
    assert keep(f"Traceback\n  {HTTP}") is not None
    assert "http://127.0.0.1:9" in (tmp_path / "logs" / "ml-assets.log").read_text()
    assert holding(tmp_path) == []


def test_dagsters_event_log_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_DAGSTER", str(tmp_path))

    @dg.asset
    def failing(context: dg.AssetExecutionContext) -> None:
        context.log.info("trying %s", HTTP)
        context.log_event(dg.AssetObservation("failing", metadata={"url": STORED}))
        raise ValueError(HTTP) from KeyError("password=TOPSECRET")

    overrides = {
        "event_log_storage": {
            "module": "ml_assets.storage.event_log", "class": "EventLog",
            "config": {"base_dir": str(tmp_path / "events")},
        },
    }  # fmt: skip
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        result = dg.materialize([failing], instance=instance, raise_on_error=False)
        records = instance.get_records_for_run(result.run_id).records
        failed = next(record for record in records if record.event_log_entry.level == 40)
        assert "http://127.0.0.1:9" in str(failed.event_log_entry)
    assert holding(tmp_path / "events") == []


def test_an_event_store_says_no_secret() -> None:
    with EventStore(STORED, patience=1.0) as store, pytest.raises(EventStoreError) as caught:
        store.ping()
    assert "TOPSECRET" not in str(caught.value)


@pytest.mark.slow
def test_a_server_of_unreachable_parts_says_no_secret(tmp_path: Path) -> None:
    released.release(tmp_path)
    with serving(tmp_path, 1, ready=False, port=0, host="127.0.0.1", **VARIABLES) as server:
        said = [server.post(PREDICT, {"instances": [ROW]}).text]
        said += [server.post(PREDICT, {"entities": [{"customer_id": "c1"}]}).text]
        server.wait("what does not work", lambda: {"online_store", "event_store"} <= server.health().keys())
        server.wait("a word of the registry", lambda: "http://127.0.0.1:9" in server.health().get("registry", ""))
        said += [server.get(path).text for path in ("/ready", "/models/churn", "/metrics", "/openapi.json", "/health")]
    assert "TOPSECRET" not in "".join([*said, server.log()])
    assert holding(tmp_path) == []
