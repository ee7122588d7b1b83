"""The route of a model as the text of a tag of its registered model: what the loop decides, and servers follow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from ml_assets.decisions.route import Route
from ml_assets.errors import RegistryError
from ml_assets.storage.model_version import Version

TAG = "ml_assets.route"
"""The tag. Its text is one atomic write of MLflow; it names versions, never aliases."""

ENDED = "ml_assets.experiment."
"""A tag of the versions of an experiment that has ended: its name follows. Servers tell its value: the verdict."""

_LONGEST = 5_000  # characters of a tag of a registered model


@dataclass(frozen=True)
class RegisteredRoute:
    """A route as the registry says it, with the versions of its variants by their names."""

    route: Route
    versions: Mapping[str, Version]

    @property
    def ended(self) -> dict[str, str]:
        """Experiments of its versions that have ended, each with its verdict."""
        tags = [tag for version in self.versions.values() for tag in version.tags.items()]
        return {name.removeprefix(ENDED): verdict for name, verdict in tags if name.startswith(ENDED)}


def register_route(
    champion: Version, text: str | None, find_version: Callable[[str, int], Version | None]
) -> RegisteredRoute:
    """The route of a model: what its tag says, or the champion alone.

    A tag is ignored that is damaged, or whose default version is not the champion: somebody moved the alias by hand. A
    variant whose version is not there any more has none in `versions`.

    Args:
        champion: the version that answers by default.
        text: of the tag; None: there is none.
        find_version: of the registry.
    """
    try:
        route = read_route(champion.model, text)
    except RegistryError:
        route = None
    if route is None or route.default.version != champion.number:
        route = Route.of_champion(champion.model, champion.number)
    versions = {variant.name: find_version(champion.model, variant.version) for variant in route.variants[1:]}
    released = {name: version for name, version in versions.items() if version is not None}
    return RegisteredRoute(route, {route.default.name: champion, **released})


def write_route(route: Route) -> str:
    """The text of a route; `read_route` gives it back.

    Raises:
        RegistryError: MLflow keeps no text so long.
    """
    text = msgspec.json.encode(route).decode()
    if len(text) > _LONGEST:
        raise RegistryError(f"the route of {route.model} has {len(text)} characters, MLflow keeps {_LONGEST}")
    return text


def read_route(model: str, text: str | None) -> Route | None:
    """The route of a text; None where there is none.

    Raises:
        RegistryError: it is damaged.
    """
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Route)
    except msgspec.MsgspecError as error:
        raise RegistryError(f"the tag {TAG} of {model} is no route ({error}): delete it") from error
