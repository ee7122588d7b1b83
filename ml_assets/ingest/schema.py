"""The shape of a table, and how the rows of a file are brought into it."""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from ml_assets.errors import DataError, DeclarationError
from ml_assets.ingest.casts import TYPES, cast, type_name
from ml_assets.ingest.content import COLUMNS
from ml_assets.ingest.inference import infer
from ml_assets.ingest.remedies import name_list, question
from ml_assets.ingest.report import SchemaDrift
from ml_assets.ingest.stored_types import stored_type
from ml_assets.spec.source import FILE_COLUMN, RESERVED, SourceSpec
from ml_assets.spec.text_format import TextFormat

if TYPE_CHECKING:
    import duckdb

    from ml_assets.ingest.content import Content


@dataclass(frozen=True)
class Shape:
    """The columns of a table.

    Args:
        fields: names and types in order, without those that the lake adds.
        optional: columns that came after the first file, so a file may lack them.
    """

    fields: dict[str, pa.DataType]
    optional: frozenset[str] = frozenset()

    @property
    def schema(self) -> pa.Schema:
        """As Arrow."""
        return pa.schema(list(self.fields.items()))


@dataclass(frozen=True)
class Fit:
    """How one file becomes rows of a table.

    Args:
        shape: the table with the columns that the file adds.
        drift: verdicts that are known before a row is read: `added`, `absent`, `cast`.
        sources: the type of each column in the file; one without a value that is new to the table is left out.
        times: the columns that no row may lack.
        text: how the text of the file is written.
        waiting: columns that are new to the table and hold no value: a type by chance would stay for ever.
    """

    file: str
    shape: Shape
    drift: tuple[SchemaDrift, ...]
    sources: dict[str, pa.DataType]
    times: tuple[str, ...]
    text: TextFormat
    waiting: tuple[str, ...] = ()


def stored_shape(schema: pa.Schema, added: Iterable[str], spec: SourceSpec) -> Shape:
    """The shape of a table that exists.

    Raises:
        DeclarationError: the declaration names another type than the table holds.
    """
    fields = {field.name: stored_type(field.type) or field.type for field in schema if field.name != FILE_COLUMN}
    for column, kind in spec.kinds.items():
        if column in fields and fields[column] != TYPES[kind]:
            stored = type_name(fields[column])
            raise DeclarationError(
                f"source {spec.name}: column {column} is declared as {kind} and the table holds {stored}: "
                f"declare {stored}, or give the source a new name and ingest its files again"
            )
    return Shape(fields, frozenset(added) & fields.keys())


def fit(
    file: str,
    content: "Content",
    shape: Shape | None,
    spec: SourceSpec,
    connection: "duckdb.DuckDBPyConnection",
) -> Fit:
    """How a file is brought into a table; the first file of a table gives it its shape.

    Args:
        file: the name for reports.
        content: the file.
        shape: the table; None while there is none.
        spec: its declared types win over those of the first file.
        connection: infers the types of text.

    Raises:
        DataError: a column of the table is missing, or a name is taken.
    """
    sources = dict(zip(content.schema.names, content.schema.types, strict=True))
    table = shape or Shape({})
    _require_columns(file, sources, table, spec)
    new = [column for column in sources if column not in table.fields]
    types = _types(file, content, new, spec, connection)
    waiting = [column for column in new if types[column] is None]
    sources = {column: type_ for column, type_ in sources.items() if column not in waiting}
    joining = {column: type_ for column, type_ in types.items() if type_ is not None}
    optional = table.optional | (frozenset(joining) if shape else frozenset())
    grown = Shape({**table.fields, **joining}, optional)
    _require_width(file, grown, joining)
    for column, source in sources.items():
        _require_cast(file, column, source, grown.fields[column])
    added = [_added(file, column, grown) for column in joining] if shape else []
    drift = (*added, *_absent(file, grown, sources), *_cast(file, grown, sources, text=content.text))
    return Fit(file, grown, drift, sources, tuple(spec.times), spec.format, tuple(waiting))


def _require_width(file: str, grown: Shape, joining: Collection[str]) -> None:
    """Refuse what makes the table wider than any file may be: each file after it would say what it lacks."""
    if joining and len(grown.fields) > COLUMNS:
        raise DataError(
            f"{file}: the table would have {len(grown.fields):,} columns by its {len(joining):,} new ones and may have "
            f"{COLUMNS:,}: deliver them to another source"
        )


