"""What podOS is told of production: that it began, and that an order is printed."""

import sqlalchemy as sa
from alembic import op

from models import types

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "production_states",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("order_id", BIG_ID, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_attempt_at", types.UtcDateTime(), nullable=True),
        sa.Column("next_attempt_at", types.UtcDateTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "created_at", types.UtcDateTime(), server_default=sa.func.current_timestamp(), nullable=False
        ),
        sa.Column("sent_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "status IN ('processing', 'printed')", name=op.f("ck_production_states_status_known")
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'sent', 'already_there', 'failed', 'superseded', 'voided')",
            name=op.f("ck_production_states_state_known"),
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_production_states_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_production_states")),
        sa.UniqueConstraint("order_id", "status", name=op.f("uq_production_states_order_id_status")),
    )
    op.create_index(
        "ix_production_states_state_next_attempt_at", "production_states", ["state", "next_attempt_at"]
    )


def downgrade() -> None:
    op.drop_index("ix_production_states_state_next_attempt_at", "production_states")
    op.drop_table("production_states")
