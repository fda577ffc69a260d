"""Databases for tests."""

from __future__ import annotations

from sqlalchemy import MetaData

from kilonova.kernel.db import Database


def memory_database(metadata: MetaData, name: str = "test") -> Database:
    """An SQLite database in memory with the tables of ``metadata``."""
    db = Database("sqlite://", name=name)
    metadata.create_all(db._writer)
    db._writer.commit()
    return db
