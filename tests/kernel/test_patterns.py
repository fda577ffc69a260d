"""Regular expressions of users."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, MetaData, String, Table, insert, select

from kilonova.kernel.db.patterns import BadPattern, check_pattern, matches
from kilonova.kernel.testing import memory_database


@pytest.mark.parametrize("pattern", ["(", "a{", "(?=a)", "x" * 256])
def test_what_cannot_be_used_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        check_pattern(pattern, "name")


def test_a_hostile_pattern_costs_no_more_than_any_other() -> None:
    check_pattern("(a+)+$", "name")
    assert not matches("(a+)+$", "a" * 250 + "b")
    assert not matches("a", None)


async def test_the_database_matches_anywhere_in_the_text() -> None:
    metadata = MetaData()
    table = Table("things", metadata, Column("name", String(255)))
    db = memory_database(metadata)
    async with db.transaction() as tx:
        await tx.run(insert(table), [{"name": name} for name in ("web-1", "web-22", "db-1", None)])
        wanted = select(table.c.name).where(table.c.name.regexp_match("^web-[0-9]$")).order_by(table.c.name)
        assert await tx.column(wanted) == ["web-1"]
