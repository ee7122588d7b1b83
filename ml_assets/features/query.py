"""What a query of a model folder may say: one SELECT over declared relations, whose only clock is `$as_of`.

DuckDB parses the query, so what is checked here is what runs. Refused is everything that could see more than the
engine binds: the wall clock, chance, files, other catalogs, samples.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from ml_assets.errors import DeclarationError, list_values, shorten
from ml_assets.storage.duck import memory

# DuckDB parses these as columns and only the binder makes them functions; two it calls consistent, which they are not.
_CLOCKS = {
    "current_date", "current_localtime", "current_localtimestamp", "current_time", "current_timestamp", "localtime",
    "localtimestamp", "today",
}  # fmt: skip
_TABLE_FUNCTIONS = {"range", "generate_series", "unnest"}
_UNWRITABLE = re.compile(r'["\\\x00-\x1f\x7f]')
_LONGEST = 200
_POSITIONS = {"query_location", "query_location_length"}


@dataclass(frozen=True)
class FeatureQuery:
    """A checked query.

    Args:
        sql: the text as written.
        relations: the declared relations that it reads.
        parameters: the parameters that it uses (`as_of`).
        meaning: its parse tree as JSON: the same for another layout, comment or letter case of keywords.
        where: its file, for errors.
        columns: the names that it returns, in order; None where only the rows tell (`SELECT *`).
    """

    sql: str
    relations: tuple[str, ...]
    parameters: tuple[str, ...]
    meaning: str
    where: str = ""
    columns: tuple[str, ...] | None = None

    @property
    def text(self) -> str:
        """What DuckDB is given: a relation has no semicolon."""
        return _bare(self.sql)

    def error(self, error: Exception) -> str:
        """What DuckDB says of it, in one line with the file and its line."""
        message, _, placed = str(error).partition("\n\nLINE ")
        line = placed.partition(":")[0]
        where = f"{self.where}:{line}" if line.isdigit() else self.where
        return f"{where}: {shorten(' '.join(message.split()), 300)}"


def check(sql: str, relations: Collection[str], *, where: str) -> FeatureQuery:
    """Parse and check one query; `where` names it in errors.

    Raises:
        DeclarationError: it is no single SELECT, reads an undeclared relation, or is no pure function of its rows.
    """
    return _checked(sql, tuple(relations), where)


@cache  # a folder is put together for each of its components
def _checked(sql: str, relations: tuple[str, ...], where: str) -> FeatureQuery:
    nodes = list(_walk(tree := _parse(sql, where)))
    columns = _columns(tree["statements"][0]["node"])
    require_names(columns or (), where)
    ctes = {str(entry["key"]) for node in nodes for entry in node.get("cte_map", {}).get("map", [])}
    if odd := {name for name in ctes if not name.isidentifier()}:  # outside of its scope it would name a file
        raise DeclarationError(f"{where} names a WITH query {min(odd)!r}: use letters, digits and _")
    read = {str(node["table_name"]): node for node in _tables(tree)}
    for node in nodes:
        _check_node(node, _line(where, sql, node.get("query_location")))
    for name in read.keys() - set(relations):
        near = get_close_matches(name, relations, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"declared are {', '.join(sorted(relations))}"
        place = _line(where, sql, read[name].get("query_location"))
        raise DeclarationError(f"{place} reads {name!r}, which is not a source of this folder: {hint}")
    parameters = {str(node["identifier"]) for node in nodes if node.get("type") == "VALUE_PARAMETER"}
    if unknown := parameters - {"as_of"}:
        raise DeclarationError(f"{where} uses the parameter ${min(unknown)}: the only one is $as_of")
    used = tuple(sorted(read.keys() & set(relations)))
    return FeatureQuery(sql, used, tuple(sorted(parameters)), _meaning(tree), where, columns)


def _bare(sql: str) -> str:
    """Without the end of the statement; the beginning stays, so that lines are those of the file."""
    return sql.rstrip().rstrip(";")


def _line(where: str, sql: str, position: object) -> str:
    """`file:line` of a position in bytes; the file alone where DuckDB knows none."""
    text = sql.encode()
    if not str(position).isdigit() or int(str(position)) > len(text):
        return where
    return f"{where}:{text[: int(str(position))].count(10) + 1}"


def _columns(node: dict[str, Any]) -> tuple[str, ...] | None:
    """The names of a result, as far as the text alone tells them."""
    while node["type"] != "SELECT_NODE":
        first = [node[side] for side in ("left", "child") if node.get(side)] or node.get("children")
        node = first[0] if first else {"type": "SELECT_NODE"}
    names = [_name(item) for item in node.get("select_list", [{}])]
    return None if None in names else tuple(str(name) for name in names)


def _name(item: dict[str, Any]) -> str | None:
    if item.get("alias"):
        return str(item["alias"])
    return str(item["column_names"][-1]) if item.get("type") == "COLUMN_REF" else None


def require_names(columns: Sequence[str], where: str) -> None:
    r"""Refuse names that not every part of a model can keep as they are written.

    DuckDB does not tell `A` from `a`, and a request names each feature by a key of JSON.

    Raises:
        DeclarationError: a name comes twice, is too long, or holds ", \ or a control character.
    """
    folded = Counter(name.lower() for name in columns)
    if repeated := [name for name in columns if folded[name.lower()] > 1]:
        names = list_values(dict.fromkeys(repeated))
        raise DeclarationError(f"{where} returns one name twice ({names}; case does not count): rename one of them")
    if odd := [name for name in columns if _UNWRITABLE.search(name) or len(name) > _LONGEST]:
        raise DeclarationError(
            f"{where} returns a column {shorten(repr(odd[0]))}: a name has at most {_LONGEST} characters and no "
            'quotation mark ("), backslash or control character; rename it with AS'
        )


def _parse(sql: str, where: str) -> Any:  # noqa: ANN401 - JSON
    with memory() as connection:
        row = connection.execute("SELECT json_serialize_sql(?)", [_bare(sql)]).fetchone()
    tree = json.loads(row[0] if row else "{}")
    if tree.get("error"):
        message, place = shorten(str(tree.get("error_message")), 200), _line(where, sql, tree.get("position"))
        raise DeclarationError(f"{place} is not a SELECT that DuckDB can parse: {message}")
    if len(tree["statements"]) != 1:
        raise DeclarationError(f"{where} holds {len(tree['statements'])} statements: write one SELECT")
    return tree


@cache
def _impure() -> frozenset[str]:
    """Functions whose result is not a function of their arguments, as DuckDB itself declares them."""
    with memory() as connection:
        rows = connection.execute(
            "SELECT function_name, stability, macro_definition FROM duckdb_functions()"
        ).fetchall()
    volatile = {name for name, stability, _ in rows if stability not in {None, "CONSISTENT"}}
    called = re.compile(rf"\b({'|'.join(map(re.escape, sorted(volatile)))})\s*\(|\b({'|'.join(sorted(_CLOCKS))})\b")
    return frozenset(volatile | {name for name, _, body in rows if body and called.search(str(body))})


def _check_node(node: dict[str, Any], where: str) -> None:
    kind = node.get("type")
    if kind == "BASE_TABLE" and (node.get("schema_name") or node.get("catalog_name")):
        raise DeclarationError(f"{where} reads {node['table_name']!r} of another schema: use the names of sources")
    if kind == "TABLE_FUNCTION" and node["function"]["function_name"] not in _TABLE_FUNCTIONS:
        name = node["function"]["function_name"]
        raise DeclarationError(f"{where} calls {name}(): a query reads declared sources only; add a source instead")
    if kind == "SHOW_REF":
        raise DeclarationError(f"{where} is not a SELECT (DESCRIBE, SHOW, SUMMARIZE): write one SELECT")
    if node.get("sample") or node.get("at_clause"):
        raise DeclarationError(f"{where} samples or travels in time: the engine chooses the rows")
    if kind == "FUNCTION" and _reads_clock(node):
        raise DeclarationError(f"{where} calls {node['function_name']}(), which no replay can repeat: use $as_of")
    if kind == "COLUMN_REF" and len(node["column_names"]) == 1 and node["column_names"][0].lower() in _CLOCKS:
        raise DeclarationError(f"{where} reads {node['column_names'][0]}: the only clock is $as_of")


def _reads_clock(node: dict[str, Any]) -> bool:
    name = str(node["function_name"]).lower()
    return name in _impure() or name in _CLOCKS or (name == "age" and len(node["arguments"]) == 1)


def _walk(tree: object) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        children: Collection[object] = tree.values()
    else:
        children = tree if isinstance(tree, list) else []
    for child in children:
        yield from _walk(child)


def _tables(tree: object, names: frozenset[str] = frozenset()) -> Iterator[dict[str, Any]]:
    """The tables that are read, without the WITH queries whose name is in scope where they stand.

    Args:
        tree: any part of a parse tree.
        names: WITH queries in scope, in lower case: DuckDB does not tell `A` from `a`.
    """
    if isinstance(tree, dict):
        if tree.get("type") == "BASE_TABLE" and str(tree["table_name"]).lower() not in names:
            yield tree
        for entry in tree.get("cte_map", {}).get("map", []):  # one after the other: each sees those before it
            yield from _tables(entry["value"], names)
            names |= {str(entry["key"]).lower()}
        for key, child in tree.items():
            # Of a recursive query, only what is repeated sees the query itself.
            itself = tree.get("type") == "RECURSIVE_CTE_NODE" and key == "right"
            if key != "cte_map":
                yield from _tables(child, names | {str(tree["cte_name"]).lower()} if itself else names)
    elif isinstance(tree, list):
        for child in tree:
            yield from _tables(child, names)


def _meaning(tree: object) -> str:
    def bare(node: object) -> object:
        if isinstance(node, dict):
            return {key: bare(value) for key, value in node.items() if key not in _POSITIONS}
        return [bare(value) for value in node] if isinstance(node, list) else node

    return json.dumps(bare(tree), sort_keys=True)
