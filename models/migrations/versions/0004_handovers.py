"""Orders on their way to fulfillers; an order can be held and carries metadata of the supplier's own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models import types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_VALUE = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
STATES = "'waiting', 'sent', 'already_there', 'failed', 'superseded', 'voided'"


def upgrade() -> None:
    # Plain ALTER TABLE, not a batch: SQLite would copy the whole table, millions of orders.
    op.add_column("orders", sa.Column("hold_reason", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("metadata", JSON_VALUE, nullable=True))
    op.create_table(
        "handovers",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("order_id", BIG_ID, nullable=False),
        sa.Column("fulfiller", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_attempt_at", types.UtcDateTime(), nullable=True),
        sa.Column("next_attempt_at", types.UtcDateTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "created_at", types.UtcDateTime(), server_default=sa.func.current_timestamp(), nullable=False
        ),
        sa.Column("sent_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint("trim(fulfiller) <> ''", name=op.f("ck_handovers_fulfiller_given")),
        sa.CheckConstraint(f"state IN ({STATES})", name=op.f("ck_handovers_state_known")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_handovers_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handovers")),
        sa.UniqueConstraint("order_id", "fulfiller", name=op.f("uq_handovers_order_id_fulfiller")),
    )
    op.create_index(
        "ix_handovers_fulfiller_state_next_attempt_at",
        "handovers",
        ["fulfiller", "state", "next_attempt_at"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_table("handovers")
    with op.batch_alter_table("orders") as batch:
        batch.drop_column("metadata")
        batch.drop_column("hold_reason")
