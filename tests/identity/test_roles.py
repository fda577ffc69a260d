"""Stories of roles: what implies what, who has which where, and how it shows."""

from __future__ import annotations

from typing import Any

from tests.identity.make import Cloud


async def _assignments(here: Cloud, query: str, token: str | None = None) -> list[dict[str, Any]]:
    answer = await here.api.get(f"/v3/role_assignments?{query}", token=token or here.admin)
    assert answer.status == 200, answer.json
    return list(answer.json["role_assignments"])


async def test_implied_roles_make_no_circle_and_work_in_tokens(here: Cloud) -> None:
    member, reader = await here.role_id("member"), await here.role_id("reader")
    teller = (await here.make("roles", "role", name="teller"))["id"]
    path = f"/v3/roles/{reader}/implies/{teller}"
    assert (await here.api.put(path, token=here.admin)).status == 201
    assert (await here.api.put(path, token=here.admin)).status == 409
    assert (await here.api.request("HEAD", path, token=here.admin)).status == 204
    assert (await here.api.get(path, token=here.admin)).json["role_inference"]["implies"]["name"] == "teller"
    assert (await here.api.put(f"/v3/roles/{teller}/implies/{member}", token=here.admin)).status == 403
    admin = await here.role_id("admin")
    assert (await here.api.put(f"/v3/roles/{teller}/implies/{admin}", token=here.admin)).status == 403
    _u, _p, token = await here.member()
    assert "teller" in {r["name"] for r in (await here.shown(token)).json["token"]["roles"]}
    listed = (await here.api.get("/v3/role_inferences", token=here.admin)).json["role_inferences"]
    assert ("reader", ["teller"]) in [(i["prior_role"]["name"], [r["name"] for r in i["implies"]]) for i in listed]
    assert (await here.api.delete(path, token=here.admin)).status == 204
    assert (await here.api.get(path, token=here.admin)).status == 404
    assert "teller" not in {r["name"] for r in (await here.shown(token)).json["token"]["roles"]}


async def test_grants_are_made_listed_checked_and_taken(here: Cloud) -> None:
    user, project = await here.user(), await here.project()
    group, domain = await here.make("groups", "group", name="staff"), "default"
    for place in (f"projects/{project['id']}", f"domains/{domain}", "system"):
        for actor in (f"users/{user['id']}", f"groups/{group['id']}"):
            path = await here.grant(f"{place}/{actor}", "reader")
            assert (await here.api.put(path, token=here.admin)).status == 204, "again"
            assert (await here.api.request("HEAD", path, token=here.admin)).status == 204
            listed = await here.api.get(f"/v3/{place}/{actor}/roles", token=here.admin)
            assert [r["name"] for r in listed.json["roles"]] == ["reader"]
            assert (await here.api.delete(path, token=here.admin)).status == 204
            assert (await here.api.delete(path, token=here.admin)).status == 404
            assert (await here.api.request("HEAD", path, token=here.admin)).status == 404
    for wrong in (
        f"projects/{'0' * 32}/users/{user['id']}",
        f"projects/{project['id']}/users/{'0' * 32}",
        f"domains/{project['id']}/users/{user['id']}",
    ):
        path = f"/v3/{wrong}/roles/{await here.role_id('reader')}"
        assert (await here.api.put(path, token=here.admin)).status == 404


