"""A registry in memory: the versions of one model, and its route."""

from dataclasses import dataclass, field, replace
from typing import Any

from ml_assets.decisions.route import Route
from ml_assets.storage.model_version import Version
from ml_assets.storage.route_tag import RegisteredRoute, register_route, write_route
from ml_assets_tests.serving.released import manifest


def released(number: int, model: str = "churn") -> Version:
    """A version that servers can load."""
    return Version(model, number, f"run{number}", {"release": f"{number:064x}"})


@dataclass
class MemoryRegistry:
    """What rollouts and experiments ask of a registry."""

    versions: dict[int, Version] = field(default_factory=lambda: {each: released(each) for each in (6, 7)})
    number: int = 6
    tag_text: str | None = None
    model: str = "churn"

    def champion(self, model: str) -> Version | None:
        return self.find_version(model, self.number)

    def find_version(self, _: str, number: int) -> Version | None:
        return self.versions.get(number)

    def routes(self) -> dict[str, RegisteredRoute]:
        return {self.model: register_route(self.versions[self.number], self.tag_text, self.find_version)}

    def version(self, _: str, number: int) -> Version:
        return self.versions[number]

    def manifest(self, version: Version) -> bytes:
        return manifest(version.number, model=version.model).to_json()

    def route(self, model: str) -> Route | None:
        return self.routes()[model].route if self.tag_text else None

    def set_route(self, route: Route) -> None:
        self.tag_text = write_route(route)

    def clear_route(self, _: str) -> None:
        self.tag_text = None

    def tag(self, version: Version, **tags: str) -> None:
        self.versions[version.number] = replace(version, tags={**version.tags, **tags})

    @property
    def any(self) -> Any:
        """This, where a whole registry is asked for."""
        return self
