"""The first desk: folders, orders, items, history, import runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models import types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_VALUE = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
FIRST_FOLDERS = ("New", "Prepared", "Closed", "Canceled")


def upgrade() -> None:
    op.create_table(
        "folders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_folders")),
        sa.UniqueConstraint("name_key", name=op.f("uq_folders_name_key")),
    )
    op.create_table(
        "import_runs",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lease_name", sa.Text(), nullable=False),
        sa.Column("started_at", types.UtcDateTime(), nullable=False),
        sa.Column("finished_at", types.UtcDateTime(), nullable=True),
        sa.Column("since", types.UtcDateTime(), nullable=True),
        sa.Column("until", types.UtcDateTime(), nullable=True),
        sa.Column("counts", JSON_VALUE, nullable=False),
        sa.Column("needs_attention", sa.Integer(), nullable=False),
        sa.Column("mark_before", types.UtcDateTime(), nullable=True),
        sa.Column("mark_after", types.UtcDateTime(), nullable=True),
        sa.Column("settings", JSON_VALUE, nullable=False),
        sa.Column("flow_run_id", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_runs")),
    )
    op.create_index(
        "ix_import_runs_integration_kind_state", "import_runs", ["integration", "kind", "state"], unique=False
    )

    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("acquired_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "orders",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("folder_id", sa.Integer(), nullable=False),
        sa.Column("import_run_id", BIG_ID, nullable=False),
        sa.Column("podos_status", sa.Text(), nullable=False),
        sa.Column("podos_created_at", types.UtcDateTime(), nullable=False),
        sa.Column("podos_updated_at", types.UtcDateTime(), nullable=True),
        sa.Column("imported_at", types.UtcDateTime(), nullable=False),
        sa.Column("fulfiller_reference", sa.Text(), nullable=True),
        sa.Column("merchant_reference", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("ship_name", sa.Text(), nullable=True),
        sa.Column("ship_company", sa.Text(), nullable=True),
        sa.Column("ship_address1", sa.Text(), nullable=True),
        sa.Column("ship_address2", sa.Text(), nullable=True),
        sa.Column("ship_city", sa.Text(), nullable=True),
        sa.Column("ship_postal_code", sa.Text(), nullable=True),
        sa.Column("ship_country", sa.Text(), nullable=True),
        sa.Column("ship_state", sa.Text(), nullable=True),
        sa.Column("shipping_code", sa.Text(), nullable=True),
        sa.Column("shipping_name", sa.Text(), nullable=True),
        sa.Column("priority", sa.Text(), nullable=True),
        sa.Column("declared_value", types.Money(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("package_weight_g", sa.Float(), nullable=True),
        sa.Column("deadline", sa.Text(), nullable=True),
        sa.Column("service_level_hours", sa.Float(), nullable=True),
        sa.Column("source_platform", sa.Text(), nullable=True),
        sa.Column("extras", JSON_VALUE, nullable=True),
        sa.ForeignKeyConstraint(["folder_id"], ["folders.id"], name=op.f("fk_orders_folder_id")),
        sa.ForeignKeyConstraint(["import_run_id"], ["import_runs.id"], name=op.f("fk_orders_import_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("project", "source_id", name=op.f("uq_orders_project_source_id")),
    )
    op.create_index("ix_orders_folder_id_id", "orders", ["folder_id", "id"], unique=False)
    op.create_index("ix_orders_order_number", "orders", ["order_number"], unique=False)

    op.create_table(
        "rejected_orders",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("first_seen_at", types.UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", types.UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("run_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["import_runs.id"], name=op.f("fk_rejected_orders_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejected_orders")),
        sa.UniqueConstraint("project", "key", name=op.f("uq_rejected_orders_project_key")),
    )
    op.create_table(
        "scan_marks",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("mark_at", types.UtcDateTime(), nullable=False),
        sa.Column("run_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["import_runs.id"], name=op.f("fk_scan_marks_run_id")),
        sa.PrimaryKeyConstraint("integration", name=op.f("pk_scan_marks")),
    )
    op.create_table(
        "order_history",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("order_id", BIG_ID, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_history_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_history")),
    )
    op.create_index(op.f("ix_order_history_order_id"), "order_history", ["order_id"], unique=False)

    op.create_table(
        "order_items",
        sa.Column("order_id", BIG_ID, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source_item_id", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("variant_ref", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("declared_value", types.Money(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("metadata", JSON_VALUE, nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_order_items_quantity_positive")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_items_order_id")),
        sa.PrimaryKeyConstraint("order_id", "position", name=op.f("pk_order_items")),
        sqlite_with_rowid=False,
    )
    folders = sa.table("folders", sa.column("name"), sa.column("name_key"))
    op.bulk_insert(folders, [{"name": name, "name_key": name.casefold()} for name in FIRST_FOLDERS])


def downgrade() -> None:
    for table in (
        "order_items",
        "order_history",
        "scan_marks",
        "rejected_orders",
        "orders",
        "leases",
        "import_runs",
        "folders",
    ):
        op.drop_table(table)
