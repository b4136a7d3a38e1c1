"""Shipments on their way to podOS, and the pace that all processes of an integration share."""

import sqlalchemy as sa
from alembic import op

from models import types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATES = "'waiting', 'sent', 'already_there', 'failed', 'superseded', 'voided'"


def upgrade() -> None:
    op.create_table(
        "shipments",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("order_id", BIG_ID, nullable=False),
        sa.Column("courier", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("shipped_at", types.UtcDateTime(), nullable=True),
        sa.Column("overwrite", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_attempt_at", types.UtcDateTime(), nullable=True),
        sa.Column("next_attempt_at", types.UtcDateTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "created_at", types.UtcDateTime(), server_default=sa.func.current_timestamp(), nullable=False
        ),
        sa.Column("sent_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint("trim(courier) <> ''", name=op.f("ck_shipments_courier_given")),
        sa.CheckConstraint("trim(code) <> ''", name=op.f("ck_shipments_code_given")),
        sa.CheckConstraint(f"state IN ({STATES})", name=op.f("ck_shipments_state_known")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_shipments_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shipments")),
        sa.UniqueConstraint("order_id", "courier", "code", name=op.f("uq_shipments_order_id_courier_code")),
    )
    op.create_index(
        "ix_shipments_state_next_attempt_at", "shipments", ["state", "next_attempt_at"], unique=False
    )
    op.create_table(
        "request_paces",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("free_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("integration", name=op.f("pk_request_paces")),
    )


def downgrade() -> None:
    op.drop_table("request_paces")
    op.drop_table("shipments")