def _require_cast(file: str, column: str, source: pa.DataType, target: pa.DataType) -> None:
    """Refuse what has no lossless form, before a row is read."""
    try:
        cast(column, source, target)
    except DataError as error:
        raise DataError(f"{file}: {error}") from None


def schema_drift(plan: Fit, unfit: dict[str, int]) -> tuple[SchemaDrift, ...]:
    """The verdicts of a file after its last row: those of the plan, with how many values did not fit."""
    cast_columns = {verdict.column for verdict in plan.drift if verdict.verdict == "cast"}
    late = [
        SchemaDrift(plan.file, column, "cast", f"some values are not of type {type_name(plan.shape.fields[column])}")
        for column in unfit
        if column not in cast_columns
    ]
    counts = [(verdict, unfit.get(verdict.column, 0)) for verdict in (*plan.drift, *late)]
    return tuple(replace(v, unfit=count) if v.verdict == "cast" else v for v, count in counts)


def _require_columns(file: str, sources: dict[str, pa.DataType], shape: Shape, spec: SourceSpec) -> None:
    if reserved := RESERVED & sources.keys():
        raise DataError(f"{file}: column {min(reserved)} is a name of the lake, rename it")
    needed = [column for column in shape.fields if column not in shape.optional] or list(spec.kinds)
    needed = [
        *needed,
        *(column for column in spec.kinds if column not in shape.fields and column not in needed),
    ]
    missing = [column for column in needed if column not in sources]
    if missing:
        raise DataError(
            f"{file}: misses column {', '.join(missing)}; it has {name_list(list(sources))}: "
            f"its values cannot be guessed, deliver the file with it{_misnamed(list(sources), missing)}"
        )
    lower = {column.lower(): column for column in shape.fields}
    for column in sources:
        if column not in shape.fields and column.lower() in lower:
            raise DataError(f"{file}: column {column} is {lower[column.lower()]} in the table, rename it")


def _misnamed(names: Sequence[str], missing: Collection[str]) -> str:
    """What to do where the first line holds values, or blanks around the names."""
    if any(re.fullmatch(r"-?\d[\d.,:/ -]*", name.strip()) for name in names):
        return "; if its first line is a row, write `format: {header: false, names: […]}`"
    if {name.strip() for name in names} & set(missing):
        listed_names = ", ".join(json.dumps(name.strip(), ensure_ascii=False) for name in names)
        return f"; its names have blanks around them, write `format: {{names: [{listed_names[:500]}]}}`"
    return ""


def _types(
    file: str, content: "Content", new: list[str], spec: SourceSpec, connection: "duckdb.DuckDBPyConnection"
) -> dict[str, pa.DataType | None]:
    """The types of new columns: the declared, the file's own, or those of its text; None without a value.

    Raises:
        DataError: only the author of the source can say what a column is; a wrong type would stay for ever.
    """
    types: dict[str, pa.DataType | None] = {column: content.schema.field(column).type for column in new}
    types |= dict.fromkeys(content.undecided & types.keys())
    types |= {column: TYPES[kind] for column, kind in spec.kinds.items() if column in types}
    open_ = [column for column in new if types[column] is not None and column not in spec.kinds]
    if not content.text or not open_:
        return types
    inferred, doubts = infer(content, open_, spec, connection)
    if doubts:
        raise DataError(question(file, doubts))
    return types | inferred


def _added(file: str, column: str, shape: Shape) -> SchemaDrift:
    return SchemaDrift(
        file, column, "added", f"new column of type {type_name(shape.fields[column])}, null in older rows"
    )


def _absent(file: str, shape: Shape, sources: dict[str, pa.DataType]) -> list[SchemaDrift]:
    absent = [column for column in shape.fields if column not in sources]
    return [
        SchemaDrift(file, column, "absent", "a later column that this file lacks, null in its rows")
        for column in absent
    ]


def _cast(file: str, shape: Shape, sources: dict[str, pa.DataType], *, text: bool) -> list[SchemaDrift]:
    changed = [column for column, source in sources.items() if source != shape.fields[column] and not text]
    return [
        SchemaDrift(
            file,
            column,
            "cast",
            f"{type_name(sources[column])} in the file, {type_name(shape.fields[column])} in the table",
        )
        for column in changed
    ]
