"""Values of OVSDB to and from the wire. Pure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.kernel.ovsdb.wire import Named, Schema, Uuid, decode, encode, merge, with_defaults

SCHEMA = Schema.parse(
    {
        "name": "Toys",
        "version": "1.0.0",
        "tables": {
            "Toy": {
                "isRoot": True,
                "columns": {
                    "name": {"type": "string"},
                    "wheels": {"type": "integer"},
                    "broken": {"type": {"key": "boolean", "min": 0, "max": 1}},
                    "box": {"type": {"key": {"type": "uuid", "refTable": "Box"}, "min": 0, "max": 1}},
                    "friends": {"type": {"key": {"type": "uuid", "refTable": "Toy"}, "min": 0, "max": "unlimited"}},
                    "words": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
                },
            },
            "Box": {"columns": {"size": {"type": {"key": {"type": "integer"}}}}},
        },
    }
)
TOY = SCHEMA.tables["Toy"]


def test_what_the_schema_says() -> None:
    assert {name: column.shape for name, column in TOY.columns.items()} == {
        "name": "one", "wheels": "one", "broken": "optional", "box": "optional", "friends": "set", "words": "map",
    }  # fmt: skip
    assert (TOY.is_root, SCHEMA.tables["Box"].is_root) == (True, False)


@pytest.mark.parametrize(
    ("column", "raw", "value"),
    [
        ("wheels", 4, 4),
        ("broken", ["set", []], None),
        ("broken", True, True),
        ("box", ["uuid", "u1"], Uuid("u1")),
        ("friends", ["uuid", "u1"], {Uuid("u1")}),  # a set of one comes bare
        ("friends", ["set", [["uuid", "u1"], ["uuid", "u2"]]], {Uuid("u1"), Uuid("u2")}),
        ("words", ["map", [["a", "b"]]], {"a": "b"}),
    ],
)
def test_values_from_the_wire(column: str, raw: Any, value: Any) -> None:
    assert decode(TOY.columns[column], raw) == value


def test_values_to_the_wire() -> None:
    assert encode(None) == ["set", []]
    assert encode(Uuid("u")) == ["uuid", "u"]
    assert encode({Named("n")}) == ["set", [["named-uuid", "n"]]]
    assert encode({"a": "b"}) == ["map", [["a", "b"]]]
    assert encode(3) == 3


def test_columns_left_out_have_their_default_each_row_its_own() -> None:
    one, two = (with_defaults(TOY, TOY.columns, {"name": name}) for name in "ab")
    assert one == {"name": "a", "wheels": 0, "broken": None, "box": None, "friends": set(), "words": {}}
    one["friends"].add("x")
    assert two["friends"] == set()


WORDS = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=4)


@given(WORDS, WORDS)
def test_a_map_is_what_its_difference_says(old: dict[str, str], new: dict[str, str]) -> None:
    gone = {key: value for key, value in old.items() if key not in new}
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    raw = ["map", [[key, value] for key, value in {**gone, **changed}.items()]]
    assert merge(TOY.columns["words"], old, raw) == new


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_a_set_is_what_its_difference_says(old: set[int], new: set[int]) -> None:
    uuids = {Uuid(str(one)) for one in old}
    raw = ["set", [["uuid", str(one)] for one in old ^ new]]
    assert merge(TOY.columns["friends"], uuids, raw) == {Uuid(str(one)) for one in new}
