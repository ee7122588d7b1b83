"""Runs, model versions and the routes of models. The one module that speaks MLflow.

A version appears in the registry as the last step of a training, in one transaction with the tags that say what it
is: a run without a version was killed, and is removed when the same recipe is trained again.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ml_assets.decisions.route import CHAMPION, Route
from ml_assets.errors import RegistryError
from ml_assets.redaction import redact
from ml_assets.storage import artifacts as files_of
from ml_assets.storage.model_version import Run, Version, ensure_experiment, log, remove_orphans, version_of
from ml_assets.storage.route_tag import TAG, RegisteredRoute, read_route, register_route, write_route
from ml_assets.storage.tracking import (
    EMBEDDED,
    client,
    latest_metrics,
    model_names,
    never_used,
    tags_of_models,
    version_of_number,
    versions_with_alias,
)

__all__ = ["RegisteredRoute", "Registry", "Run", "Version"]

_RELEASE = "release"  # the tag
_INTENT = "ml_assets.moving"


@dataclass(frozen=True)
class Registry:
    """An MLflow tracking server and model registry.

    Args:
        uri: `sqlite:///…`, `http://…` or any tracking URI of MLflow.
        artifacts: where experiments keep files; None = where the server says.
        ui: the address of the MLflow UI, for links.
    """

    uri: str
    artifacts: str | None = None
    ui: str = "http://127.0.0.1:5000"

    def find(self, model: str, recipe: str) -> Version | None:
        """The version that was trained from exactly this recipe and these rows."""
        versions = self._client.search_model_versions(f"name = '{model}' and tags.recipe = '{recipe}'")
        return max((version_of(item) for item in versions), key=lambda version: version.number, default=None)

    def version(self, model: str, number: int) -> Version:
        """One version by its number."""
        return version_of(self._client.get_model_version(model, str(number)))

    def versions(self, model: str) -> list[Version]:
        """Every version of a model, in order."""
        versions: list[Version] = []
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{model}'", 1000, page_token=token)
            versions += map(version_of, page)
            if not (token := page.token):
                return sorted(versions, key=lambda version: version.number)

    def champion(self, model: str) -> Version | None:
        """The version that answers by default, as quickly as `champions`; None before the first release."""
        if self.uri.startswith(EMBEDDED):
            return self.champions().get(model)
        models = self._client.search_registered_models(f"name = '{model}'")
        number = models[0].aliases.get(CHAMPION) if models else None
        return None if number is None else self.version(model, int(number))

    def latest(self, model: str) -> Version | None:
        """The version that was trained last; None before the first training."""
        versions = self._client.search_model_versions(f"name = '{model}'", 1, ["version_number DESC"])
        return version_of(versions[0]) if versions else None

    def routes(self) -> dict[str, RegisteredRoute]:
        """The route of every model that has a champion: what its tag says, else that one alone."""
        champions, texts = self.champions(), self.tags(TAG)
        return {
            name: register_route(version, texts.get(name), self.find_version) for name, version in champions.items()
        }

    def route(self, model: str) -> Route | None:
        """The route that a model's tag says, whoever is champion, in force or not; None: it has none.

        Raises:
            RegistryError: the tag is damaged.
        """
        return read_route(model, self.tags(TAG).get(model))

    def set_route(self, route: Route) -> None:
        """Tell servers who answers which share of a model's units; one atomic write."""
        self._client.set_registered_model_tag(route.model, TAG, write_route(route))

    def clear_route(self, model: str) -> None:
        """Let the champion answer everything; may be called again."""
        if model in self.tags(TAG):
            self._client.delete_registered_model_tag(model, TAG)

    def tags(self, key: str) -> dict[str, str]:
        """Model → the value of its tag, of all models that have it."""
        if self.uri.startswith(EMBEDDED):
            return tags_of_models(self.uri, key)
        models = self._client.search_registered_models(max_results=1000)
        return {model.name: model.tags[key] for model in models if key in model.tags}

    def find_version(self, model: str, number: int) -> Version | None:
        """One version by its number; None where there is none."""
        if self.uri.startswith(EMBEDDED):
            row = version_of_number(self.uri, model, number)
            return None if row is None else Version(model, number, *row)
        return next((version for version in self.versions(model) if version.number == number), None)

    def champions(self) -> dict[str, Version]:
        """The champion of every model that has one."""
        return self.versions_of_alias(CHAMPION)

    def versions_of_alias(self, alias: str) -> dict[str, Version]:
        """Model → the version that an alias names; the embedded database is read without MLflow's 3 s."""
        if self.uri.startswith(EMBEDDED):
            rows = versions_with_alias(self.uri, alias)
            return {name: Version(name, number, run, tags) for name, number, run, tags in rows}
        models = self._client.search_registered_models(max_results=1000)
        numbers = {model.name: model.aliases[alias] for model in models if alias in model.aliases}
        return {name: self.version(name, int(number)) for name, number in numbers.items()}

    def glance(self, model: str) -> tuple[Version, dict[str, float]] | None:
        """The champion and its metrics, for who only looks, as quickly as `champions`."""
        champion = self.champions().get(model)
        read = partial(latest_metrics, self.uri) if self.uri.startswith(EMBEDDED) else self.metrics
        return None if champion is None else (champion, read(champion.run_id))

    def publish(self, version: Version, manifest: bytes) -> Version:
        """Release a version: what a server is to know is kept under its SHA-256, and a tag vouches for that."""
        digest = hashlib.sha256(manifest).hexdigest()
        if version.tags.get(_RELEASE) == digest:
            return version
        self.write(version.run_id, {f"release/{digest}.json": manifest})
        self.tag(version, **{_RELEASE: digest})
        return replace(version, tags={**version.tags, _RELEASE: digest})

    def manifest(self, version: Version) -> bytes:
        """What `publish` kept of a version.

        Raises:
            RegistryError: it was never released, or the file is not what the tag says.
        """
        who, digest = f"{version.model} version {version.number}", version.tags.get(_RELEASE)
        if digest is None:
            raise RegistryError(f"{who} was not released by its gates: run the loop, or promote a version that was")
        content = self.read(version.run_id, f"release/{digest}.json")
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            raise RegistryError(
                f"{who}: the manifest's SHA-256 is not the recorded {digest[:12]}…: restore the file, or run the loop"
            )
        return content

    def promote(self, version: Version, variant: str = CHAMPION) -> None:
        """Point the alias of a variant at a version."""
        self._client.set_registered_model_alias(version.model, variant, str(version.number))

    def demote(self, model: str, variant: str) -> None:
        """Take the alias of a variant away; may be called again."""
        models = self._client.search_registered_models(f"name = '{model}'")
        if models and variant in models[0].aliases:
            self._client.delete_registered_model_alias(model, variant)

    @contextlib.contextmanager
    def rewording_errors(self) -> Iterator[None]:
        """Whatever MLflow, a database or the network raise in the body is said in one line, without a password.

        Raises:
            RegistryError: the registry does not answer.
        """
        try:
            yield
        except RegistryError:
            raise
        except Exception as error:
            where, why = redact(self.uri), redact(f"{error}".split("\n", 1)[0])[:200]
            raise RegistryError(f"the registry {where} does not answer ({why}): see `ml-assets doctor`") from error

    def has_model(self, model: str) -> bool:
        """Whether there is a model of that name, or an experiment."""
        experiment = self._client.get_experiment_by_name(model)
        running = experiment is not None and experiment.lifecycle_stage == "active"
        return running or bool(self._client.search_registered_models(f"name = '{model}'"))

    def models(self) -> list[str]:
        """The names of all registered models; the embedded database is read without MLflow's 3 s."""
        if self.uri.startswith(EMBEDDED):
            return model_names(self.uri)
        return sorted(model.name for model in self._client.search_registered_models(max_results=1000))

    def is_new(self) -> bool:
        """Whether nothing was ever trained here: another database may lie where ours was."""
        if self.uri.startswith(EMBEDDED):
            return never_used(self.uri)
        return len(self._client.search_experiments(view_type=3, max_results=2)) < 2  # 3: also what was deleted

    def forget(self, model: str, stamp: str, *, whole: bool) -> None:
        """Delete the versions of a model and its runs; may be called again.

        The numbers of versions are not given again, unless the model goes as a `whole`.

        Args:
            model: its name.
            stamp: for the name under which its experiment lies in MLflow's trash, until `mlflow gc`.
            whole: the registered model goes, too.
        """
        for version in self.versions(model):
            self._client.delete_model_version(model, str(version.number))
        if whole and self._client.search_registered_models(f"name = '{model}'"):
            self._client.delete_registered_model(model)
        for experiment in self._client.search_experiments(max_results=1000):
            if experiment.name == model:
                # A name in the trash cannot be given again.
                self._client.rename_experiment(experiment.experiment_id, f"{model} (deleted {stamp})")
            if experiment.name == model or experiment.name.startswith(f"{model} (deleted "):
                self._client.delete_experiment(experiment.experiment_id)

    def announce(self, model: str, intent: Mapping[str, Any]) -> None:
        """Say that the champion is about to be moved, so that who finds that it was not can finish it."""
        self._client.set_registered_model_tag(model, _INTENT, json.dumps(intent))

    def intent(self, model: str) -> dict[str, Any] | None:
        """What was announced and not finished."""
        text = self.tags(_INTENT).get(model)
        return None if text is None else dict(json.loads(text))

    def clear_intent(self, model: str) -> None:
        """What was announced is done."""
        self._client.delete_registered_model_tag(model, _INTENT)

    def tag(self, version: Version, **tags: str) -> None:
        """Set tags of a version, and the same of its run."""
        for key, value in tags.items():
            self._client.set_model_version_tag(version.model, str(version.number), key, value)
            self._client.set_tag(version.run_id, key, value)

    def onnx(self, version: Version) -> bytes:
        """The released artifact of a version.

        Raises:
            RegistryError: its SHA-256 is not the one that was recorded when it was trained.
        """
        location = self._client.get_model_version_download_uri(version.model, str(version.number))
        content = files_of.fetch(self.uri, location)
        if hashlib.sha256(content).hexdigest() != version.tags["sha256"]:
            raise RegistryError(
                f"{version.model} version {version.number}: the artifact's SHA-256 is not the recorded "
                f"{version.tags['sha256'][:12]}…: restore the file, or promote another version"
            )
        return content

    def read(self, run_id: str, path: str) -> bytes | None:
        """A file of a run; None where it has none."""
        return files_of.read(self._client, self.uri, run_id, path)

    def write(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Keep files with a run: path → content."""
        files_of.write(self._client, run_id, files)

    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run."""
        return dict(self._client.get_run(run_id).data.metrics)

    def log(self, run_id: str, metrics: Mapping[str, float], parameters: Mapping[str, object] | None = None) -> None:
        """Record metrics and parameters of a run in one request."""
        log(self._client, run_id, metrics, parameters)

    def link(self, version: Version) -> str:
        """The address of a version's run in the MLflow UI."""
        experiment = self._client.get_run(version.run_id).info.experiment_id
        return f"{self.ui}/#/experiments/{experiment}/runs/{version.run_id}"

    @contextlib.contextmanager
    def run(self, model: str, name: str, tags: Mapping[str, str]) -> Iterator[Run]:
        """A new training run. It is marked as failed when the body raises; what a killed one left is removed first."""
        experiment = ensure_experiment(self._client, model, self.artifacts)
        remove_orphans(self._client, experiment, tags["recipe"])
        run_id = self._client.create_run(experiment, run_name=name, tags=dict(tags)).info.run_id
        try:
            yield Run(self.uri, self._client, model, experiment, run_id, dict(tags))
        except BaseException:
            self._client.set_terminated(run_id, "FAILED")
            raise

    @property
    def _client(self) -> Any:  # noqa: ANN401 - mlflow's client has no strict types
        return client(self.uri)
