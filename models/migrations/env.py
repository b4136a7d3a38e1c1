"""Runs the migrations on the connection that is handed over, else on the database of the environment."""

from alembic import context
from sqlalchemy import Connection, create_engine

from models.tables import metadata


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    from models.settings import Environment

    with create_engine(Environment().database_url()).begin() as connection:
        _run(connection)