async def test_a_role_inherited_from_domain_or_project_works_below_only(here: Cloud) -> None:
    user, top = await here.user(), await here.project("top")
    leaf = await here.project("leaf", parent_id=top["id"])
    reader = await here.role_id("reader")
    inherit = f"/v3/OS-INHERIT/projects/{top['id']}/users/{user['id']}/roles/{reader}/inherited_to_projects"
    assert (await here.api.put(inherit, token=here.admin)).status == 204
    await here.token("ann", project=leaf["id"])
    await here.log_in("ann", "secret", expect=401, project=top["id"])
    assert (await here.api.delete(inherit, token=here.admin)).status == 204
    inherit = f"/v3/OS-INHERIT/domains/default/users/{user['id']}/roles/{reader}/inherited_to_projects"
    assert (await here.api.put(inherit, token=here.admin)).status == 204
    listed = f"/v3/OS-INHERIT/domains/default/users/{user['id']}/roles/inherited_to_projects"
    assert [r["name"] for r in (await here.api.get(listed, token=here.admin)).json["roles"]] == ["reader"]
    token = await here.token("ann", project=top["id"])
    await here.token("ann", project=leaf["id"])
    await here.log_in("ann", "secret", expect=401, domain="default")
    reached = (await here.api.get("/v3/auth/projects", token=token)).json["projects"]
    assert {p["name"] for p in reached} == {"admin", "service", "top", "leaf"}
    shown = await _assignments(here, f"user.id={user['id']}")
    assert shown[0]["scope"] == {"domain": {"id": "default"}, "OS-INHERIT:inherited_to": "projects"}
    shown = await _assignments(here, f"user.id={user['id']}&effective&scope.project.id={leaf['id']}")
    assert [a["scope"]["project"]["id"] for a in shown] == [leaf["id"]]
    assert "/OS-INHERIT/domains/default/" in shown[0]["links"]["assignment"]


async def test_effective_assignments_tell_where_they_come_from(here: Cloud) -> None:
    user, project = await here.user(), await here.project()
    group = await here.make("groups", "group", name="staff")
    await here.api.put(f"/v3/groups/{group['id']}/users/{user['id']}", token=here.admin)
    await here.grant(f"projects/{project['id']}/groups/{group['id']}")
    granted = await _assignments(here, f"scope.project.id={project['id']}")
    assert [(a["group"]["id"], "user" in a) for a in granted] == [(group["id"], False)]
    works = await _assignments(here, f"scope.project.id={project['id']}&effective&include_names")
    assert {(a["user"]["name"], a["role"]["name"]) for a in works} == {("ann", "member"), ("ann", "reader")}
    assert all(a["links"]["membership"].endswith(f"/groups/{group['id']}/users/{user['id']}") for a in works)
    implied = next(a for a in works if a["role"]["name"] == "reader")
    assert implied["links"]["prior_role"].endswith(await here.role_id("member"))
    assert implied["scope"]["project"]["domain"] == {"id": "default", "name": "Default"}
    for bad in (
        "effective&group.id=x", "effective&scope.OS-INHERIT:inherited_to=projects", "include_subtree",
        "scope.project.id=x&scope.domain.id=y", "user.id=x&group.id=y", "scope.OS-INHERIT:inherited_to=domains",
    ):  # fmt: skip
        assert (await here.api.get(f"/v3/role_assignments?{bad}", token=here.admin)).status == 400, bad


async def test_roles_of_a_domain_stay_in_it_and_count_for_what_they_imply(here: Cloud) -> None:
    domain = await here.make("domains", "domain", name="Acme")
    role = await here.make("roles", "role", name="clerk", domain_id=domain["id"])
    await here.api.put(f"/v3/roles/{role['id']}/implies/{await here.role_id('reader')}", token=here.admin)
    user = await here.user()
    inside = await here.project("web", domain_id=domain["id"])
    outside = await here.project("web")
    path = f"/v3/projects/{{}}/users/{user['id']}/roles/{role['id']}"
    assert (await here.api.put(path.format(outside["id"]), token=here.admin)).status == 403
    assert (await here.api.put(path.format(inside["id"]), token=here.admin)).status == 204
    shown = (await here.log_in("ann", "secret", project=inside["id"])).json["token"]
    assert [r["name"] for r in shown["roles"]] == ["reader"]
    names = {r["name"] for r in (await here.api.get("/v3/roles", token=here.admin)).json["roles"]}
    assert "clerk" not in names
    listed = await here.api.get(f"/v3/roles?domain_id={domain['id']}", token=here.admin)
    assert [r["name"] for r in listed.json["roles"]] == ["clerk"]


