"""The pure rules: expansion of roles, revocation, catalog, the form of tokens."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.identity.drivers.keys import KeyRepository
from kilonova.identity.errors import NoSuchToken
from kilonova.identity.model.catalog import is_valid_template, url_for
from kilonova.identity.model.nouns import Assignment
from kilonova.identity.model.revocation import Event, matches
from kilonova.identity.model.roles import expand, reaches, with_implied
from kilonova.identity.model.token import Scope, Token, next_audit_ids
from kilonova.identity.tokens import TokenFormat

NOW = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
TOKEN = Token("u" * 32, ("password",), Scope("project", "p" * 32), ("a" * 22,), NOW, NOW + timedelta(hours=1))

_graph = st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=4), max_size=6)


@given(_graph, st.lists(st.sampled_from("abcdef"), max_size=3))
def test_implied_roles_are_a_closure(graph: dict[str, list[str]], start: list[str]) -> None:
    found = with_implied(start, graph)
    assert len(set(found)) == len(found)
    assert set(start) <= set(found)
    assert all(implied in found for role in found for implied in graph.get(role, ()))
    assert with_implied(found, graph) == found or set(with_implied(found, graph)) == set(found)
    assert all(any(reaches(s, f, graph) for s in start) for f in found)


@pytest.mark.parametrize(
    ("members", "ends"),
    [
        ({}, True),
        ({"user_id": "u" * 32}, True),
        ({"user_id": "other"}, False),
        ({"user_id": "u" * 32, "project_id": "p" * 32}, True),
        ({"user_id": "u" * 32, "project_id": "other"}, False),
        ({"domain_id": "default"}, True),
        ({"domain_id": "other"}, False),
        ({"audit_id": "a" * 22}, True),
        ({"audit_id": "b" * 22}, False),
        ({"audit_chain_id": "a" * 22}, True),
        ({"trust_id": "t"}, False),
    ],
)
def test_an_event_ends_what_agrees_with_all_it_names(members: dict[str, str], ends: bool) -> None:
    event = Event(NOW, NOW, **members)
    said = frozenset({"default"}), frozenset({TOKEN.user_id})
    assert matches(event, TOKEN, *said) is ends
    later = replace(TOKEN, issued_at=NOW + timedelta(microseconds=1))
    assert matches(event, later, *said) is False


def test_expansion_tells_each_person_place_and_role() -> None:
    granted = [
        Assignment("group", "g", "domain", "d", "member", True),
        Assignment("user", "u", "project", "p", "reader", False),
    ]
    worked = expand(
        granted,
        members={"g": ["u", "v"]},
        below={("domain", "d"): ["p", "q"]},
        implications={"member": ["reader"]},
    )
    found = [(e.assignment.actor_id, e.assignment.target_id, e.assignment.role_id, e.via_group) for e in worked]
    assert sorted(found, key=str) == sorted(
        [(u, p, r, "g") for u in "uv" for p in "pq" for r in ("member", "reader")] + [("u", "p", "reader", None)],
        key=str,
    )


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("http://x/v3", "http://x/v3"),
        ("http://x/%(project_id)s ", "http://x/P"),
        ("http://x/$(tenant_id)s", "http://x/P"),
        ("http://x/%(user_id)s", None),
        ("http://x/%(unknown)s", None),
        ("http://x/%(project_id)", None),
        ("http://x/100%", "http://x/100%"),
    ],
)
def test_addresses_are_filled_or_left_out(template: str, url: str | None) -> None:
    assert url_for(template, {"project_id": "P", "tenant_id": "P", "user_id": None}) == url


def test_templates_that_can_never_be_filled_are_known() -> None:
    assert is_valid_template("http://x/$(project_id)s/%(user_id)s")
    assert not is_valid_template("http://x/%(password)s")
    assert not is_valid_template("http://x/%(project_id.__class__)s")


_ids = st.one_of(st.uuids().map(lambda u: u.hex), st.text("abcdefABC-123", min_size=1, max_size=64))


@given(
    user=_ids,
    scope=st.one_of(st.just(Scope()), st.builds(Scope, st.sampled_from(["project", "domain"]), _ids)),
    methods=st.lists(st.sampled_from(["password", "token", "application_credential"]), unique=True, min_size=1),
    issued=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)
def test_a_token_says_after_its_journey_what_it_said_before(
    user: str, scope: Scope, methods: list[str], issued: datetime
) -> None:
    form = _form()
    ends = issued + timedelta(hours=1)
    token = Token(user, tuple(methods), scope, next_audit_ids(TOKEN), issued, ends, None, None)
    back = form.open(form.seal(token))
    assert replace(back, methods=()) == replace(token, methods=())
    assert set(back.methods) == set(methods)


@given(st.text(max_size=300))
def test_no_text_opens_unless_it_was_sealed(text: str) -> None:
    with pytest.raises(NoSuchToken):
        _form().open(text)


_KEPT: list[TokenFormat] = []


def _form() -> TokenFormat:
    if not _KEPT:
        import tempfile

        keys = KeyRepository(Path(tempfile.mkdtemp()) / "keys")
        keys.ensure()
        _KEPT.append(TokenFormat(keys))
    return _KEPT[0]
