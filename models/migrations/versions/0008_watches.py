"""What is watched over, and indexes that make counting it cheap."""

import sqlalchemy as sa
from alembic import op

from models import types

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "watches",
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("well_at", types.UtcDateTime(), nullable=True),
        sa.Column("trouble_at", types.UtcDateTime(), nullable=True),
        sa.Column("told_at", types.UtcDateTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("cause", name=op.f("pk_watches")),
    )
    # Small, because most rows are in neither: counting must stay cheap among millions of orders.
    held = sa.text("hold_reason IS NOT NULL")
    op.create_index("ix_orders_held", "orders", ["id"], sqlite_where=held, postgresql_where=held)
    unsent = sa.text("state IN ('waiting', 'failed')")
    op.create_index(
        "ix_handovers_unsent", "handovers", ["state"], sqlite_where=unsent, postgresql_where=unsent
    )


def downgrade() -> None:
    op.drop_index("ix_handovers_unsent", "handovers")
    op.drop_index("ix_orders_held", "orders")
    op.drop_table("watches")
