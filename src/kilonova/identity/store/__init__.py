"""The only SQL of this service: tables, queries by noun, migrations."""
