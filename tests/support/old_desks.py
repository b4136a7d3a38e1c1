"""Desks as earlier versions of this program left them: any revision of the schema, all tables with rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Engine, MetaData, Table, inspect, text

from models import migrations
from tasks.desk.engine import reading, writing

ROWS = 3
FIRST_ID = 1_000_001
"""Far from what an import after the upgrade numbers."""

EXAMPLES: dict[str, Any] = {
    "orders.currency": "GBP",
    "orders.declared_value": "12.50",
    "order_items.declared_value": "12.50",
    "orders.podos_status": "paid",
    "import_runs.kind": "check",
    "import_runs.state": "completed",
    "import_runs.counts": '{"imported": 3}',
    "backfill_windows.state": "done",
    "production_states.status": "processing",
    "rules.event": "order_imported",
    "api_tokens.scope": "read",
}
"""Values that the program itself would write, where any text would not do. A new table needs none here unless
its columns take certain words only and have no default."""
CHANGED_BY_A_MIGRATION: set[str] = set()
"""Columns, as ``table.column``, whose values a migration changes on purpose."""


def alembic_config() -> Config:
    """Return the configuration of the migrations, without a database."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return config


def revisions() -> list[str]:
    """Return every revision of the schema, the oldest first."""
    return [step.revision for step in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]


def build(engine: Engine, revision: str) -> None:
    """Make the schema of a revision in an empty database, and put rows into all its tables."""
    config = alembic_config()
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    with writing(engine) as connection:
        for table in _tables(connection):
            if table.name != "alembic_version":
                _fill(connection, table)


def _tables(connection: Connection) -> list[Table]:
    found = MetaData()
    found.reflect(connection)
    return found.sorted_tables


def _fill(connection: Connection, table: Table) -> None:
    columns = [column for column in table.columns if column.server_default is None or column.primary_key]
    names = ", ".join(f'"{column.name}"' for column in columns)
    values = ", ".join(f":{column.name}" for column in columns)
    for number in range(ROWS):
        row = {column.name: _value(column, number) for column in columns}
        connection.execute(text(f'INSERT INTO "{table.name}" ({names}) VALUES ({values})'), row)


def _value(column: Column[Any], number: int) -> Any:
    """Return a value for a row's column; rows of the same number belong together."""
    example = EXAMPLES.get(f"{column.table.name}.{column.name}")
    if example is not None:
        return example
    kind = str(column.type).upper()
    if "JSON" in kind:
        return f'{{"n": "{number}"}}'
    if "INT" in kind:
        return FIRST_ID + number if column.primary_key or column.foreign_keys else number + 1
    if "BOOL" in kind:
        return True
    if "TIME" in kind:
        return f"2026-11-2{number} 08:30:00.123456" + ("+00" if "ZONE" in kind else "")
    if any(word in kind for word in ("NUMERIC", "DOUBLE", "FLOAT", "REAL")):
        return number + 0.5
    return f"{column.table.name} {column.name} {number}"


def rows_of(engine: Engine) -> dict[str, dict[str, list[str]]]:
    """Return all values by table and column, as text, sorted by the primary key."""
    with reading(engine) as connection:
        return {table.name: _columns(connection, table) for table in _tables(connection)}


def _columns(connection: Connection, table: Table) -> dict[str, list[str]]:
    names = list(table.columns.keys())
    order = ", ".join(f'"{key.name}"' for key in table.primary_key) or "1"
    quoted = ", ".join(f'"{name}"' for name in names)
    found = connection.execute(text(f'SELECT {quoted} FROM "{table.name}" ORDER BY {order}')).all()
    return {name: [repr(row[place]) for row in found] for place, name in enumerate(names)}


def schema_of(engine: Engine) -> list[str]:
    """Return the whole schema in words, to be compared."""
    with reading(engine) as connection:
        inspector = inspect(connection)
        return sorted(
            line
            for table in inspector.get_table_names()
            for line in (
                *(f"{table} {column}" for column in inspector.get_columns(table)),
                *(f"{table} {_in_words(index)}" for index in inspector.get_indexes(table)),
                *(f"{table} {key}" for key in inspector.get_foreign_keys(table)),
                *(f"{table} {check}" for check in inspector.get_check_constraints(table)),
            )
        )


def _in_words(index: Mapping[str, Any]) -> dict[str, Any]:
    """Return an index with its condition as text: an expression shows its place in memory."""
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": options}
