"""Every path, URL and secret, read from the environment once."""

import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ml_assets.errors import DeclarationError
from ml_assets.redaction import redact, remember

PROJECT = Path(__file__).resolve().parent.parent

_SCHEME = "[A-Za-z][A-Za-z0-9+.-]*://"


def _urls(text: object) -> object:
    """The URLs of a text, parted by whitespace, or by a comma before a scheme: `?to=a@x.org,b@x.org` is one URL."""
    if not isinstance(text, str):
        return text
    urls = [url.rstrip(",") for url in re.split(rf"\s+|,(?={_SCHEME})", text) if url.rstrip(",")]
    for number, url in enumerate(urls, start=1):
        if not re.match(rf"{_SCHEME}.", url):
            raise ValueError(f"part {number} of {len(urls)} is no Apprise URL, scheme://… with %20 for a space")
    return tuple(urls)


def _store(text: object) -> object:
    """The URL of an online store, or nothing for the embedded one; what is wrong with it never repeats it."""
    if isinstance(text, str) and text and not re.match(r"(sqlite:///|rediss?://|unix://).", text):
        raise ValueError("the URL is none of sqlite:///path, redis://…, rediss://…, unix://…")
    return text or None


def _folder(text: object) -> object:
    """A path of this machine; `Path` would make a folder `s3:` of a URL."""
    if isinstance(text, str) and re.match(_SCHEME, text):
        raise ValueError("the data folder has to lie on this machine, object storage is not supported: name a folder")
    return text


def _root(text: object) -> object:
    """The root of tables or state as a path: today a folder of this machine, by its path or as `file:///path`."""
    if not isinstance(text, str):
        return text
    if not text:
        raise ValueError("it names nothing: leave the variable out, or name a folder")
    path = unquote(text.removeprefix("file://")) if text.startswith("file:///") else text
    if re.match(_SCHEME, path):
        raise ValueError("only a folder of this machine can be reached yet: name it as /path or file:///path")
    return path


def _keys(text: object) -> object:
    """Public keys parted by whitespace, as `ml-assets key show` prints them."""
    if not isinstance(text, str):
        return text
    keys = tuple(text.lower().split())
    if wrong := [key for key in keys if not re.fullmatch("[0-9a-f]{64}", key)]:
        raise ValueError(f"{wrong[0][:70]!r} is no public key: write what `ml-assets key show` prints")
    return keys


def _link(text: object) -> object:
    """The address of a page, for whoever reads an alert or a report: without user and password."""
    return redact(text) if isinstance(text, str) else text


