"""The key that signs releases: Ed25519, in the data folder, for its user alone.

A key beside the data protects against a changed registry, lake or bucket. It does not protect against whoever owns the
machine, who can read the key as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ml_assets.errors import DataError
from ml_assets.storage.files import hold_lock, write_whole
from ml_assets.storage.signed import SignedEntry, key_id, to_canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PRIVATE = 0o600


@dataclass(frozen=True)
class KeyFolder:
    """Where the key of a data folder lies, `release`, and the public keys that signed before it, `retired`.

    Args:
        folder: `keys` below the state.
    """

    folder: Path

    @classmethod
    def at(cls, state: Path) -> Self:
        """That of a data folder."""
        return cls(state / "keys")

    @property
    def path(self) -> Path:
        """The private key, PKCS 8 in PEM."""
        return self.folder / "release"

    @property
    def _retired(self) -> Path:
        return self.folder / "retired"

    def old_keys(self) -> tuple[str, ...]:
        """Public keys that signed before, the oldest first."""
        return tuple(self._retired.read_text().split()) if self._retired.is_file() else ()

    def public_keys(self) -> frozenset[str]:
        """Every public key of this data folder; none before the first release."""
        key = self.find()
        return frozenset((*self.old_keys(), key.public) if key else self.old_keys())

    def find(self) -> "ReleaseKey | None":
        """The key; None before the first release.

        Raises:
            DataError: the file is no key.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        return ReleaseKey(_read(self.path, content))

    def open(self) -> "ReleaseKey":
        """The key, which is made where there is none.

        Raises:
            DataError: the file is no key.
        """
        key = self.find()
        if key is not None:
            return key
        with hold_lock(self.folder / ".lock"):  # two first releases at once sign with one key
            return self.find() or self._make()

    def renew(self) -> "ReleaseKey":
        """A new key in the place of the old one, whose signatures go on to be good.

        Raises:
            DataError: the file is no key.
        """
        with hold_lock(self.folder / ".lock"):
            old = self.find()
            if old is not None and old.public not in self.old_keys():
                text = "".join(f"{key}\n" for key in (*self.old_keys(), old.public))
                write_whole(self._retired, text, mode=_PRIVATE, sync=True)
            return self._make()

    def _make(self) -> "ReleaseKey":
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_whole(self.path, pem, mode=_PRIVATE, sync=True)
        return ReleaseKey(key)


@dataclass(frozen=True)
class ReleaseKey:
    """A private key."""

    private: "Ed25519PrivateKey"

    @property
    def public(self) -> str:
        """The public key, 64 hexadecimal digits."""
        from cryptography.hazmat.primitives import serialization

        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        return self.private.public_key().public_bytes(*raw).hex()

    @property
    def id(self) -> str:
        """The name of the public key, for people."""
        return key_id(self.public)

    def sign(self, entry: Mapping[str, Any]) -> SignedEntry:
        """The entry with a signature over its canonical text."""
        plain = dict(entry)
        return SignedEntry(plain, self.public, self.private.sign(to_canonical(plain)).hex())


def _read(path: Path, content: bytes) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    wrong = DataError(f"{path} is no Ed25519 key: restore it, or move it away and `ml-assets key new`")
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise wrong from error
    if not isinstance(key, Ed25519PrivateKey):
        raise wrong
    return key
