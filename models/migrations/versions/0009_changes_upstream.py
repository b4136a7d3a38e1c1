"""What podOS said of an order last, and the changes that it made after the import."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models import types

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_VALUE = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
OPEN = sa.text("state = 'open'")


def upgrade() -> None:
    op.create_table(
        "order_changes",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("order_id", BIG_ID, nullable=False),
        sa.Column("run_id", BIG_ID, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("old_values", JSON_VALUE, nullable=False),
        sa.Column("new_values", JSON_VALUE, nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_changes_order_id")),
        sa.ForeignKeyConstraint(["run_id"], ["import_runs.id"], name=op.f("fk_order_changes_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_changes")),
    )
    op.create_index("ix_order_changes_order_id", "order_changes", ["order_id"])
    op.create_index(
        "uq_order_changes_open",
        "order_changes",
        ["order_id", "kind"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    # Plain ALTER TABLE, not a batch: SQLite would copy the whole table.
    op.add_column("orders", sa.Column("imported_status", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("podos_seen_at", types.UtcDateTime(), nullable=True))
    op.add_column("orders", sa.Column("podos_frozen", sa.Boolean(), nullable=True))
    op.add_column("orders", sa.Column("address_digest", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("artwork_digest", sa.Text(), nullable=True))


def downgrade() -> None:
    for name in ("artwork_digest", "address_digest", "podos_frozen", "podos_seen_at", "imported_status"):
        op.drop_column("orders", name)
    op.drop_table("order_changes")