class Settings(BaseSettings):
    """The settings table of the README; each field is `ML_ASSETS_<NAME>` unless it names its own variable.

    >>> Settings(data="/srv/loop", workers=4).incoming
    PosixPath('/srv/loop/incoming')
    """

    # An error that repeats what it was given would print a secret.
    model_config = SettingsConfigDict(env_prefix="ML_ASSETS_", frozen=True, hide_input_in_errors=True)

    data: Annotated[Path, BeforeValidator(_folder)] = Field(
        PROJECT / "data", description="The folder that holds everything that the loop owns"
    )
    lake_url: Annotated[str, BeforeValidator(_root)] = Field(
        default_factory=lambda given: str(given["data"] / "lake"),
        description="The root of the Delta tables; default: `data/lake`",
    )
    state_url: Annotated[str, BeforeValidator(_root)] = Field(
        default_factory=lambda given: str(given["data"]),
        description="The root of what is made beside the tables: embedded databases, artifacts, releases, search "
        "indexes, replays, reports, tokens; default: `data`",
    )
    mlflow_tracking_uri: str | None = Field(
        None,
        validation_alias="MLFLOW_TRACKING_URI",
        description="A tracking server; default: SQLite in `data`",
    )
    mlflow_ui: Annotated[str, BeforeValidator(_link)] = Field(
        "http://127.0.0.1:5000", description="Where links to MLflow runs point"
    )
    dagster_ui: Annotated[str, BeforeValidator(_link)] = Field(
        "http://127.0.0.1:3000", description="Where links in alerts point"
    )
    memory: str = Field("1GB", description="What DuckDB may hold in memory before it spills to `data/tmp`")
    workers: int = Field(2, ge=1, description="As-of dates computed side by side")
    alerts: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_urls)] = Field(
        (), description="Apprise URLs that alerts are sent to, parted by whitespace; a secret"
    )
    online_store: Annotated[SecretStr | None, BeforeValidator(_store)] = Field(
        None, description="Where online features are kept; default: SQLite in `data`; a secret"
    )
    embedding_model: Path | None = Field(
        None,
        description="Folder of a sentence-transformers model that makes the vectors of a search index, with "
        "`ml-assets[embeddings]`; default: vectors that are learned from the documents",
    )
    log_predictions: bool = Field(
        True, description="Whether the server records what it answers; without, nothing can be traced or judged"
    )
    event_store: SecretStr | None = Field(
        None, description="A SQLAlchemy URL, sqlite:///… or postgresql://…; default: SQLite in `data`; a secret"
    )
    release_keys: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_keys)] = Field(
        (), description="Public keys, parted by whitespace: a server then loads only releases that one of them signed"
    )

    @property
    def incoming(self) -> Path:
        """The drop zone: `incoming/<folder>/<source>/`."""
        return self.data / "incoming"

    @property
    def lake(self) -> Path:
        """The folder of the Delta tables."""
        return Path(self.lake_url)

    @property
    def state(self) -> Path:
        """The folder of what is made beside the tables."""
        return Path(self.state_url)

    @property
    def artifacts(self) -> Path:
        """The artifacts of the embedded MLflow."""
        return self.state / "mlflow" / "artifacts"

    @property
    def reports(self) -> Path:
        """HTML reports."""
        return self.state / "reports"

    @property
    def search(self) -> Path:
        """The search indexes."""
        return self.state / "search"

    @property
    def replays(self) -> Path:
        """Models, scores and measurements of replays."""
        return self.state / "replay"

    @property
    def dagster(self) -> Path:
        """Runs, events and logs of the embedded Dagster instance."""
        return self.data / "dagster"

    @property
    def tokens(self) -> Path:
        """The hashes of the server's tokens."""
        return self.state / "tokens.json"

    @property
    def event_store_url(self) -> str:
        """The event store in force, as a SQLAlchemy URL; it may hold a password."""
        return self.event_store.get_secret_value() if self.event_store else f"sqlite:///{self.state / 'events.db'}"

    @property
    def tracking_uri(self) -> str:
        """The MLflow tracking URI in force; one of a database may hold a password."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.state / 'mlflow' / 'mlflow.db'}"

    @property
    def online_url(self) -> str:
        """The URL of the online store in force, which may hold a password."""
        return self.online_store.get_secret_value() if self.online_store else f"sqlite:///{self.state / 'online.db'}"


_SECRET = ("ALERTS", "ONLINE_STORE", "EVENT_STORE")
_LOGIN = re.compile(r"(https?://)([^:@/?#]+):(?!\d{1,5}/)(.+)@([^@]+)", re.IGNORECASE)


def read_settings() -> Settings:
    """Read the settings from the environment: where the command line, Dagster, the server or a notebook begins.

    Everybody else is given them. What is secret in them is never shown from then on. User and password of a tracking
    server are moved to MLflow's own variables for them, so that no error of MLflow, and nothing that is started, quotes
    them in a URL.

    Raises:
        DeclarationError: a variable holds a value that it cannot have.
    """
    settings = _read()
    alerts = (url.get_secret_value() for url in settings.alerts)
    remember(settings.mlflow_tracking_uri, settings.online_url, settings.event_store_url, *alerts)
    if login := _LOGIN.fullmatch(settings.mlflow_tracking_uri or ""):
        scheme, user, password, rest = login.groups()
        settings = settings.model_copy(update={"mlflow_tracking_uri": f"{scheme}{rest}"})
        os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = (
            unquote(user),
            unquote(password),
        )
        os.environ["MLFLOW_TRACKING_URI"] = f"{scheme}{rest}"
    return settings


def _read() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        wrong = error.errors()[0]
        name = "_".join(map(str, wrong["loc"])).upper()
        variable = name if name in os.environ else f"ML_ASSETS_{name}"
        value = "…" if name.endswith(_SECRET) else repr(wrong["input"])
        reason = wrong["msg"].removeprefix("Value error, ")
        raise DeclarationError(
            f"{variable}={value}: {reason[0].lower()}{reason[1:]}; see the settings in README.md"
        ) from error