async def test_what_each_persona_may_do(here: Cloud) -> None:
    """Rows of (who, request, status): admin, project member and reader, domain reader and manager, system reader."""
    domain = await here.make("domains", "domain", name="Acme")
    other = await here.user("other")
    inside = await here.make("users", "user", name="ina", password="secret", domain_id=domain["id"])
    place = await here.make("projects", "project", name="shop", domain_id=domain["id"])
    _u, project_id, member = await here.member("ann", "web")
    tokens = {"member": member}
    for name, path, role, scope in (
        ("domain_reader", f"domains/{domain['id']}", "reader", {"domain": domain["id"]}),
        ("domain_manager", f"domains/{domain['id']}", "manager", {"domain": domain["id"]}),
        ("system_reader", "system", "reader", {"system": True}),
    ):
        user = await here.user(name)
        await here.grant(f"{path}/users/{user['id']}", role)
        tokens[name] = await here.token(name, **scope)
    reader, admin = await here.role_id("reader"), await here.role_id("admin")
    grant = f"/v3/projects/{place['id']}/users/{inside['id']}/roles"
    for who, method, path, status in (
        ("member", "GET", "/v3/users", 403),
        ("member", "GET", f"/v3/users/{other['id']}", 403),
        ("member", "GET", f"/v3/users/{'0' * 32}", 403),
        ("member", "GET", f"/v3/projects/{project_id}", 200),
        ("member", "GET", f"/v3/projects/{place['id']}", 403),
        ("member", "GET", "/v3/services", 403),
        ("member", "GET", "/v3/regions", 200),
        ("member", "GET", "/v3/role_assignments", 403),
        ("member", "GET", "/v3/domains", 403),
        ("domain_reader", "GET", "/v3/users", 200),
        ("domain_reader", "GET", f"/v3/users/{inside['id']}", 200),
        ("domain_reader", "GET", f"/v3/users/{other['id']}", 403),
        ("domain_reader", "DELETE", f"/v3/users/{inside['id']}", 403),
        ("domain_reader", "GET", f"{grant}", 200),
        ("domain_reader", "PUT", f"{grant}/{reader}", 403),
        ("domain_manager", "GET", f"/v3/projects/{place['id']}", 200),
        ("domain_manager", "PUT", f"{grant}/{reader}", 204),
        ("domain_manager", "PUT", f"{grant}/{admin}", 403),
        ("domain_manager", "PUT", f"/v3/projects/{project_id}/users/{inside['id']}/roles/{reader}", 403),
        ("domain_manager", "DELETE", f"/v3/users/{other['id']}", 403),
        ("domain_manager", "DELETE", f"/v3/users/{inside['id']}", 204),
        ("system_reader", "GET", "/v3/users", 200),
        ("system_reader", "GET", "/v3/role_assignments", 200),
        ("system_reader", "DELETE", f"/v3/users/{other['id']}", 403),
        ("system_reader", "GET", "/v3/endpoints", 200),
    ):
        answer = await here.api.request(method, path, token=tokens[who])
        assert answer.status == status, (who, method, path, answer.json)
    listed = await here.api.get("/v3/users", token=tokens["domain_reader"])
    assert listed.json["users"] == [], "only its own domain's, and ina is gone"
    made = await here.api.post("/v3/users", token=tokens["domain_manager"], json={"user": {"name": "new"}})
    assert made.json["user"]["domain_id"] == domain["id"]
    body = {"user": {"name": "sly", "domain_id": "default"}}
    assert (await here.api.post("/v3/users", token=tokens["domain_manager"], json=body)).status == 403
    shown = await _assignments(here, "", tokens["domain_reader"])
    assert {next(iter(a["scope"])) for a in shown} == {"domain"}
