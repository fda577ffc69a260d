"""Stories of users, groups, projects and domains."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.identity.make import Cloud, cloud


async def test_a_user_keeps_what_else_is_said_about_them(here: Cloud) -> None:
    user = await here.user("ann", email="a@b.c", shoe_size=42, options={"lock_password": True})
    assert "password" not in user
    assert (user["email"], user["shoe_size"], user["enabled"]) == ("a@b.c", 42, True)
    assert user["links"]["self"] == f"http://cloud.test/v3/users/{user['id']}"
    changed = await here.api.patch(
        f"/v3/users/{user['id']}", token=here.admin, json={"user": {"shoe_size": None, "name": "anna"}}
    )
    assert changed.json["user"]["name"] == "anna"
    assert "shoe_size" not in changed.json["user"]
    assert changed.json["user"]["options"] == {"lock_password": True}


async def test_names_are_unique_within_a_domain(here: Cloud) -> None:
    domain = await here.make("domains", "domain", name="Acme")
    for path, word in (("users", "user"), ("groups", "group"), ("projects", "project")):
        await here.make(path, word, name="same")
        await here.make(path, word, name="same", domain_id=domain["id"])
        answer = await here.api.post(f"/v3/{path}", token=here.admin, json={word: {"name": "same"}})
        assert answer.status == 409
        assert answer.json["error"]["title"] == "Conflict"
    assert (await here.api.post("/v3/domains", token=here.admin, json={"domain": {"name": "Acme"}})).status == 409


async def test_what_is_fixed_stays_fixed(here: Cloud) -> None:
    domain = await here.make("domains", "domain", name="Acme")
    for path, word in (("users", "user"), ("groups", "group"), ("projects", "project")):
        made = await here.make(path, word, name="x")
        answer = await here.api.patch(
            f"/v3/{path}/{made['id']}", token=here.admin, json={word: {"domain_id": domain["id"]}}
        )
        assert answer.status == 400


async def test_weak_passwords_are_refused(tmp_path: Path) -> None:
    here = await cloud(
        tmp_path, password_regex=r"^(?=.*\d).{7,}$", password_regex_description="7 characters, one a digit",
        unique_last_passwords=2, password_expires_days=10,
    )  # fmt: skip
    answer = await here.api.post("/v3/users", token=here.admin, json={"user": {"name": "a", "password": "short"}})
    assert answer.status == 400
    assert "7 characters, one a digit" in answer.json["error"]["message"]
    user = await here.user("ann", "secret-1")
    assert user["password_expires_at"] == "2026-01-11T00:00:00.000000Z"
    path = f"/v3/users/{user['id']}/password"

    async def change(old: str, new: str) -> int:
        body = {"user": {"original_password": old, "password": new}}
        return (await here.api.post(path, token=None, json=body)).status

    assert await change("secret-1", "secret-1") == 400
    assert await change("secret-1", "secret-2") == 204
    assert await change("secret-2", "secret-1") == 400
    assert await change("secret-2", "secret-3") == 204
    assert await change("secret-3", "secret-1") == 204
    await here.clock.advance(11 * 86400)
    answer = await here.log_in("ann", "secret-1", expect=401)
    assert user["id"] in answer.json["error"]["message"], "whoever knows the password is told to change it"
    assert await change("secret-1", "secret-4") == 204
    await here.clock.advance(1)
    await here.log_in("ann", "secret-4")


async def test_an_account_is_locked_after_failures_and_says_nothing_of_it(tmp_path: Path) -> None:
    here = await cloud(tmp_path, lockout_failures=3, lockout_s=60)
    user = await here.user("ann")
    exempt = await here.user("bob", options={"ignore_lockout_failure_attempts": True})
    for _ in range(2):
        await here.log_in("ann", "wrong", expect=401)
    await here.log_in("ann", "secret")
    for _ in range(3):
        refused = await here.log_in("ann", "wrong", expect=401)
        await here.log_in("bob", "wrong", expect=401)
    locked = await here.log_in("ann", "secret", expect=401)
    assert locked.body == refused.body == (await here.log_in("nobody", "x", expect=401)).body
    body = {"user": {"original_password": "secret", "password": "other"}}
    assert (await here.api.post(f"/v3/users/{user['id']}/password", token=None, json=body)).status == 401
    await here.log_in("bob", "secret")
    await here.clock.advance(61)
    await here.log_in("ann", "wrong", expect=401)
    await here.log_in("ann", "secret")
    assert exempt["options"]["ignore_lockout_failure_attempts"] is True


async def test_each_byte_of_a_long_password_counts(here: Cloud) -> None:
    await here.user("ann", "x" * 100 + "a")
    await here.log_in("ann", "x" * 100 + "b", expect=401)
    await here.log_in("ann", "x" * 100 + "a")
    answer = await here.api.post("/v3/users", token=here.admin, json={"user": {"name": "b", "password": "x" * 5000}})
    assert answer.status == 400


async def test_a_user_without_a_password_cannot_log_in(here: Cloud) -> None:
    made = await here.make("users", "user", name="ann")
    assert made["password_expires_at"] is None
    await here.log_in("ann", "", expect=401)
    await here.log_in("ann", "secret", expect=401)


async def test_the_tree_of_projects(here: Cloud) -> None:
    top = await here.project("top")
    mid = await here.project("mid", parent_id=top["id"])
    leaf = await here.project("leaf", parent_id=mid["id"])
    assert (top["parent_id"], leaf["domain_id"]) == ("default", "default")

    async def show(query: str) -> dict[str, object]:
        answer = await here.api.get(f"/v3/projects/{mid['id']}?{query}", token=here.admin)
        return dict(answer.json["project"])

    assert (await show("subtree_as_ids"))["subtree"] == {leaf["id"]: None}
    assert (await show("parents_as_ids"))["parents"] == {top["id"]: None}
    assert (await show("subtree_as_list"))["subtree"][0]["project"]["id"] == leaf["id"]  # type: ignore[index]
    listed = await here.api.get(f"/v3/projects?parent_id={top['id']}", token=here.admin)
    assert [p["id"] for p in listed.json["projects"]] == [mid["id"]]
    assert (await here.api.delete(f"/v3/projects/{mid['id']}", token=here.admin)).status == 403
    assert (await here.api.delete(f"/v3/projects/{leaf['id']}", token=here.admin)).status == 204
    assert (await here.api.delete(f"/v3/projects/{mid['id']}", token=here.admin)).status == 204
    answer = await here.api.post(
        "/v3/projects", token=here.admin, json={"project": {"name": "x", "parent_id": "0" * 32}}
    )
    assert answer.status == 400
    deep = top
    for level in range(4):
        deep = await here.project(f"d{level}", parent_id=deep["id"])
    answer = await here.api.post(
        "/v3/projects", token=here.admin, json={"project": {"name": "x", "parent_id": deep["id"]}}
    )
    assert answer.status == 403


async def test_a_project_that_is_a_domain_is_one(here: Cloud) -> None:
    made = await here.project("Acme", is_domain=True)
    assert (made["domain_id"], made["parent_id"], made["is_domain"]) == (None, None, True)
    assert (await here.api.get(f"/v3/domains/{made['id']}", token=here.admin)).json["domain"]["name"] == "Acme"
    listed = await here.api.get("/v3/projects?is_domain=true", token=here.admin)
    assert {p["name"] for p in listed.json["projects"]} == {"Acme", "Default"}
    listed = await here.api.get("/v3/projects", token=here.admin)
    assert {p["name"] for p in listed.json["projects"]} == {"admin", "service"}
    assert (await here.api.delete(f"/v3/projects/{made['id']}", token=here.admin)).status == 403


async def test_tags(here: Cloud) -> None:
    red, blue = await here.project("red", tags=["red", "all"]), await here.project("blue", tags=["blue", "all"])
    path = f"/v3/projects/{red['id']}/tags"

    async def names(query: str) -> set[str]:
        listed = (await here.api.get(f"/v3/projects?{query}", token=here.admin)).json["projects"]
        return {p["name"] for p in listed}

    assert await names("tags=red,all") == {"red"}
    assert await names("tags-any=red,blue") == {"red", "blue"}
    assert await names("not-tags=all") == {"admin", "service"}
    assert await names("not-tags-any=red") == {"admin", "service", "blue"}
    assert (await here.api.put(f"{path}/green", token=here.admin)).status == 201
    assert (await here.api.get(f"{path}/green", token=here.admin)).status == 204
    assert (await here.api.get(path, token=here.admin)).json["tags"] == ["all", "green", "red"]
    assert (await here.api.delete(f"{path}/green", token=here.admin)).status == 204
    assert (await here.api.get(f"{path}/green", token=here.admin)).status == 404
    answer = await here.api.put(path, token=here.admin, json={"tags": ["one"]})
    assert answer.json["tags"] == ["one"]
    assert (await here.api.put(path, token=here.admin, json={"tags": ["a,b"]})).status == 400
    assert (await here.api.delete(path, token=here.admin)).status == 204
    assert blue["tags"] == ["all", "blue"]


async def test_a_domain_goes_with_everything_in_it_once_it_is_disabled(here: Cloud) -> None:
    domain = await here.make("domains", "domain", name="Acme")
    path, inside = f"/v3/domains/{domain['id']}", {"domain_id": domain["id"]}
    user = await here.make("users", "user", name="ann", password="secret", **inside)
    project = await here.make("projects", "project", name="web", **inside)
    group = await here.make("groups", "group", name="staff", **inside)
    role = await here.make("roles", "role", name="teller", **inside)
    await here.grant(f"projects/{project['id']}/users/{user['id']}")
    await here.grant(f"projects/{here.first.admin_project_id}/groups/{group['id']}")
    assert (await here.api.delete(path, token=here.admin)).status == 403
    await here.api.patch(path, token=here.admin, json={"domain": {"enabled": False}})
    assert (await here.api.delete(path, token=here.admin)).status == 204
    for noun, made in (("users", user), ("projects", project), ("groups", group), ("roles", role)):
        assert (await here.api.get(f"/v3/{noun}/{made['id']}", token=here.admin)).status == 404
    left = (await here.api.get("/v3/role_assignments", token=here.admin)).json["role_assignments"]
    assert not [a for a in left if a.get("user", {}).get("id") == user["id"] or "group" in a]
    assert (await here.api.delete("/v3/domains/default", token=here.admin)).status == 403


async def test_what_is_immutable_is_first_released(here: Cloud) -> None:
    for path, word in (("projects", "project"), ("roles", "role"), ("domains", "domain")):
        made = await here.make(path, word, name="rock", options={"immutable": True})
        one = f"/v3/{path}/{made['id']}"
        assert (await here.api.patch(one, token=here.admin, json={word: {"name": "sand"}})).status == 403
        assert (await here.api.delete(one, token=here.admin)).status == 403
        freed = await here.api.patch(one, token=here.admin, json={word: {"options": {"immutable": None}}})
        assert (freed.status, freed.json[word]["options"]) == (200, {})
        freed = await here.api.patch(one, token=here.admin, json={word: {"description": "soft"}})
        assert freed.status == 200


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=ann", {"ann"}),
        ("name__contains=nn", {"ann", "Annie"}),
        ("name__startswith=an", {"ann"}),
        ("name__istartswith=AN", {"ann", "Annie"}),
        ("name__endswith=%25", {"100%"}),
        ("name__contains=_", set()),
        ("name__iendswith=IE", {"Annie"}),
        ("enabled=false", {"Annie"}),
        ("enabled=0&name__icontains=ann", {"Annie"}),
        ("domain_id=nowhere", set()),
        ("colour=blue&name=ann", {"ann"}),
    ],
)
async def test_filters(here: Cloud, query: str, names: set[str]) -> None:
    await here.user("ann")
    await here.user("Annie", enabled=False)
    await here.user("100%")
    listed = await here.api.get(f"/v3/users?{query}", token=here.admin)
    assert {u["name"] for u in listed.json["users"]} == names


async def test_pages_join_to_the_whole(here: Cloud) -> None:
    for number in range(7):
        await here.project(f"p{number}")
    path, seen = "/v3/projects?limit=4", []
    while path:
        page = (await here.api.get(path, token=here.admin)).json
        assert len(page["projects"]) <= 4
        assert page["links"]["previous"] is None
        assert "truncated" not in page
        seen += [p["name"] for p in page["projects"]]
        path = (page["links"]["next"] or "").removeprefix("http://cloud.test")
    assert sorted(seen) == sorted(["admin", "service", *(f"p{n}" for n in range(7))])
    assert (await here.api.get("/v3/projects?limit=0", token=here.admin)).status == 400
    assert (await here.api.get("/v3/projects?limit=many", token=here.admin)).status == 400


async def test_lists_are_cut_to_the_configured_length_and_say_so(tmp_path: Path) -> None:
    here = await cloud(tmp_path, list_limit=2)
    listed = (await here.api.get("/v3/roles", token=here.admin)).json
    assert len(listed["roles"]) == 2
    assert listed["truncated"] is True
    assert "marker=" in listed["links"]["next"]
    listed = (await here.api.get("/v3/domains", token=here.admin)).json
    assert "truncated" not in listed
