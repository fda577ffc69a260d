"""The database of compute: tables, queries by noun, migrations. The only SQL of the service."""
