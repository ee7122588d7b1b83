"""Great Expectations over Arrow tables: which rows break what.

The library takes seconds to import, so nothing here imports it before there is something to check.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ml_assets.errors import DeclarationError
from ml_assets.ingest.casts import TYPES

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ml_assets.ingest.schema import Shape
    from ml_assets.spec.source import Expectation, SourceSpec

_EXAMPLES = 3
# These compare a row with the others of its file.
_COMPARES_ROWS = ("unique", "increasing", "decreasing", "z_scores", "outliers", "of_type", "type_list")
_TIMES = ("min_value", "max_value", "value_set")


@dataclass(frozen=True)
class ExpectationResult:
    """What one expectation says of one table.

    Args:
        success: it holds (for a row-level one: as often as `mostly` demands).
        elements: values looked at, nulls left out; 1 for an aggregate.
        rows: the rows that break it, from 0; empty for an aggregate.
        unexpected: how many values break it.
        examples: a few of them, or the observed figure of an aggregate, as text.
    """

    success: bool
    elements: int
    rows: "NDArray[np.int64]"
    unexpected: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Suite:
    """The expectations of a source, as Great Expectations runs them.

    Args:
        expectations: as declared.
        row_level: for each, whether it names the rows that break it.
        row_wise: for each, whether a row is judged without the other rows of its file.
        built: the library's own objects.
        batches: the library's door for data frames.
    """

    source: str
    expectations: tuple["Expectation", ...]
    row_level: tuple[bool, ...]
    row_wise: tuple[bool, ...]
    built: tuple[Any, ...]
    batches: Any

    def check(self, rows: pa.Table, chosen: Sequence[int]) -> dict[int, ExpectationResult]:
        """What the `chosen` expectations (by number) say of `rows`.

        Raises:
            DeclarationError: one cannot be evaluated, because it does not suit the column's type for example.
        """
        several = [nr for nr in chosen if len(self.expectations[nr].columns) > 1]
        one = [nr for nr in chosen if nr not in several]
        return {**self._check(lambda: _frame(rows), one), **self._check(lambda: _compared(rows), several)}

    def _check(self, frame: "Callable[[], pd.DataFrame]", chosen: Sequence[int]) -> dict[int, ExpectationResult]:
        import great_expectations as gx

        if not chosen:
            return {}
        suite = gx.ExpectationSuite(name=self.source, expectations=[self.built[nr] for nr in chosen])
        result_format = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
        with _quiet():
            batch = self.batches.get_batch(batch_parameters={"dataframe": frame()})
            answer = batch.validate(suite, result_format=result_format)
        # The library reorders: each result says by its meta to which expectation it belongs.
        numbered = {int(result.expectation_config.meta["nr"]): result for result in answer.results}
        return {nr: self._found(nr, numbered[nr]) for nr in chosen}

    def _found(self, nr: int, result: Any) -> ExpectationResult:  # noqa: ANN401 - great_expectations has no types
        if error := _error(result.exception_info):
            raise DeclarationError(
                f"source {self.source}: {self.expectations[nr].name} cannot be evaluated ({error}): "
                "choose an expectation that suits the column's type"
            )
        values = result.result
        success = bool(result.success)
        if not self.row_level[nr]:
            observed = (str(values["observed_value"]),) if "observed_value" in values else ()
            return ExpectationResult(success, 1, np.array([], np.int64), int(not success), observed)
        elements = int(values["element_count"]) - int(values.get("missing_count") or 0)
        rows = np.sort(np.array(values.get("unexpected_index_list") or [], np.int64))
        examples = tuple(str(value) for value in values["partial_unexpected_list"][:_EXAMPLES])
        return ExpectationResult(success, elements, rows, int(values["unexpected_count"]), examples)


def holds_mostly(expectation: "Expectation", elements: int, unexpected: int) -> bool:
    """Whether a row-level expectation holds often enough: the library's own rule, over batches and files."""
    demanded = expectation.kwargs.get("mostly")
    share = (elements - unexpected) / elements if elements else 1.0
    return share >= (1.0 if demanded is None else float(demanded))


