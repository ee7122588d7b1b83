"""Signed JSON: one canonical text, its SHA-256, and an Ed25519 signature over it.

The text is that of RFC 8785 as far as it matters here: sorted keys, no spaces, UTF-8, the shortest digits of a number.
A reader refuses what is written in any other way, so that no byte can be changed that means nothing.
"""

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Self

from ml_assets.errors import MlAssetsError

_KEY, _SIGNATURE = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{128}")


class SignatureError(MlAssetsError):
    """A signed text that is not what was signed, or that nobody who is trusted has signed."""


def to_canonical(value: object) -> bytes:
    """The one text of a JSON value.

    Raises:
        ValueError: it holds a number that JSON has no word for.

    >>> to_canonical({"b": 1.0, "a": None})
    b'{"a":null,"b":1.0}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(value: object) -> str:
    """The SHA-256 of the canonical text of a JSON value."""
    return hashlib.sha256(to_canonical(value)).hexdigest()


def key_id(key: str) -> str:
    """The name of a public key, for people.

    >>> key_id("00" * 32)
    '66687aad'
    """
    return hashlib.sha256(bytes.fromhex(key)).hexdigest()[:8]


@dataclass(frozen=True)
class SignedEntry:
    """A JSON object and who signed it.

    Args:
        entry: the object.
        key: the public key, 64 hexadecimal digits.
        signature: over the canonical text of `entry`, 128 hexadecimal digits.
    """

    entry: dict[str, Any]
    key: str
    signature: str

    @property
    def sha256(self) -> str:
        """Of the canonical text of the entry."""
        return digest_of(self.entry)

    def to_json(self) -> bytes:
        """The one text of the entry with its signature."""
        return to_canonical({"entry": self.entry, "key": self.key, "signature": self.signature})

    @classmethod
    def from_json(cls, content: bytes, what: str) -> Self:
        """What `to_json` wrote.

        Args:
            content: the text.
            what: is named in errors.

        Raises:
            SignatureError: it is something else.
        """
        try:
            plain = json.loads(content)
            signed = cls(dict(plain["entry"]), str(plain["key"]), str(plain["signature"]))
            same = signed.to_json() == content
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise SignatureError(f"{what} cannot be read ({type(error).__name__}): restore it") from error
        if not same:
            raise SignatureError(f"{what} is not as it was written: restore it, or release anew")
        return signed

    def verify(self, what: str, trusted: Collection[str] = ()) -> None:
        """Return if the signature is that of the entry, by a key that is trusted.

        Args:
            what: is named in errors.
            trusted: public keys; none: anybody's is good, and only shows that nothing was changed since.

        Raises:
            SignatureError: it is not.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # 40 ms

        changed = SignatureError(f"{what} is not what was signed: restore it, or release anew")
        if not (_KEY.fullmatch(self.key) and _SIGNATURE.fullmatch(self.signature)):  # also in another spelling
            raise changed
        try:
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key))
            public.verify(bytes.fromhex(self.signature), to_canonical(self.entry))
        except (ValueError, InvalidSignature) as error:
            raise changed from error
        if trusted and self.key not in trusted:
            raise SignatureError(f"{what} is signed by {key_id(self.key)}, which is none of the trusted keys")
