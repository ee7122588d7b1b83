"""What every declaration in a `defs.yaml` shares: strict fields, durations, and errors that say what is right."""

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, model_validator

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: object) -> timedelta:
    """`90d`, `12h`, `2w`, `30m`, `45s` as a timedelta.

    Raises:
        ValueError: for anything else, with what would be right.
    """
    if isinstance(text, timedelta):
        return text
    match = re.fullmatch(r"(\d+)\s*([smhdw])", str(text))
    wrong = f"{text!r} is no duration: write a positive number and a unit (45s, 30m, 12h, 90d, 2w)"
    if not match or not int(match[1]):
        raise ValueError(wrong)
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise ValueError(wrong) from error


def _written(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    unit, size = next((u, s) for u, s in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if seconds % s == 0)
    return f"{seconds // size}{unit}"


Duration = Annotated[timedelta, BeforeValidator(duration), PlainSerializer(_written)]


_TEMPLATE = re.compile(r"\{\{(.*?)\}\}")
_VARIABLE = re.compile(r"""\s*env(?:\.(\w+)|\(\s*(['"])(\w+)\2\s*(?:,\s*(['"])(.*?)\4\s*)?\))\s*""")


def resolve_environment(value: Any) -> Any:  # noqa: ANN401 - whatever the YAML holds
    """The value with each `{{ env.NAME }}` and `{{ env('NAME', 'default') }}` replaced, as in YAML of Dagster's own.

    Raises:
        ValueError: the variable is not set and there is no default, or it is another template.
    """
    if isinstance(value, str):
        return _TEMPLATE.sub(_variable, value)
    if isinstance(value, dict):
        return {key: resolve_environment(part) for key, part in value.items()}
    return [resolve_environment(part) for part in value] if isinstance(value, list) else value


def _variable(template: re.Match[str]) -> str:
    match = _VARIABLE.fullmatch(template[1])
    if not match:
        raise ValueError(
            f"{template[0]} is not understood: write {{{{ env.NAME }}}} or {{{{ env('NAME', 'default') }}}}"
        )
    name, default = match[1] or match[3], match[5]
    text = os.environ.get(name, default)  # where a YAML is read, as the settings are
    if text is None:
        raise ValueError(f"{template[0]}: {name} is not set: set it, or write {{{{ env('{name}', 'a default') }}}}")
    return text


class Declaration(BaseModel):
    """A strict, immutable piece of a `defs.yaml`; an unknown field is refused with the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, values: Any) -> Any:  # noqa: ANN401 - whatever the YAML holds
        if isinstance(values, dict) and cls.model_config.get("extra") == "forbid":
            for field in values.keys() - cls.model_fields.keys():
                near = get_close_matches(str(field), cls.model_fields, n=1)
                fields = ", ".join(sorted(cls.model_fields))
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise ValueError(f"unknown field {field!r}: {hint}known fields are {fields}")
        return resolve_environment(values)


@dataclass(frozen=True)
class Decides:
    """What a field decides: written beside its type, `Annotated[tuple[str, ...], Decides("evaluation")]`.

    A field without it decides the fit: one that was forgotten fits anew, and never passes an old model off as new.

    Args:
        what: `rows`: those of the training set, which has a fingerprint of its own; `evaluation`: what is measured of
            a fitted model; `nothing`: neither, as of a description.
    """

    what: Literal["fit", "rows", "evaluation", "nothing"]


def fields_that_decide(spec: BaseModel, *what: str) -> dict[str, Any]:
    """The fields of a declaration that decide one of `what`, as plain JSON values; those of nested ones likewise."""
    plain = spec.model_dump(mode="json")
    fields = dict(plain) if "fit" in what else {}  # extra fields, such as the parameters of an estimator, bear no mark
    for name, field in type(spec).model_fields.items():
        mark = next((each.what for each in field.metadata if isinstance(each, Decides)), None)
        value = getattr(spec, name)
        fields.pop(name, None)
        if mark is None and isinstance(value, BaseModel):
            fields[name] = fields_that_decide(value, *what)
        elif (mark or "fit") in what:
            fields[name] = plain[name]
    return fields
