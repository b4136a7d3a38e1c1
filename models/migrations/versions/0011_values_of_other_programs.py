"""SQLite refuses values of the wrong type where other programs write: in shipments and handovers.

SQLite keeps any value in any column. PostgreSQL has its types and needs none of this. Triggers, not checks:
rows that are there already stay as they are, and are read tolerantly. A migration that builds one of these
tables anew (``batch_alter_table``) must create its triggers again.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

DIGITS = "[0-9][0-9]"
TIME = f"{DIGITS}{DIGITS}-{DIGITS}-{DIGITS} {DIGITS}:{DIGITS}:{DIGITS}"
TEXTS = {"shipments": ("courier", "code", "url", "reason"), "handovers": ("fulfiller", "reference", "reason")}
TIMES = ("first_attempt_at", "next_attempt_at", "created_at", "sent_at")
WHOLE = ("order_id", "attempts")


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    for table, texts in TEXTS.items():
        times = ("shipped_at", *TIMES) if table == "shipments" else TIMES
        whole = ("overwrite", *WHOLE) if table == "shipments" else WHOLE
        wrong = {
            **{name: (_no_text(name), "text: write it between quotes") for name in texts},
            **{name: (_no_time(name), "a UTC time such as 2026-11-23 10:15:00") for name in times},
            **{name: (f"typeof(NEW.{name}) <> 'integer'", "a whole number") for name in whole},
        }
        inserted = [_check(table, name, is_wrong, needed) for name, (is_wrong, needed) in wrong.items()]
        op.execute(
            f"CREATE TRIGGER {table}_values_on_insert BEFORE INSERT ON {table} BEGIN {' '.join(inserted)} END"
        )
        # Only what changes: the desk must be able to say of an old row that it can't be read.
        updated = [
            _check(table, name, f"NEW.{name} IS NOT OLD.{name} AND {is_wrong}", needed)
            for name, (is_wrong, needed) in wrong.items()
        ]
        op.execute(
            f"CREATE TRIGGER {table}_values_on_update BEFORE UPDATE OF {', '.join(wrong)} ON {table} "
            f"BEGIN {' '.join(updated)} END"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in TEXTS:
            for event in ("insert", "update"):
                op.execute(f"DROP TRIGGER {table}_values_on_{event}")


def _check(table: str, name: str, is_wrong: str, needed: str) -> str:
    return f"SELECT RAISE(ABORT, '{table}.{name} must be {needed}') WHERE {is_wrong};"


def _no_text(name: str) -> str:
    return f"NEW.{name} IS NOT NULL AND typeof(NEW.{name}) <> 'text'"


def _no_time(name: str) -> str:
    is_time = (
        f"typeof(NEW.{name}) = 'text' AND NEW.{name} GLOB '{TIME}*' AND datetime(NEW.{name}) IS NOT NULL"
    )
    return f"NEW.{name} IS NOT NULL AND NOT ({is_time})"
