"""Every path, URL and secret, read from the environment once."""

import os
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ml_assets.errors import DeclarationError

PROJECT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """The settings table of the README; each field is `ML_ASSETS_<NAME>` unless it names its own variable."""

    model_config = SettingsConfigDict(env_prefix="ML_ASSETS_", frozen=True)

    data: Path = Field(PROJECT / "data", description="The folder that holds everything that the loop owns")
    mlflow_tracking_uri: str | None = Field(
        None,
        validation_alias="MLFLOW_TRACKING_URI",
        description="A tracking server; default: SQLite in `data`",
    )
    mlflow_ui: str = Field("http://127.0.0.1:5000", description="Where links to MLflow runs point")
    memory: str = Field("1GB", description="What DuckDB may hold in memory before it spills to `data/tmp`")
    workers: int = Field(2, ge=1, description="As-of dates computed side by side")

    @property
    def incoming(self) -> Path:
        """The drop zone: `incoming/<folder>/<source>/`."""
        return self.data / "incoming"

    @property
    def lake(self) -> Path:
        """The root of the Delta tables."""
        return self.data / "lake"

    @property
    def reports(self) -> Path:
        """HTML reports."""
        return self.data / "reports"

    @property
    def dagster(self) -> Path:
        """Runs, events and logs of the embedded Dagster instance."""
        return self.data / "dagster"

    @property
    def tracking_uri(self) -> str:
        """The MLflow tracking URI in force."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.data / 'mlflow' / 'mlflow.db'}"


@cache
def settings() -> Settings:
    """The settings of this process; the environment is read at the first call and never again.

    Raises:
        DeclarationError: a variable holds a value that it cannot have.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = error.errors()[0]
        name = "_".join(map(str, wrong["loc"])).upper()
        variable = name if name in os.environ else f"ML_ASSETS_{name}"
        raise DeclarationError(
            f"{variable}={wrong['input']!r}: {wrong['msg'].lower()}; see the settings in README.md"
        ) from error
