"""Databases for tests."""

from __future__ import annotations

import os

from sqlalchemy import MetaData

from kilonova.kernel.db import Database


def memory_database(metadata: MetaData, name: str = "test") -> Database:
    """SQLite in memory with the tables of ``metadata``; another engine where KILONOVA_TEST_DB names one."""
    if os.environ.get("KILONOVA_TEST_DB"):
        from kilonova.kernel.testing.engines import engines

        return engines().take(metadata, name)
    db = Database("sqlite://", name=name)
    metadata.create_all(db._writer)
    db._writer.commit()
    return db
