"""`package.module:function`: how a declaration names a function of the project's own."""

import re
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

from pydantic import AfterValidator

from ml_assets.errors import DeclarationError

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def _function_path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError(f"{text!r} does not name a function: write package.module:function")
    return text


FunctionPath = Annotated[str, AfterValidator(_function_path)]
"""`package.module:function`; it is imported when it is needed, never while the definitions load."""


def import_function(path: str, field: str) -> Callable[..., Any]:
    """The function that a field of a declaration names.

    >>> import_function("math:sqrt", "extract")(9.0)
    3.0

    Raises:
        DeclarationError: it cannot be imported, or is something else.
    """
    module, _, name = path.partition(":")
    try:
        function = getattr(import_module(module), name)
    except Exception as error:  # whatever a module of the project raises while it is imported
        raise _wrong(field, path, f"cannot be imported ({error})") from error
    if not callable(function):
        raise _wrong(field, path, f"is a {type(function).__name__}")
    imported: Callable[..., Any] = function
    return imported


def _wrong(field: str, path: str, why: str) -> DeclarationError:
    return DeclarationError(f"{field} names {path!r}, which {why}: write package.module:function")
