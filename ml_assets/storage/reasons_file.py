"""The file that explains a version's answers, kept with its run under its own SHA-256, which its manifest names."""

import hashlib

from ml_assets.errors import RegistryError
from ml_assets.storage.registry import Registry, Version


def keep_reasons(registry: Registry, version: Version, content: bytes) -> str:
    """Keep the file of a version; its SHA-256."""
    digest = hashlib.sha256(content).hexdigest()
    registry.write(version.run_id, {_path(digest): content})
    return digest


def read_reasons(registry: Registry, version: Version, digest: str) -> bytes:
    """The file that `keep_reasons` kept.

    Raises:
        RegistryError: it is missing, or another one.
    """
    content = registry.read(version.run_id, _path(digest))
    if content is None or hashlib.sha256(content).hexdigest() != digest:
        raise RegistryError(
            f"{version.model} version {version.number}: the reasons are not those of {digest[:12]}…: restore "
            f"{_path(digest)} of its run, or run the loop"
        )
    return content


def _path(digest: str) -> str:
    return f"release/{digest}.npz"
