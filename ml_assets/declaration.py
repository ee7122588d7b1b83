"""What every declaration in a `defs.yaml` shares: strict fields, durations, and errors that say what is right."""

import re
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, model_validator

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: object) -> timedelta:
    """`90d`, `12h`, `2w`, `30m` as a timedelta.

    Raises:
        ValueError: for anything else, with what would be right.
    """
    if isinstance(text, timedelta):
        return text
    match = re.fullmatch(r"(\d+)\s*([mhdw])", str(text))
    wrong = f"{text!r} is no duration: write a positive number and a unit (30m, 12h, 90d, 2w)"
    if not match or not int(match[1]):
        raise ValueError(wrong)
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise ValueError(wrong) from error


def _written(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    unit, size = next((u, s) for u, s in (("d", 86400), ("h", 3600), ("m", 60)) if seconds % s == 0)
    return f"{seconds // size}{unit}"


Duration = Annotated[timedelta, BeforeValidator(duration), PlainSerializer(_written)]


class Declaration(BaseModel):
    """A strict, immutable piece of a `defs.yaml`; an unknown field is refused with the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, values: Any) -> Any:  # noqa: ANN401 - whatever the YAML holds
        if isinstance(values, dict) and cls.model_config.get("extra") == "forbid":
            for field in values.keys() - cls.model_fields.keys():
                near = get_close_matches(str(field), cls.model_fields, n=1)
                known = ", ".join(sorted(cls.model_fields))
                meant = f"did you mean {near[0]!r}? " if near else ""
                raise ValueError(f"unknown field {field!r}: {meant}known fields are {known}")
        return values
