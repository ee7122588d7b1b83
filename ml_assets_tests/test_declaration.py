from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from ml_assets.declaration import Declaration, Duration, duration

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Sample(Declaration):
    lookback: Duration = Field(timedelta(days=1), description="How far back")
    horizon: Duration | None = None


@given(st.integers(1, 10_000), st.sampled_from(sorted(UNITS)))
def test_a_duration_is_a_number_of_units_and_survives_json(number: int, unit: str) -> None:
    found = Sample.model_validate({"lookback": f"{number}{unit}"})
    assert found.lookback == number * UNITS[unit]
    assert Sample.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    "text", ["", "d", "90", 90, "-3d", "0d", "1.5h", "90 days", "3y", "90d ago", None, [], "99999999999d"]
)
def test_what_is_no_duration_is_refused_with_what_would_be_right(text: object) -> None:
    with pytest.raises(ValueError, match=r"write a positive number and a unit \(30m, 12h, 90d, 2w\)"):
        duration(text)


def test_a_field_that_is_misspelt_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValidationError, match="unknown field 'horizn': did you mean 'horizon'"):
        Sample.model_validate({"horizn": "90d"})
    with pytest.raises(ValidationError, match="unknown field 'zzz': known fields are horizon, lookback"):
        Sample.model_validate({"zzz": 1})


def test_a_declaration_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Sample().horizon = timedelta(days=1)  # type: ignore[misc]
