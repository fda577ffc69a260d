"""Stories of the first start, of keys on disk, of the schema."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, select

from kilonova.identity.app import MIGRATIONS
from kilonova.identity.bootstrap import Wanted, bootstrap, catalog_at
from kilonova.identity.config import GROUPS, settings
from kilonova.identity.drivers.keys import KeyRepository, KeysMissing
from kilonova.identity.store.revocations import read_generation
from kilonova.identity.store.tables import endpoints, metadata, users
from kilonova.kernel.config import load
from kilonova.kernel.db import Database, upgrade
from kilonova.kernel.db.schema import head
from kilonova.kernel.testing import FakeClock
from tests.identity.make import ADMIN_PASSWORD, Cloud


async def test_bootstrapping_again_changes_nothing(here: Cloud) -> None:
    parts = here.parts
    async with parts.db.read() as tx:
        before = (await tx.all(select(users)), await read_generation(tx))
    again = await bootstrap(parts.settings, parts.db, here.clock, here.wanted)
    assert again == here.first
    async with parts.db.read() as tx:
        assert (await tx.all(select(users)), await read_generation(tx)) == before
    other = Wanted("not-this", "RegionOne", catalog_at("http://new.test"), {"nova": "nor-this", "cinder": "c"})
    await bootstrap(parts.settings, parts.db, here.clock, other)
    await here.log_in("admin", ADMIN_PASSWORD)
    await here.log_in("nova", "nova-secret")
    await here.log_in("cinder", "c")
    async with parts.db.read() as tx:
        urls = await tx.column(select(endpoints.c.url))
    assert len(urls) == 15
    assert all(url.startswith("http://new.test/") for url in urls)
    shown = (await here.log_in("admin", ADMIN_PASSWORD, project=here.first.admin_project_id)).json["token"]
    assert shown["catalog"][0]["endpoints"][0]["url"].startswith("http://new.test/"), "what was remembered is not used"


async def test_a_lost_admin_password_can_be_set_anew(here: Cloud) -> None:
    wanted = Wanted("new-secret", "RegionOne", (), {}, reset_passwords=True)
    await bootstrap(here.parts.settings, here.parts.db, here.clock, wanted)
    await here.log_in("admin", ADMIN_PASSWORD, expect=401)
    await here.log_in("admin", "new-secret")


async def test_a_real_database_from_nothing(tmp_path: Path) -> None:
    conf = load(groups=GROUPS, overrides={"identity.password_hash_rounds": 4}, environment={})
    url = f"sqlite:///{tmp_path}/identity.db"
    assert upgrade(url, MIGRATIONS) is None
    assert upgrade(url, MIGRATIONS) == head(MIGRATIONS)
    db = Database(url, name="identity")
    made = await bootstrap(settings(conf, tmp_path), db, FakeClock(), Wanted("x", "R", catalog_at("http://a"), {}))
    assert made.domain_id == "default"
    await db.close()
    for folder in ("fernet-keys", "credential-keys"):
        keys = tmp_path / "identity" / folder
        assert keys.stat().st_mode & 0o777 == 0o700
        assert {p.name: p.stat().st_mode & 0o777 for p in keys.iterdir()} == {"0": 0o600, "1": 0o600}


def test_the_migrations_lead_to_the_tables_of_the_code(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path}/migrated.db", MIGRATIONS)
    migrated = create_engine(f"sqlite:///{tmp_path}/migrated.db")
    made = create_engine(f"sqlite:///{tmp_path}/made.db")
    metadata.create_all(made)

    def shape(engine: object) -> dict[str, object]:
        look = inspect(engine)
        return {
            table: (
                sorted((c["name"], str(c["type"]), c["nullable"], c["primary_key"]) for c in look.get_columns(table)),
                sorted((i["name"] or "", tuple(i["column_names"])) for i in look.get_indexes(table)),
                sorted(tuple(u["column_names"]) for u in look.get_unique_constraints(table)),
                sorted((f["constrained_columns"][0], f["referred_table"], str(f["options"]))
                       for f in look.get_foreign_keys(table)),
            )
            for table in look.get_table_names()
            if table != "alembic_version"
        }  # fmt: skip

    assert shape(migrated) == shape(made)
    migrated.dispose()
    made.dispose()


def test_a_key_repository_rotates_and_mends_its_permissions(tmp_path: Path) -> None:
    keys = KeyRepository(tmp_path / "keys", max_active_keys=3)
    with pytest.raises(KeysMissing):
        keys.fernet()
    keys.ensure()
    sealed = keys.fernet().encrypt(b"x")
    staged = (tmp_path / "keys" / "0").read_bytes()
    keys.rotate()
    assert (tmp_path / "keys" / "2").read_bytes() == staged
    assert keys.fernet().decrypt(sealed) == b"x"
    keys.rotate()
    assert sorted(os.listdir(tmp_path / "keys")) == ["0", "2", "3"]
    os.chmod(tmp_path / "keys", 0o755)
    os.chmod(tmp_path / "keys" / "3", 0o644)
    keys.ensure()
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / "3").stat().st_mode & 0o777 == 0o600
    alone = KeyRepository(tmp_path / "one", max_active_keys=1)
    alone.ensure()
    for _ in range(3):
        alone.rotate()
    assert sorted(os.listdir(tmp_path / "one")) == ["0", "4"]
