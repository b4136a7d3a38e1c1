"""Since when an order carries no personal data."""

import sqlalchemy as sa
from alembic import op

from models import types

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain ALTER TABLE, not a batch: SQLite would copy the whole table.
    op.add_column("orders", sa.Column("erased_at", types.UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("orders", "erased_at")
