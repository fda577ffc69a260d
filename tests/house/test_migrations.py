"""The migrations of each service, run one after the other on nothing, make exactly the tables that its code knows."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect

from kilonova.allinone.databases import migrations
from kilonova.kernel.db import upgrade
from tests.house.sources import SERVICES


@pytest.mark.parametrize("service", SERVICES)
def test_the_newest_revision_is_the_tables_of_the_code(service: str, tmp_path: Path) -> None:
    migrated, made = f"sqlite:///{tmp_path}/migrated.db", f"sqlite:///{tmp_path}/made.db"
    upgrade(migrated, migrations(service))
    engine = create_engine(made)
    import_module(f"kilonova.{service}.store.tables").metadata.create_all(engine)
    engine.dispose()
    assert _shape(migrated) == _shape(made)


def _shape(url: str) -> dict[str, Any]:
    engine = create_engine(url)
    seen = inspect(engine)
    shape = {
        table: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in seen.get_columns(table)},
            "key": seen.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted(
                (tuple(f["constrained_columns"]), f["referred_table"], tuple(f["referred_columns"]), str(f["options"]))
                for f in seen.get_foreign_keys(table)
            ),
            "unique": sorted(tuple(u["column_names"]) for u in seen.get_unique_constraints(table)),
            "indexes": sorted((str(i["name"]), str(i["column_names"]), i["unique"]) for i in seen.get_indexes(table)),
            "checks": sorted(str(c["sqltext"]) for c in seen.get_check_constraints(table)),
        }
        for table in seen.get_table_names()
        if table != "alembic_version"
    }
    engine.dispose()
    return shape


@pytest.mark.parametrize("service", SERVICES)
def test_revisions_follow_one_another(service: str) -> None:
    files = sorted((migrations(service) / "versions").glob("[0-9]*.py"))
    numbers = [path.name.split("_", 1)[0] for path in files]
    assert numbers == [f"{n:04}" for n in range(1, len(files) + 1)]
    for number, path in zip(numbers, files, strict=True):
        text = path.read_text()
        before = None if number == "0001" else f"{int(number) - 1:04}"
        assert f'revision = "{number}"' in text
        assert f"down_revision = {before!r}".replace("'", '"') in text
