"""Tokens of the HTTP API, and the requests of theirs that added a shipment."""

import sqlalchemy as sa
from alembic import op

from models import types

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("last_used_at", types.UtcDateTime(), nullable=True),
        sa.Column("revoked_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint("scope IN ('read', 'write')", name=op.f("ck_api_tokens_scope_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_tokens_digest")),
        sa.UniqueConstraint("name_key", name=op.f("uq_api_tokens_name_key")),
    )
    op.create_table(
        "shipment_requests",
        sa.Column("token_id", BIG_ID, nullable=False),
        sa.Column("key_digest", sa.Text(), nullable=False),
        sa.Column("body_digest", sa.Text(), nullable=False),
        sa.Column("shipment_id", BIG_ID, nullable=True),
        sa.Column("added", sa.Boolean(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["api_tokens.id"], name=op.f("fk_shipment_requests_token_id")),
        sa.ForeignKeyConstraint(
            ["shipment_id"], ["shipments.id"], name=op.f("fk_shipment_requests_shipment_id")
        ),
        sa.PrimaryKeyConstraint("token_id", "key_digest", name=op.f("pk_shipment_requests")),
    )
    op.create_index("ix_shipment_requests_created_at", "shipment_requests", ["created_at"])


def downgrade() -> None:
    op.drop_index("ix_shipment_requests_created_at", "shipment_requests")
    op.drop_table("shipment_requests")
    op.drop_table("api_tokens")
