"""Bearer tokens: their SHA-256 and scopes in a file, the tokens themselves nowhere.

A token is 256 random bits, so a plain hash is as good as a slow one: there is nothing to guess.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Literal, get_args

import msgspec

from ml_assets.errors import DataError
from ml_assets.storage.files import hold_lock, write_whole

Scope = Literal["predict", "search", "outcomes", "read"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True)
class Token:
    """A token that was handed out.

    Args:
        name: whose it is, or what for.
        scopes: what it may.
        sha256: of the token.
        created: ISO date.
    """

    name: str
    scopes: tuple[str, ...]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    created: str


class _Content(msgspec.Struct):
    """The content of the file."""

    tokens: tuple[Token, ...]


@dataclass(frozen=True)
class Tokens:
    """The tokens of a server.

    Args:
        path: a JSON file. One that holds no token lets nobody in; only where there is none, nobody asked for tokens.
    """

    path: Path

    def read(self) -> tuple[Token, ...] | None:
        """Return all tokens; None where there is no file.

        Scopes of another release are kept and open nothing: a token that was made for `predict` stays what it was.

        Raises:
            DataError: the file is none of tokens; nobody is let in, rather than everybody.
        """
        try:
            if not S_ISREG(self.path.stat().st_mode):  # to read a pipe is to wait
                raise DataError(f"{self.path} is no file: remove it, and add the tokens anew")
            return msgspec.json.decode(self.path.read_bytes(), type=_Content).tokens
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, RecursionError, msgspec.MsgspecError) as error:
            raise DataError(
                f"{self.path} is no file of tokens ({error}): restore it, or remove it and add them anew"
            ) from error

    def last_change(self) -> object:
        """A value that changes with the file or its permissions; None where `read` finds no file."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return str(error)
        return stat.st_ctime_ns, stat.st_ino, stat.st_size

    def add(self, name: str, scopes: Sequence[str], created: str) -> str:
        """Make a token and return it, once: only its hash is kept.

        Raises:
            DataError: the name is taken or no name, or a scope is none.
        """
        if not re.fullmatch(r"[A-Za-z0-9_.@-]{1,60}", name):
            raise DataError(f"token name {name!r}: write letters, digits and _ . @ -, at most 60")
        if wrong := set(scopes) - set(SCOPES) or not scopes:
            raise DataError(f"scopes {wrong or 'of nothing'}: choose some of {', '.join(SCOPES)}")
        secret = f"mla_{secrets.token_urlsafe(32)}"
        with self._locked():
            existing = self.read() or ()
            if any(token.name == name for token in existing):
                raise DataError(f"there is a token {name!r} already: remove it first, or choose another name")
            self._write((*existing, Token(name, tuple(scopes), digest(secret), created)))
        return secret

    def remove(self, name: str) -> int:
        """Take a token back; servers refuse it a second later.

        Returns:
            How many are left. With none of them servers let nobody in.

        Raises:
            DataError: there is none of that name.
        """
        with self._locked():
            existing = self.read() or ()
            if all(token.name != name for token in existing):
                raise DataError(f"no token {name!r}: there are {', '.join(token.name for token in existing) or 'none'}")
            left = tuple(token for token in existing if token.name != name)
            self._write(left)
        return len(left)

    def _locked(self) -> AbstractContextManager[None]:
        return hold_lock(self.path.with_suffix(".lock"))

    def _write(self, tokens: Sequence[Token]) -> None:
        content = json.dumps({"tokens": [asdict(token) for token in tokens]}, indent=1)
        write_whole(self.path, content, mode=0o600)


def digest(secret: str) -> str:
    """The SHA-256 of a token.

    >>> digest("mla_example")[:12]
    'c159102923fd'
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def find_token(tokens: Sequence[Token], secret: str) -> Token | None:
    """Find the entry of a token. All are compared, each in constant time, so the duration reveals nothing."""
    wanted_digest, match = digest(secret), None
    for token in tokens:
        if hmac.compare_digest(token.sha256, wanted_digest):
            match = token
    return match
