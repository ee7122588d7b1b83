"""The online features of versions beside the champion, so that each can answer at once when its turn comes.

A challenger is asked from the first minute of its rollout, the previous champion from the moment of a rollback, and
either may have been trained on other features than the champion.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ml_assets.decisions.route import CHALLENGER, PREVIOUS
from ml_assets.errors import OnlineStoreError
from ml_assets.features.online.ledger import OnlineWrite, note_variant
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.online_writer import OnlineWriter
from ml_assets.training.record import record


@dataclass(frozen=True)
class VariantWrite:
    """What became of the features of one version.

    Args:
        variant: under which name it answers, or its alias.
        version: its number.
        row: of the ledger; None: they could not be written.
        trouble: why not.
    """

    variant: str
    version: int
    row: OnlineWrite | None
    trouble: str | None = None


def other_versions(registry: Registry, model: str) -> Mapping[str, Version]:
    """Variant or alias → the version beside the champion that answers under it, or may have to at once.

    Args:
        registry: who has aliases, and which route is in force.
        model: the model's name.
    """
    aliases = {alias: registry.versions_of_alias(alias).get(model) for alias in (PREVIOUS, CHALLENGER)}
    registered = registry.routes().get(model)
    if registered is None:
        return {}
    named = aliases | dict(registered.versions)
    others = {version.number: (name, version) for name, version in named.items() if version}
    del others[registered.route.default.version]
    return dict(others.values())


def write_variants(writer: OnlineWriter, registry: Registry) -> list[VariantWrite]:
    """Write the features of the versions beside the champion; what keeps one from it keeps no other.

    Args:
        writer: of the model, the store and the date.
        registry: which versions there are.

    Raises:
        OnlineStoreError: the store does not answer.
    """
    others = other_versions(registry, writer.folder.name)
    return [_write(writer, registry, name, version) for name, version in others.items()]


def _write(writer: OnlineWriter, registry: Registry, name: str, version: Version) -> VariantWrite:
    try:
        result = writer.write(version, record(registry, version), note_variant)
    except OnlineStoreError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a query of another day runs into is this version's alone
        return VariantWrite(name, version.number, None, f"{error or type(error).__name__}")
    return VariantWrite(name, version.number, result.row)
