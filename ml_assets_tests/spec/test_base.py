import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from ml_assets.spec.base import Decides, Declaration, Duration, duration
from ml_assets.spec.model import ModelSpec

UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


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
    with pytest.raises(ValueError, match=r"write a positive number and a unit \(45s, 30m, 12h, 90d, 2w\)"):
        duration(text)


def test_a_field_that_is_misspelt_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValidationError, match="unknown field 'horizn': did you mean 'horizon'"):
        Sample.model_validate({"horizn": "90d"})
    with pytest.raises(ValidationError, match="unknown field 'zzz': known fields are horizon, lookback"):
        Sample.model_validate({"zzz": 1})


def test_a_declaration_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Sample().horizon = timedelta(days=1)  # type: ignore[misc]


class Named(Declaration):
    """A declaration with text and a number in a nested one."""

    files: str = ""
    rows: int = 0
    parts: tuple[Sample, ...] = ()
    more: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it


def test_variables_of_the_environment_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", "s3://bucket")
    monkeypatch.setenv("ROWS", "12")
    monkeypatch.setenv("HORIZON", "14d")
    found = Named.model_validate(
        {
            "files": "{{ env.BUCKET }}/{{env('YEAR', '2025')}}/*.csv",
            "rows": "{{ env.ROWS }}",
            "parts": [{"horizon": '{{ env("HORIZON") }}'}],
            "more": {"a": "{{ env.ROWS }}"},
        }
    )
    assert (found.files, found.rows, found.more) == ("s3://bucket/2025/*.csv", 12, {"a": "12"})
    assert found.parts[0].horizon == timedelta(days=14)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ env.NOT_SET_AT_ALL }}", r"NOT_SET_AT_ALL is not set: set it, or write \{\{ env\('NOT_SET_AT_ALL'"),
        ("{{ context.path }}", r"\{\{ context.path \}\} is not understood: write \{\{ env.NAME \}\}"),
        ("{{ env['X'] }}", "is not understood"),
    ],
)
def test_a_template_that_has_no_value_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Named.model_validate({"files": text})


def _walk(kind: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """Every field of a declaration and of those that it holds, with what it decides."""
    for name, field in kind.model_fields.items():
        mark = next((each.what for each in field.metadata if isinstance(each, Decides)), None)
        nested = [part for part in _parts(field.annotation) if issubclass(part, BaseModel)]
        if mark or not nested:
            yield f"{path}{name}", mark or "fit"
        for part in () if mark else nested:
            yield from _walk(part, f"{path}{name}.")


def _parts(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _parts(part)


SPEC = ModelSpec.model_validate({
    "entity": "a", "cadence": {"start": "2025-01-05"}, "label": {"sql": "label.sql", "horizon": "14d"},
    "features": ["f"], "text": {"columns": ["t"]}, "search": {"C": {"low": 1, "high": 2}},
    "estimator": {"type": "x.y", "C": 1},
})  # fmt: skip


@pytest.mark.parametrize(("path", "what"), sorted(_walk(ModelSpec)))
def test_every_field_of_a_model_decides_the_fit_unless_it_says_otherwise(path: str, what: str) -> None:
    """What a fit depends on is what the fields say of themselves: one that nobody thought of fits anew."""
    for text, holds in ((SPEC.trains_on, what == "fit"), (SPEC.judged_on, what in {"fit", "evaluation"})):
        found: Any = json.loads(text)
        *outer, name = path.split(".")
        for part in outer:
            found = found.get(part) or {}
        assert (name in found) == holds, path


def test_only_what_is_known_to_decide_nothing_of_a_fit_is_marked() -> None:
    marked: dict[str, set[str]] = {}
    for path, what in _walk(ModelSpec):
        marked.setdefault(what, set()).add(path)
    assert marked["rows"] == {"entity", "cadence", "population", "label.sql", "label.lookback"}
    assert marked["evaluation"] == {"slices", "costs", "serve.review_below"}
    assert marked["nothing"] == {
        "card", "documents", "fairness", "reasons", "release", "sample", "ship_when", "schedule", "freshness",
        "description", "owners", "serve.bands",
        "serve.max_rows", "serve.retention", "serve.consistency", "serve.review_unseen", "serve.review_words",
    }  # fmt: skip


def test_parameters_of_estimator_and_search_decide_the_fit() -> None:
    fits: list[dict[str, Any]] = [{"estimator": {"type": "x.y", "C": 2}}, {"search": {"C": {"low": 1, "high": 3}}}]
    others: list[dict[str, Any]] = [{"slices": ["kind"]}, {"costs": {"false_positive": 3}}, {"description": "x"}]
    for changes in fits:
        assert ModelSpec.model_validate(SPEC.model_dump() | changes).trains_on != SPEC.trains_on
    for changes in others:
        assert ModelSpec.model_validate(SPEC.model_dump() | changes).trains_on == SPEC.trains_on
