"""Orders are found by podOS's two references as well: shipment files name them so.

Partial indexes: where a reference is the order number, the index of order numbers finds it. One that is
longer than any order number is not looked for, and could be too long for an index of PostgreSQL.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_orders_fulfiller_reference": "fulfiller_reference",
    "ix_orders_merchant_reference": "merchant_reference",
}


def upgrade() -> None:
    for name, column in INDEXES.items():
        findable = sa.text(f"{column} <> order_number AND length({column}) <= 200")
        op.create_index(name, "orders", [column], sqlite_where=findable, postgresql_where=findable)


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "orders")
