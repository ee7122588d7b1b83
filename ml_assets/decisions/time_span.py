"""Spans of time in the words of a sentence."""

import math
from datetime import timedelta

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def write_span(span: timedelta) -> str:
    """The two largest units of a span of time, the smaller one begun.

    >>> [write_span(timedelta(seconds=number)) for number in (561_700, 61.4, 7_200, 0)]
    ['6 d 13 h', '1 min 2 s', '2 h', '0 s']
    """
    seconds = math.ceil(span.total_seconds())
    at = next((at for at, (_, size) in enumerate(_UNITS) if seconds >= size), len(_UNITS) - 1)
    smallest = _UNITS[min(at + 1, len(_UNITS) - 1)][1]
    rest = math.ceil(seconds / smallest) * smallest
    words = []
    for name, size in _UNITS[max(0, at - 1) : at + 2]:  # what is rounded up may be one of the unit above
        number, rest = divmod(rest, size)
        words += [f"{number} {name}"] * bool(number)
    return " ".join(words) or "0 s"