def build_suite(spec: "SourceSpec", shape: "Shape") -> Suite:
    """The expectations of a source, checked against the library's names and the table's columns.

    Raises:
        DeclarationError: an unknown type, keyword or column, or a quarantine that no row can be sent to.
    """
    with _quiet():
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral", project_config=_project())
        asset = context.data_sources.add_pandas("files").add_dataframe_asset("rows")
        batches = asset.add_batch_definition_whole_dataframe("all")
        kinds = [_implementation(spec, expectation) for expectation in spec.expectations]
        built = [_build(spec, nr, kind, shape) for nr, kind in enumerate(kinds)]
    level = [_row_level(kind, expectation) for kind, expectation in zip(kinds, spec.expectations, strict=True)]
    for expectation, by_row in zip(spec.expectations, level, strict=True):
        if expectation.severity == "quarantine" and not by_row:
            raise DeclarationError(
                f"source {spec.name}: {expectation.name} judges the whole file and so sends no row to "
                "the quarantine: use severity warn or block"
            )
    wise = [by_row and _row_wise(expectation) for expectation, by_row in zip(spec.expectations, level, strict=True)]
    return Suite(spec.name, tuple(spec.expectations), tuple(level), tuple(wise), tuple(built), batches)


def _frame(rows: pa.Table) -> "pd.DataFrame":
    """The rows as pandas, no value by way of a double: an integer or a boolean beside a null stays what it is."""
    import pandas as pd

    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    columns = {
        name: column.to_pandas(types_mapper=nullable.get if column.null_count else None, date_as_object=False)
        for name, column in zip(rows.column_names, rows.columns, strict=True)
    }
    return pd.DataFrame(columns)


def _compared(rows: pa.Table) -> "pd.DataFrame":
    """The rows for what compares columns: the library cannot ask whether a null is larger, and no NaN is."""
    frame = _frame(rows)
    for name in frame.columns:
        if frame[name].dtype.name in ("Int64", "boolean"):
            frame[name] = frame[name].astype(object).where(frame[name].notna(), np.nan)
    return frame


def _project() -> Any:  # noqa: ANN401 - great_expectations has no types
    """A project in memory: nothing on disk, nothing sent home, no progress bars in the logs."""
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    return DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        analytics_enabled=False,
    )


def _implementation(spec: "SourceSpec", expectation: "Expectation") -> Any:  # noqa: ANN401 - no types
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    try:
        return get_expectation_impl(expectation.type)
    except ExpectationNotFoundError as error:
        near = get_close_matches(expectation.type, list_registered_expectation_implementations(), n=1)
        hint = f", did you mean {near[0]}" if near else ""
        raise DeclarationError(
            f"source {spec.name}: Great Expectations has no {expectation.type}{hint}? "
            "https://greatexpectations.io/expectations lists them"
        ) from error


def _build(spec: "SourceSpec", nr: int, kind: Any, shape: "Shape") -> Any:  # noqa: ANN401 - no types
    expectation = spec.expectations[nr]
    names = list(shape.fields)
    for column in expectation.columns if expectation.type != "expect_column_to_exist" else []:
        if column not in shape.fields and not expectation.type.startswith("expect_table_"):
            near = get_close_matches(column, names, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise DeclarationError(
                f"source {spec.name}: {expectation.name} names no column of the table: {hint}it has {', '.join(names)}"
            )
    kwargs = _timed(expectation, shape)
    meta = {**(kwargs.pop("meta", None) or {}), "nr": nr}
    try:
        return kind(**kwargs, meta=meta)
    except (ValueError, TypeError) as error:  # pydantic's refusal is a ValueError
        what = "; ".join(line.strip() for line in str(error).splitlines()[1:]) or str(error)
        raise DeclarationError(
            f"source {spec.name}: {expectation.name} does not take these keywords ({what}): "
            f"see https://greatexpectations.io/expectations/{expectation.type}"
        ) from error


def _timed(expectation: "Expectation", shape: "Shape") -> dict[str, Any]:
    """The keywords with dates as times where the column holds times: the library cannot compare the two."""
    kwargs = expectation.kwargs
    if not any(shape.fields.get(column) in (TYPES["timestamp"], TYPES["date"]) for column in expectation.columns):
        return kwargs
    return {key: _as_time(value) if key in _TIMES else value for key, value in kwargs.items()}


def _as_time(value: object) -> object:
    if isinstance(value, list):
        return [_as_time(part) for part in value]
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return datetime.combine(value, time()) if isinstance(value, date) else value


def _row_level(kind: Any, expectation: "Expectation") -> bool:  # noqa: ANN401 - no types
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )

    maps = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
    return issubclass(kind, maps) and not expectation.type.endswith(("of_type", "type_list"))


def _row_wise(expectation: "Expectation") -> bool:
    one = len(expectation.columns) == 1 and "column" in expectation.kwargs
    return one and "row_condition" not in expectation.kwargs and not any(x in expectation.type for x in _COMPARES_ROWS)


def _error(info: dict[str, Any]) -> str:
    parts = [info] if "raised_exception" in info else list(info.values())
    return "; ".join(str(part["exception_message"]) for part in parts if part.get("raised_exception"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Neither the library's log lines nor its warnings about its own dependencies and API reach the user."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)
