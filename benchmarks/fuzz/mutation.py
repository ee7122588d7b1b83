"""Good bytes, values and names made bad, one step or a few at a time; the same seed makes the same ones."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

Chance = random.Random
"""What decides; every function here is a pure one of it."""

EDGES: tuple[Any, ...] = (
    None, True, False, 0, -0.0, 1, -1, 0.1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**400, 5e-324,
    1e38, 3.5e38, -3.5e38, 1.7e308, "", " ", "0", "1", "null", "NaN", "é", "e\u0301", "\u202e", "\ufeff", "\0", "a\0b",
    "\x1b[31m", "'; --", "</script>", "x" * 300, "x" * 301, "\U0001f600" * 299, "\ud800", "\udfff\ud800", [], {}, [[]],
    [None], {"": None}, "2026-02-30", "0000-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59.999999999Z", "2026-11-22T08:00:60Z", "2026-11-22T08:00:00+99:99", "../../etc/passwd",
    "churn", "churn.", "churn.01a20229-5b74-7a6c-80cf-ea8f9f794b59", "label", "click", "\U0010ffff", "%00", "%s",
)  # fmt: skip
"""Values at the ends of types, alphabets and calendars."""

RAW = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"-", b"01", b"+1", b"0x10", b"1_000", b"'a'",
    b'"\xff"', b'"\\ud800"', b'"\\u0000"', b"9" * 500, b"[" * 3000, b'{"a":' * 3000, b"/*a*/1", b"1,", b"\xef\xbb\xbf1",
    b'"\n"', b"nul", b"0." + b"1" * 400, b"1" + b"0" * 309,
)  # fmt: skip
"""Tokens that are no JSON, or barely."""

BYTES = (
    b"\0", b"\xff", b"\xfe\xff", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b'"', b"'", b",", b";", b"\t", b"{", b"}", b"[",
    b"]",
    b"\\", b"\\u", b"<", b">", b"=", b"%", b":", b"-", b"1e999", b"nan", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
    b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0", b"%PDF-", b"PK\x03\x04", b"PAR1", b"\x1f\x8b",
)  # fmt: skip
"""Bytes that mean something to some reader."""

_MARK = "\x02{}\x02"


def chance(seed: object) -> Chance:
    """A source of decisions that are the same for the same seed."""
    return random.Random(repr(seed))  # noqa: S311 - nothing is kept secret by it


def spoilt(by: Chance, good: bytes, others: Sequence[bytes] = BYTES) -> bytes:
    """Bytes after one to four steps.

    Args:
        by: what decides.
        good: where it begins.
        others: what may be put in.
    """
    found = bytearray(good)
    for _ in range(by.choice((1, 1, 1, 2, 4))):
        start = by.randrange(len(found) + 1)
        end = min(len(found), start + by.choice((1, 1, 2, 4, 16, 256)))
        by.choice(_STEPS)(by, found, start, end, others)
    return bytes(found)


_Step = Callable[[Chance, bytearray, int, int, Sequence[bytes]], None]


def _flip(by: Chance, found: bytearray, start: int, end: int, others: Sequence[bytes]) -> None:  # noqa: ARG001 - as all steps
    for at in range(start, min(end, start + 4)):
        found[at] ^= 1 << by.randrange(8)


def _put(by: Chance, found: bytearray, start: int, end: int, others: Sequence[bytes]) -> None:  # noqa: ARG001
    found[start:start] = by.choice(others)


def _over(by: Chance, found: bytearray, start: int, end: int, others: Sequence[bytes]) -> None:
    found[start:end] = by.choice(others)


def _drop(by: Chance, found: bytearray, start: int, end: int, others: Sequence[bytes]) -> None:  # noqa: ARG001
    del found[start:end]


def _double(by: Chance, found: bytearray, start: int, end: int, others: Sequence[bytes]) -> None:  # noqa: ARG001
    found[start:start] = bytes(found[start:end]) * by.choice((1, 1, 2, 50))


def _cut(by: Chance, found: bytearray, start: int, end: int, others: Sequence[bytes]) -> None:  # noqa: ARG001
    del found[start:]


def _any(by: Chance, found: bytearray, start: int, end: int, others: Sequence[bytes]) -> None:  # noqa: ARG001
    found[start:end] = by.randbytes(end - start)


_STEPS: tuple[_Step, ...] = (_flip, _put, _over, _drop, _double, _cut, _any)


def spoilt_json(by: Chance, good: Any) -> bytes:  # noqa: ANN401 - JSON
    """A JSON value after one to three steps, written in one of several ways; what comes out need not be JSON."""
    whole = [_copied(good)]
    tokens: list[bytes] = []
    for _ in range(by.choice((1, 1, 1, 2, 3))):
        holder, key = by.choice(_places(whole))
        _exchange(by, holder, key, good, tokens)
    text = json.dumps(whole[0], ensure_ascii=by.random() < 0.5, indent=by.choice((None, None, None, 1)))
    body = text.encode("utf-8", "surrogatepass")
    for at, token in enumerate(tokens):
        body = body.replace(json.dumps(_MARK.format(at)).encode(), token)
    return spoilt(by, body) if by.random() < 0.1 else body


def _exchange(by: Chance, holder: Any, key: Any, good: Any, tokens: list[bytes]) -> None:  # noqa: ANN401 - JSON
    """One step, at one place of a value."""
    step = by.randrange(10)
    if step < 5:
        holder[key] = _copied(by.choice(EDGES))
    elif step == 5:
        tokens.append(by.choice(RAW))
        holder[key] = _MARK.format(len(tokens) - 1)
    elif step == 6 and isinstance(holder, dict):
        del holder[key]
    elif step == 7 and isinstance(holder, dict):
        holder[str(by.choice(EDGES))] = _copied(holder[key])
    elif step == 8:
        others, other = by.choice(_places([good]))
        holder[key] = _copied(others[other])
    elif isinstance(holder, list) and holder:
        holder.extend(_copied(holder[key]) for _ in range(by.choice((1, 2, 2000))))
    else:
        holder[key] = [holder[key]] if by.random() < 0.5 else {"a": holder[key]}


def _copied(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def _places(plain: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - JSON
    """Each place of a value, as what holds it and its key there."""
    places: list[tuple[Any, Any]] = []
    _add_places(plain, places)
    return places


def _add_places(holder: Any, places: list[tuple[Any, Any]]) -> None:  # noqa: ANN401 - JSON
    for key in [*holder] if isinstance(holder, dict) else range(len(holder)):
        places.append((holder, key))
        if isinstance(holder[key], dict | list):
            _add_places(holder[key], places)


def name(by: Chance, ending: str = "") -> bytes:
    """The name of a file as a stranger may choose it: one that the file system takes."""
    kept = by.choice(_NAMES)
    if by.random() < 0.3:
        kept = spoilt(by, kept)
    found = kept.replace(b"/", b"_").replace(b"\0", b"0")[: 240 - len(ending)] + ending.encode()
    return found if found not in {b"", b".", b".."} else b"_"


_NAMES = (
    b"a", b"-rf", b" ", b"a b", b"a\nb", b"a\tb", b"\xff\xfe", b"\xc3", "é".encode(), "e\u0301".encode(),
    "\u202etxt".encode(),
    b"*", b"?", b"[a]", b"{a,b}", b"%00", b"%2e%2e", b"a%20b", b"a#b", b"a?b", b"a'b", b'a"b', b"a`b", b"a|b", b"a\\b",
    b"$(id)",
    b"<b>", b"![x](y)", b"a=1", b"_delta_log", b".hidden", b"_x", b"..a", b"~", b"CON", b"x" * 200,
    "\U0001f600".encode() * 50,
    b"a.csv", b"a.csv.gz", b"a.tmp", b"a.parquet", b"s3:", b"file:", b"a\x1b[31m", b"a\x7f", b"a:b", b"a;b", b"a\r",
)  # fmt: skip
