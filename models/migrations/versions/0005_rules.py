"""Rules, what they still have to look at, and the fulfillers' maps."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models import types

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_VALUE = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rules",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("definition", JSON_VALUE, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rules")),
        sa.UniqueConstraint("name_key", name=op.f("uq_rules_name_key")),
    )
    op.create_table(
        "rule_events",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("order_id", BIG_ID, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_rule_events_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_events")),
    )
    op.create_table(
        "fulfiller_maps",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("fulfiller", sa.Text(), nullable=False),
        sa.Column("map", sa.Text(), nullable=False),
        sa.Column("definition", JSON_VALUE, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fulfiller_maps")),
        sa.UniqueConstraint("fulfiller", "map", name=op.f("uq_fulfiller_maps_fulfiller_map")),
    )
    # Plain ALTER TABLE, not a batch: SQLite would copy the whole table.
    op.add_column(
        "shipments", sa.Column("rules_seen", sa.Boolean(), server_default=sa.false(), nullable=False)
    )


def downgrade() -> None:
    with op.batch_alter_table("shipments") as batch:
        batch.drop_column("rules_seen")
    op.drop_table("fulfiller_maps")
    op.drop_table("rule_events")
    op.drop_table("rules")
