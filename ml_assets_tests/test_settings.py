import ast
import re
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from ml_assets.errors import DeclarationError
from ml_assets.settings import PROJECT, Settings, read_settings


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("DATA", "LAKE_URL", "STATE_URL", "MLFLOW_TRACKING_URI", "WORKERS", "ALERTS", "ONLINE_STORE")
    for name in ("MLFLOW_TRACKING_URI", *(f"ML_ASSETS_{name}" for name in names)):
        monkeypatch.delenv(name, raising=False)


def test_everything_lies_below_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Settings().data == PROJECT / "data"
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    found = Settings()
    assert {found.incoming, found.lake, found.reports, found.dagster} == {
        tmp_path / name for name in ("incoming", "lake", "reports", "dagster")
    }
    assert found.tracking_uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert not any(tmp_path.iterdir())


def test_tables_and_state_lie_elsewhere_where_their_urls_say_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ML_ASSETS_LAKE_URL", f"file://{tmp_path}/a%20lake")
    monkeypatch.setenv("ML_ASSETS_STATE_URL", str(tmp_path / "state"))
    settings = read_settings()
    assert settings.lake == tmp_path / "a lake"
    assert settings.lake_url == str(settings.lake)
    made = {
        settings.reports,
        settings.search,
        settings.replays,
        settings.tokens.parent / "any",
        settings.artifacts.parent,
    }
    assert {path.parent for path in made} == {tmp_path / "state"}
    for url in (settings.event_store_url, settings.online_url, settings.tracking_uri):
        assert url.startswith(f"sqlite:///{tmp_path}/state/")
    assert {settings.incoming.parent, settings.dagster.parent} == {PROJECT / "data"}


@pytest.mark.parametrize("name", ["LAKE_URL", "STATE_URL"])
@pytest.mark.parametrize("url", ["s3://bucket/data", "gs://bucket", "abfss://x@y/z", "file://host/x"])
def test_a_root_that_cannot_be_reached_yet_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv(f"ML_ASSETS_{name}", url)
    with pytest.raises(DeclarationError, match=rf"^ML_ASSETS_{name}='.*': only a folder .* yet: name it as /path or"):
        read_settings()
    monkeypatch.setenv(f"ML_ASSETS_{name}", "")
    with pytest.raises(DeclarationError, match=rf"^ML_ASSETS_{name}='': it names nothing: leave the variable out"):
        read_settings()


def test_a_tracking_server_goes_before_the_embedded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert Settings().tracking_uri == "http://tracking:5000"


def test_keys_are_public_keys_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().release_keys == ()
    monkeypatch.setenv("ML_ASSETS_RELEASE_KEYS", f"{'AB' * 32}\n {'01' * 32} ")
    assert read_settings().release_keys == ("ab" * 32, "01" * 32)
    monkeypatch.setenv("ML_ASSETS_RELEASE_KEYS", "ssh-ed25519")
    with pytest.raises(
        DeclarationError, match=r"'ssh-ed25519' is no public key: write what `ml-assets key show` prints"
    ):
        read_settings()


ENTRIES = {"cli.py", "defs/resources.py", "serving/app.py", "features/notebook.py"}
"""The command line, Dagster, the server, and a notebook that names no settings of its own."""


def test_the_settings_enter_at_four_places_and_are_handed_on() -> None:
    """Whoever read the environment elsewhere would bypass the resource that Dagster was given."""
    package = PROJECT / "ml_assets"
    texts = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    readers = {
        path.relative_to(package).as_posix()
        for path, text in texts.items()
        if "read_settings" in text or "Settings" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"read_settings", "Settings"}
    }
    assert readers - {"settings.py"} == ENTRIES


def test_settings_are_read_anew_by_each_entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    assert read_settings().data == tmp_path
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "elsewhere"))
    assert read_settings().data == tmp_path / "elsewhere"


@pytest.mark.parametrize("workers", ["0", "two"])
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    monkeypatch.setenv("ML_ASSETS_WORKERS", workers)
    with pytest.raises(ValidationError, match="workers"):
        Settings()


def test_every_setting_is_described() -> None:
    undocumented = [name for name, field in Settings.model_fields.items() if not field.description]
    assert undocumented == []


def test_every_variable_that_the_code_reads_itself_is_no_setting() -> None:
    """`os.environ` is for what other libraries read; a setting of ours goes through `Settings`."""
    pattern = re.compile(r"environ(?:\.get)?[\[(]\s*[\"']ML_ASSETS_(\w+)")
    read = {
        name.lower()
        for path in (PROJECT / "ml_assets").rglob("*.py")
        for name in pattern.findall(path.read_text(encoding="utf-8"))
    }
    assert read & set(Settings.model_fields) == set()


def test_a_wrong_value_names_the_variable_and_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_WORKERS", "0")
    with pytest.raises(DeclarationError, match="ML_ASSETS_WORKERS='0': input should be greater than or equal to 1"):
        read_settings()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", []),
        ("json://host/token", ["json://host/token"]),
        ("mailto://u:p@h/?to=a@x.org,b@x.org\n json://h", ["mailto://u:p@h/?to=a@x.org,b@x.org", "json://h"]),
        ("slack://a/b/c,\n\tjson://h/x,mailto://h/,", ["slack://a/b/c", "json://h/x", "mailto://h/"]),
    ],
)
def test_alert_urls_are_parted_by_whitespace_and_may_hold_commas(
    monkeypatch: pytest.MonkeyPatch, written: str, read: list[str]
) -> None:
    monkeypatch.setenv("ML_ASSETS_ALERTS", written)
    assert [url.get_secret_value() for url in Settings().alerts] == read


def test_alert_urls_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_ALERTS", "json://host/s3cret")
    assert "s3cret" not in repr(Settings()) + str(Settings().model_dump()) + Settings().model_dump_json()
    monkeypatch.setenv("ML_ASSETS_ALERTS", "json://host s3cret/token")
    said = ""
    try:
        read_settings()
    except DeclarationError:
        said = traceback.format_exc()
    assert "ML_ASSETS_ALERTS=…: part 2 of 2 is no Apprise URL" in said
    assert "s3cret" not in said


def test_the_online_store_is_embedded_unless_a_url_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path))
    assert Settings().online_url == f"sqlite:///{tmp_path}/online.db"
    monkeypatch.setenv("ML_ASSETS_ONLINE_STORE", "")
    assert Settings().online_url == f"sqlite:///{tmp_path}/online.db"
    monkeypatch.setenv("ML_ASSETS_ONLINE_STORE", "rediss://:s3cret@host:6379/1")
    assert Settings().online_url == "rediss://:s3cret@host:6379/1"


def test_the_password_of_the_online_store_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_ONLINE_STORE", "redis://:s3cret@host")
    assert "s3cret" not in repr(Settings()) + str(Settings().model_dump()) + Settings().model_dump_json()
    monkeypatch.setenv("ML_ASSETS_ONLINE_STORE", "s3cret@host")
    said = ""
    try:
        read_settings()
    except DeclarationError:
        said = traceback.format_exc()
    assert "ML_ASSETS_ONLINE_STORE=…: the URL is none of sqlite:///path, redis://…" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("url", ["s3://bucket/data", "gs://bucket", "az://x/y", "file:///tmp/x"])
def test_a_data_folder_that_is_a_url_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """`Path` would make a folder `s3:` of it."""
    monkeypatch.setenv("ML_ASSETS_DATA", url)
    with pytest.raises(DeclarationError, match=rf"ML_ASSETS_DATA='{url}': .* object storage is not supported"):
        read_settings()
