"""Runs migrations on the engine that the program hands over, or on CLEARWINNER_DATABASE_URL."""

from alembic import context

from hit_server.database import open_engine
from hit_server.records import Record
from hit_server.settings import Settings

engine = context.config.attributes.get("engine")
if engine is None:
    engine = open_engine(Settings().database_url or "sqlite:///clearwinner.sqlite3")

with engine.connect() as connection:
    if connection.dialect.name == "sqlite":
        # Tables are changed there by making them anew; that must not look like deleting rows.
        connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
    context.configure(
        connection=connection,
        target_metadata=Record.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
    if connection.dialect.name == "sqlite":
        connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")
