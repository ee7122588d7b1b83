"""Extractors: functions of the project that find facts in the text of a document.

A source names one as `extract: package.module:function`. It takes the text and returns a dataclass; each field of that
is a column of the source, and its annotation says the type:

    @dataclass(frozen=True)
    class Invoice:
        total: float | None
        dates: tuple[date, ...]

    def invoice(text: str) -> Invoice: ...

The name is of a declaration or of the manifest of a release, never of a request. The function is called in a sandbox.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from ml_assets.documents.document import UnreadableError
from ml_assets.errors import DeclarationError, shorten
from ml_assets.spec.function_path import import_function

_KINDS = (bool, int, float, str, date, datetime)


@dataclass(frozen=True)
class Extractor:
    """A function of a text, and the columns that it fills.

    Args:
        path: `package.module:function`.
        function: takes a text, returns an instance of `facts`.
        facts: the dataclass that the function's annotation names.
        columns: name → type of a value, and whether it is a list of such values; in the order of the dataclass.
    """

    path: str
    function: Callable[[str], Any]
    facts: type
    columns: Mapping[str, tuple[type, bool]]

    def values(self, answer: object) -> dict[str, Any]:
        """The facts of a document by column, from what its sandbox answered, which may be anything.

        Raises:
            UnreadableError: `extractor`: it is not what the annotations say.
        """
        try:
            facts: object = msgspec.convert(answer, self.facts)
        except (msgspec.ValidationError, TypeError) as error:
            raise self.failure(error) from error
        return {name: getattr(facts, name) for name in self.columns}

    def failure(self, error: Exception) -> UnreadableError:
        """The error for a document over which the function failed."""
        why = shorten(" ".join(f"{type(error).__name__}: {error}".split()), 200)
        return UnreadableError(
            "extractor", f"{self.path} fails on the document ({why}): correct it, then `ml-assets data retry`"
        )


@cache
def load_extractor(path: str) -> Extractor:
    """The extractor of a name.

    Raises:
        DeclarationError: it cannot be imported, or its annotations name no columns.
    """
    function = import_function(path, "extract")
    try:
        facts: Any = get_type_hints(function).get("return")
        hints = get_type_hints(facts) if facts else {}
    except (NameError, TypeError) as error:
        raise _without_columns(path, f"cannot be resolved ({error})") from error
    if not (isinstance(facts, type) and is_dataclass(facts)):
        raise _without_columns(path, f"is {shorten(repr(facts))}")
    return Extractor(
        path, function, facts, {each.name: _column(path, each.name, hints[each.name]) for each in fields(facts)}
    )


def _column(path: str, name: str, annotation: Any) -> tuple[type, bool]:  # noqa: ANN401 - of any author
    """The type of a column, and whether it holds lists: of `X`, `X | None`, `tuple[X, ...]`, `list[X]`."""
    options = [annotation]
    if get_origin(annotation) in (Union, UnionType):
        options = [each for each in get_args(annotation) if each is not NoneType]
    many = len(options) == 1 and get_origin(options[0]) in (tuple, list)
    inner = [each for each in get_args(options[0]) if each is not Ellipsis] if many else options
    if len(inner) != 1 or inner[0] not in _KINDS:
        raise DeclarationError(
            f"extract names {path!r}, whose column {name!r} is of type {annotation}: use "
            f"{', '.join(kind.__name__ for kind in _KINDS)}, one of them or None, or a tuple of one (tuple[date, ...])"
        )
    return inner[0], many


def _without_columns(path: str, why: str) -> DeclarationError:
    return DeclarationError(
        f"extract names {path!r}, whose return annotation {why}: name a dataclass, whose fields are the columns"
    )
