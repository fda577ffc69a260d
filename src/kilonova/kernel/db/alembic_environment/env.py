"""Alembic's entry: runs migrations on the connection that kernel.db.schema.upgrade hands over."""

from alembic import context

connection = context.config.attributes["connection"]
# SQLite's changes of schema are transactional too, if a transaction is begun: see kernel.db.schema
context.configure(connection=connection, render_as_batch=True, transactional_ddl=connection.dialect.name != "mysql")
with context.begin_transaction():
    context.run_migrations()
