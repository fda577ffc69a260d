"""Access rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from kilonova.kernel.context import Context
from kilonova.kernel.errors import Forbidden
from kilonova.kernel.policy import ADMIN, PROJECT_MEMBER_OR_ADMIN, Policies, Rule

RULES = (Rule("a:write", PROJECT_MEMBER_OR_ADMIN), Rule("a:admin", ADMIN), Rule("a:own", "user_id:%(target_user)s"))
MEMBER = Context(user_id="u", project_id="p", roles=("member", "reader"))
READER = Context(user_id="u", project_id="p", roles=("reader",))
ADMINISTRATOR = Context(user_id="a", project_id="q", roles=("admin", "member", "reader"))


def test_roles_and_projects_decide() -> None:
    policies = Policies(RULES)
    for _ in range(2):
        assert policies.may("a:write", MEMBER, {"project_id": "p"})
        assert not policies.may("a:write", MEMBER, {"project_id": "q"})
        assert not policies.may("a:write", READER, {"project_id": "p"})
        assert policies.may("a:write", ADMINISTRATOR, {"project_id": "p"})


def test_a_caller_without_a_project_owns_no_object_without_a_project() -> None:
    nobody = Context(user_id="u", roles=("member",))
    assert not Policies(RULES).may("a:write", nobody, {"project_id": None})


def test_rules_may_look_at_any_fact_of_the_target() -> None:
    policies = Policies(RULES)
    assert policies.may("a:own", MEMBER, {"target_user": "u"})
    assert not policies.may("a:own", MEMBER, {"target_user": "v"})


def test_a_remembered_decision_is_one_for_the_same_domain_and_owner() -> None:
    policies = Policies((Rule("x", "is_admin:1 or (role:reader and domain_id:%(target.domain_id)s)"),))
    reader = Context(user_id="u", domain_id="d", roles=("reader",))
    for _ in range(2):
        assert policies.may("x", reader, {"target.domain_id": "d"})
        assert not policies.may("x", reader, {"target.domain_id": "e"})
        assert not policies.may("x", READER, {"target.domain_id": "d"})
        assert not policies.may("x", READER, {})
        assert not policies.may("x", ADMINISTRATOR, {}), "is_admin:1 is upstream's bootstrap token, which we have not"


def test_a_token_of_another_scope_does_not_pass_where_scopes_are_enforced() -> None:
    rows = (Rule("x", ADMIN, scope_types=("system", "project")), Rule("y", ADMIN, scope_types=()))
    domain = Context(user_id="u", domain_id="d", roles=("admin",))
    system = Context(user_id="u", system_scope="all", roles=("admin",))
    policies = Policies(rows, enforce_scope=True)
    assert policies.may("x", ADMINISTRATOR, {})
    assert policies.may("x", system, {})
    assert not policies.may("x", domain, {})
    assert policies.may("y", domain, {})
    assert Policies(rows).may("x", domain, {})


def test_a_file_replaces_defaults(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('"a:admin": "role:reader"\n')
    policies = Policies(RULES, file=file)
    assert policies.may("a:admin", READER, {})
    assert not policies.may("a:write", READER, {"project_id": "p"})


def test_a_refusal_names_the_rule() -> None:
    with pytest.raises(Forbidden, match="a:admin"):
        Policies(RULES).check("a:admin", MEMBER, {})


def test_a_field_of_the_target_decides_and_a_decision_for_one_target_is_not_taken_for_another():
    policies = Policies(
        [
            Rule("shared", "field:networks:shared=True"),
            Rule("external", "field:networks:router:external=True"),
            Rule("of_the_network", "field:port:device_owner=~^network:"),
            Rule("get", "project_id:%(network:project_id)s or rule:shared or rule:external"),
            Rule("change", "not rule:of_the_network"),
        ]
    )
    caller = Context(project_id="mine", roles=("reader",))
    for _ in range(2):
        assert not policies.may("get", caller, {"shared": False})
        assert policies.may("get", caller, {"shared": True})
        assert policies.may("get", caller, {"router:external": True})
        assert policies.may("get", caller, {"network:project_id": "mine"})
        assert not policies.may("get", caller, {"network:project_id": "other"})
        assert not policies.may("change", caller, {"device_owner": "network:router_interface"})
        assert policies.may("change", caller, {"device_owner": "compute:nova"})
