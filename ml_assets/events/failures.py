"""The last failures of a variant, as a person wants to see them: the worst kind first, each with its prediction."""

from collections.abc import Sequence

from sqlalchemy import case, select

from ml_assets.events.exposures import FAILURES, VariantFailure
from ml_assets.events.schema import EVENTS
from ml_assets.events.store import EventStore

_TABLE = EVENTS[VariantFailure].table


def list_failures(
    store: EventStore, model: str, experiments: Sequence[str], variant: str, *, most: int = 20
) -> list[VariantFailure]:
    """The last failures of a variant: errors, then missing features, then slow answers; the newest of each first.

    Args:
        store: where servers write.
        model: the model's folder.
        experiments: the names under which its units were exposed.
        variant: that was assigned.
        most: how many at the most.

    Raises:
        EventStoreError: the database does not answer.
    """
    of_variant = (_TABLE.c.model == model) & _TABLE.c.experiment.in_(experiments) & (_TABLE.c.variant == variant)
    rank = case(dict(zip(FAILURES, range(len(FAILURES)), strict=True)), value=_TABLE.c.reason, else_=len(FAILURES))
    columns = [_TABLE.c[name] for name in VariantFailure._fields]
    rows = store.select(select(*columns).where(of_variant).order_by(rank, _TABLE.c.sequence.desc()).limit(most))
    return [VariantFailure._make(row) for row in rows]
