"""Bodies of JSON: decoded once by msgspec, and a second time, key by key, only where something may be wrong."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NoReturn, TypeVar

import msgspec

from ml_assets.serving.problem import Problem

T = TypeVar("T")

_PATH = re.compile(r" - at `(key in )?(.+)`$", re.DOTALL)
_LACKING = re.compile(r"missing required field `(.+)`$", re.DOTALL)
_INDEX = re.compile(r"\[(\d+)\]")
_DIGITS = 400  # of a whole number; what has more is beyond every float, and slow to read


class Decoder(Generic[T]):
    """Decodes bodies of one type.

    msgspec is fast, and lets the last of two equal keys win without a word. Each key is followed by a colon, so a body
    with as many colons as it has to have keys repeats none; any other body is parsed again to see.

    Args:
        kind: a struct of msgspec.
        remedy: of what does not fit the type.
        keys: how many keys a body has to have that was decoded to this; without it every body is parsed again.
    """

    def __init__(self, kind: Any, remedy: str, keys: Callable[[T], int] | None = None) -> None:  # noqa: ANN401 - a type
        self._kind = kind
        self._decode: Callable[[bytes], T] = msgspec.json.Decoder(kind).decode
        self._keys = keys
        self._remedy = remedy

    def decode(self, body: bytes) -> T:
        """The content of a body. NaN, which is not JSON, is a missing value: clients in Python write it.

        Raises:
            Problem: what is wrong with it, where, and what would be right.
        """
        try:
            content = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self.convert(parse_json(body))
        if self._keys is None or body.count(b":") > self._keys(content):
            parse_json(body)
        return content

    def convert(self, plain: Any, place: Callable[[str], str] = str) -> T:  # noqa: ANN401 - whatever JSON holds
        """The content of a body that was parsed already.

        Args:
            plain: as `parse_json` returns it.
            place: where in the body a path within `plain` is.

        Raises:
            Problem: it does not fit the type.
        """
        try:
            content: T = msgspec.convert(plain, self._kind)
        except (msgspec.ValidationError, RecursionError) as error:
            raise self._refusal(str(error), plain, place) from None
        return content

    def _refusal(self, message: str, plain: object, place: Callable[[str], str]) -> Problem:
        where = _PATH.search(message)
        field, what = where[2] if where else "$", _PATH.sub("", message)
        if missing := _LACKING.search(what):
            field = f"{field}.{missing[1]}"
        return self.refusal(what, field, place(field), value_at(plain, field))

    def refusal(self, what: str, field: str, place: str, value: object) -> Problem:  # noqa: ARG002 - for those derived
        """The error response of a value that does not fit the type.

        Args:
            what: the message of msgspec.
            field: the path of the value in what was converted.
            place: its path in the body.
            value: what stands there; UNSET where nothing, an object or a list does.
        """
        return Problem(422, "invalid-field", what, self._remedy, field=place, value=value)


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Parse a body into Python's own objects; NaN is None, and Infinity a number that no type takes.

    Raises:
        Problem: it is not JSON, or an object has a key twice.
    """
    repeated: list[_Repeated] = []

    def unique(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            members = _Repeated(pairs)
            repeated.append(members)
        return members

    try:
        text = body.decode()
        plain = json.loads(text, object_pairs_hook=unique, parse_int=_whole, parse_constant=_CONSTANTS.__getitem__)
        if "\\u" in text:  # half of a surrogate pair, which JSON can hold and no text can
            json.dumps(plain, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise malformed_json(error if body.strip() else ValueError("the body is empty")) from None
    if repeated:
        _refuse(repeated[-1], plain)
    return plain


def malformed_json(error: Exception) -> Problem:
    """The refusal of a body that is not JSON."""
    why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return Problem(400, "malformed-json", why, "send UTF-8 JSON; a missing value is null", field="$")


def value_at(plain: Any, path: str) -> object:  # noqa: ANN401 - whatever JSON holds
    """The value at a path; UNSET where nothing, an object or a list stands. Keys may hold dots and brackets.

    >>> value_at({"instances": [{"n": 7}]}, "$.instances[0].n")
    7
    """
    rest = path[1:]
    while rest:
        if isinstance(plain, dict):
            keys = [key for key in plain if rest.startswith(f".{key}")]
            if not keys:
                return msgspec.UNSET
            key = max(keys, key=len)
            plain, rest = plain[key], rest[len(key) + 1 :]
        elif isinstance(plain, list) and (step := _INDEX.match(rest)) and int(step[1]) < len(plain):
            plain, rest = plain[int(step[1])], rest[step.end() :]
        else:
            return msgspec.UNSET
    return msgspec.UNSET if isinstance(plain, dict | list) else plain


class _Repeated(dict[str, Any]):
    """An object with a key twice."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.key = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        self.values_of_key = [value for key, value in pairs if key == self.key]


def _refuse(repeated: _Repeated, plain: object) -> NoReturn:
    values = " and as ".join(map(_shown, repeated.values_of_key[:3]))
    raise Problem(
        422, "repeated-key", f"{repeated.key!r} stands {len(repeated.values_of_key)} times in one object: as {values}",
        "send it once", field=f"{_path(plain, repeated) or '$'}.{repeated.key}", value=repeated.key,
    )  # fmt: skip


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "{…}" if isinstance(value, dict) else "[…]"
    return json.dumps(value, ensure_ascii=False)[:100]


def _path(plain: object, wanted: object) -> str | None:
    """Where an object stands; None where it does not."""
    waiting: list[tuple[str, object]] = [("$", plain)]
    while waiting:
        path, each = waiting.pop()
        if each is wanted:
            return path
        if isinstance(each, dict):
            waiting += [(f"{path}.{key}", value) for key, value in each.items()]
        elif isinstance(each, list):
            waiting += [(f"{path}[{at}]", value) for at, value in enumerate(each)]
    return None


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float(digits)


_CONSTANTS: Mapping[str, float | None] = {"NaN": None, "Infinity": math.inf, "-Infinity": -math.inf}
