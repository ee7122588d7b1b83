"""Rows that break expectations, added beside the clean ones."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# What goes wrong in each source: the column and the value that stands in it.
FAULTS: dict[str, tuple[tuple[str, object], ...]] = {
    "customers": (("customer_id", None), ("plan", "internal-test")),
    "transactions": (("customer_id", None), ("amount", -1.0)),
    "sessions": (("customer_id", None), ("minutes", -1.0), ("feature_usage", 1.7)),
    "support_tickets": (("customer_id", None), ("severity", "9")),
}
_KEYS = {"customers": "customer_id", "transactions": "transaction_id", "support_tickets": "ticket_id"}


def broken_copies(source: str, clean: pa.Table, rng: np.random.Generator, share: float) -> pa.Table:
    """Broken copies of about `share` of the rows, each with one fault and its own key (`T0003-000017x`).

    Args:
        source: the name of the table.
        clean: its rows.
        rng: of all random choices.
        share: from 0 to 1.
    """
    places = np.flatnonzero(rng.random(len(clean)) < share)
    fault = rng.integers(0, len(FAULTS[source]), len(places))
    copies = _renamed(clean.take(pa.array(places)), _KEYS.get(source))
    parts = [
        _with(copies.filter(pa.array(fault == number)), column, value)
        for number, (column, value) in enumerate(FAULTS[source])
    ]
    return pa.concat_tables(parts)


def _renamed(rows: pa.Table, key: str | None) -> pa.Table:
    if key is None:
        return rows
    names = pc.binary_join_element_wise(rows[key], "x", "")
    return rows.set_column(rows.schema.get_field_index(key), rows.schema.field(key), names)


def _with(rows: pa.Table, column: str, value: object) -> pa.Table:
    field = rows.schema.field(column)
    return rows.set_column(rows.schema.get_field_index(column), field, pa.array([value] * len(rows), field.type))
