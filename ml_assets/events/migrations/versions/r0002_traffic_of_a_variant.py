"""Traffic is counted by variant. Rows of before, and of servers that still run, are the champion's."""

from sqlalchemy import CheckConstraint, Column, Text

from ml_assets.events.migrations import alter, columns

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """The variant becomes a part of the key."""
    if not columns("traffic"):
        return
    short = CheckConstraint("length(variant) <= 100", name="variant_is_short")
    with alter("traffic") as table:
        table.add_column(Column("variant", Text, short, nullable=False, server_default="champion"))
        table.drop_constraint("traffic_model_worker_since_key", type_="unique")
        table.create_unique_constraint(
            "traffic_model_worker_since_variant_key", ["model", "worker", "since", "variant"]
        )
