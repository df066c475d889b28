"""Runs the marketplace's migrations on the engine that the program hands over."""

import os

from alembic import context

from hit_server.database import open_engine
from mturk.marketplace.records import MarketRecord

engine = context.config.attributes.get("engine")
if engine is None:
    engine = open_engine(
        os.environ.get("CLEARWINNER_MARKETPLACE_URL", "sqlite:///marketplace.sqlite3")
    )

with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=MarketRecord.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
