"""A prediction may name no entity: a request with instances need not say whose they are."""

from ml_assets.events.migrations import alter, columns

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Releases before versions may have done it already; then nothing is written anew."""
    if columns("predictions").get("entity") is False:
        with alter("predictions") as table:
            table.alter_column("entity", nullable=True)
