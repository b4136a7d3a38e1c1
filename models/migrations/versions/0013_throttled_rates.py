"""The request rate that podOS allows, found by its refusals and shared by all processes."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from models import types

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COLUMNS: dict[str, Any] = {
    "throttled_per_second": sa.Float(),
    "refused_per_second": sa.Float(),
    "refused_at": types.UtcDateTime(),
}


def upgrade() -> None:
    for name, type_ in COLUMNS.items():
        op.add_column("request_paces", sa.Column(name, type_, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("request_paces") as table:
        for name in reversed(COLUMNS):
            table.drop_column(name)
