"""The migrations make the tables that the code uses."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine, inspect

from kilonova.image.app import MIGRATIONS
from kilonova.image.store.tables import metadata
from kilonova.kernel.db import upgrade


def test_the_migrations_make_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/image.sqlite"
    assert upgrade(url, MIGRATIONS) is None
    assert upgrade(url, MIGRATIONS) == "0002"
    made = inspect(create_engine(url))
    for table in metadata.tables.values():
        columns = {c["name"]: (str(c["type"]), c["nullable"]) for c in made.get_columns(table.name)}
        wanted = {c.name: (str(c.type.compile(made.dialect)), c.nullable) for c in table.columns}
        assert columns == wanted
        indexes = {i["name"]: i["column_names"] for i in made.get_indexes(table.name)}
        assert indexes == {i.name: [c.name for c in i.columns] for i in table.indexes}
