"""The migrations make what tables.py says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, inspect

from kilonova.compute.app import MIGRATIONS
from kilonova.compute.store import tables
from kilonova.kernel.db import upgrade


def schema(url: str) -> dict[str, Any]:
    engine = create_engine(url)
    seen = inspect(engine)
    found = {
        name: (
            {c["name"]: (str(c["type"]), c["nullable"]) for c in seen.get_columns(name)},
            sorted((i["name"], tuple(i["column_names"]), i["unique"]) for i in seen.get_indexes(name)),
            sorted(tuple(u["column_names"]) for u in seen.get_unique_constraints(name)),
            sorted((tuple(f["constrained_columns"]), f["referred_table"]) for f in seen.get_foreign_keys(name)),
        )
        for name in seen.get_table_names()
        if name != "alembic_version"
    }
    engine.dispose()
    return found


def test_an_empty_database_is_brought_to_the_tables_of_today(tmp_path: Path) -> None:
    migrated, made = f"sqlite:///{tmp_path}/migrated.sqlite", f"sqlite:///{tmp_path}/made.sqlite"
    assert upgrade(migrated, MIGRATIONS) is None
    assert upgrade(migrated, MIGRATIONS) == "0001"
    engine = create_engine(made)
    tables.metadata.create_all(engine)
    engine.dispose()
    assert schema(migrated) == schema(made)
