"""Stories of tokens: who gets one, what it says, and when it stops to hold."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.identity.make import ADMIN_PASSWORD, Cloud, cloud


async def test_a_project_token_says_who_where_and_what_for(here: Cloud) -> None:
    answer = await here.log_in("admin", ADMIN_PASSWORD, project=here.first.admin_project_id)
    token = answer.json["token"]
    assert answer.headers["vary"] == "X-Auth-Token"
    assert len(answer.headers["x-subject-token"]) < 300
    assert token["user"]["name"] == "admin"
    assert token["user"]["domain"] == {"id": "default", "name": "Default"}
    assert token["project"]["id"] == here.first.admin_project_id
    assert token["is_domain"] is False
    assert {r["name"] for r in token["roles"]} == {"admin", "manager", "member", "reader"}
    assert token["methods"] == ["password"]
    assert len(token["audit_ids"]) == 1
    assert token["issued_at"] == "2026-01-01T00:00:00.000000Z"
    assert token["expires_at"] == "2026-01-01T01:00:00.000000Z"
    by_type = {entry["type"]: entry for entry in token["catalog"]}
    assert set(by_type) == {"identity", "compute", "image", "network", "placement"}
    assert {e["interface"] for e in by_type["compute"]["endpoints"]} == {"public", "internal", "admin"}
    assert by_type["compute"]["endpoints"][0]["url"] == "http://cloud.test/compute/v2.1"
    assert by_type["compute"]["endpoints"][0]["region_id"] == "RegionOne"


async def test_showing_a_token_gives_what_issuing_gave(here: Cloud) -> None:
    answer = await here.log_in("admin", ADMIN_PASSWORD, project=here.first.admin_project_id)
    text = answer.headers["x-subject-token"]
    shown = await here.shown(text)
    assert shown.status == 200
    assert shown.json == answer.json
    assert shown.headers["x-subject-token"] == text
    bare = await here.shown(text, "?nocatalog")
    assert "catalog" not in bare.json["token"]
    assert {**shown.json["token"], "catalog": 0} == {**bare.json["token"], "catalog": 0}
    head = await here.api.request("HEAD", "/v3/auth/tokens", token=here.admin, headers={"X-Subject-Token": text})
    assert head.status == 200
    assert head.body == b""


async def test_scopes_of_domain_system_and_none(here: Cloud) -> None:
    domain = (await here.log_in("admin", ADMIN_PASSWORD, domain="default")).json["token"]
    assert domain["domain"] == {"id": "default", "name": "Default"}
    assert "project" not in domain
    system = (await here.log_in("admin", ADMIN_PASSWORD, system=True)).json["token"]
    assert system["system"] == {"all": True}
    assert system["catalog"]
    bare = await here.log_in("admin", ADMIN_PASSWORD, unscoped=True)
    assert not {"project", "domain", "system", "roles", "catalog"} & bare.json["token"].keys()
    refused = await here.api.get("/v3/auth/catalog", token=bare.headers["x-subject-token"])
    assert refused.status == 403


async def test_without_a_scope_the_default_project_is_taken_if_it_can(here: Cloud) -> None:
    user_id, project_id, _token = await here.member()
    await here.api.patch(f"/v3/users/{user_id}", token=here.admin, json={"user": {"default_project_id": project_id}})
    assert (await here.log_in("ann", "secret")).json["token"]["project"]["id"] == project_id
    await here.api.patch(f"/v3/projects/{project_id}", token=here.admin, json={"project": {"enabled": False}})
    assert "project" not in (await here.log_in("ann", "secret")).json["token"]


async def test_each_way_to_fail_gives_the_same_answer(here: Cloud) -> None:
    _user_id, _project_id, _token = await here.member()
    await here.user("bob", enabled=False)
    told = []
    for name, password, scope in (
        ("ann", "wrong", {}),
        ("nobody-there", "secret", {}),
        ("bob", "secret", {}),
        ("ann", "secret", {"project": "0" * 32}),
        ("ann", "secret", {"project": here.first.admin_project_id}),
        ("ann", "secret", {"domain": "default"}),
        ("ann", "secret", {"system": True}),
    ):
        answer = await here.log_in(name, password, expect=401, **scope)
        assert "Keystone uri=" in answer.headers["www-authenticate"]
        told.append(answer.body)
    assert len(set(told)) == 1
    assert told[0].startswith(b'{"error":{"code":401')


async def test_a_wrong_name_costs_as_much_hashing_as_a_wrong_password(here: Cloud) -> None:
    checked: list[str | None] = []
    whole = here.parts.hasher._check
    here.parts.hasher._check = lambda password, hashed: checked.append(hashed) or whole(password, hashed)  # type: ignore
    await here.log_in("nobody-there", "x", expect=401)
    await here.log_in("admin", "x", expect=401)
    assert len(checked) == 2


async def test_bodies_that_make_no_sense_are_bad_requests(here: Cloud) -> None:
    bad: list[Any] = [
        {},
        {"auth": []},
        {"auth": {"identity": {}}},
        {"auth": {"identity": {"methods": "password"}}},
        {"auth": {"identity": {"methods": ["password"]}}},
        {"auth": {"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}}},
        {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": 5, "password": "x"}}}}},
        {"auth": {"identity": {"methods": ["token"], "token": {}}}},
        {"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {}}}},
    ]
    for body in bad:
        answer = await here.api.post("/v3/auth/tokens", token=None, json=body)
        assert answer.status == 400, (body, answer.json)
        assert answer.json["error"]["title"] == "Bad Request"
    unknown = {"auth": {"identity": {"methods": ["saml2"], "saml2": {}}}}
    assert (await here.api.post("/v3/auth/tokens", token=None, json=unknown)).status == 401
    for content, kind, status in ((b"{", "application/json", 400), (b"a=b", "text/plain", 415)):
        answer = await here.api.post("/v3/auth/tokens", token=None, content=content, headers={"Content-Type": kind})
        assert answer.status == status


async def test_tokens_that_are_none_are_not_found(here: Cloud) -> None:
    for text in ("x", "gAAAAA", "é" * 5, "A" * 300, "A" * 5000, here.admin[:-4] + "AAAA"):
        assert (await here.shown(text)).status == 404, text
        assert (await here.api.get("/v3/users", token=text)).status == 401
    answer = await here.api.get("/v3/auth/tokens", token=here.admin)
    assert answer.status == 400
    assert (await here.api.get("/v3/auth/tokens", token=None, headers={"X-Subject-Token": here.admin})).status == 401


async def test_a_token_ends_at_its_end(here: Cloud) -> None:
    _u, _p, token = await here.member()
    await here.clock.advance(3599)
    assert await here.holds(token)
    await here.clock.advance(1)
    assert not await here.holds(token)
    service = await here.token("nova", "nova-secret", project=here.first.service_project_id)
    for query, status in (("", 404), ("?allow_expired=1", 200)):
        headers = {"X-Subject-Token": token}
        answer = await here.api.get(f"/v3/auth/tokens{query}", token=service, headers=headers)
        assert answer.status == status
    await here.clock.advance(172800)
    service = await here.token("nova", "nova-secret", project=here.first.service_project_id)
    answer = await here.api.get("/v3/auth/tokens?allow_expired=1", token=service, headers={"X-Subject-Token": token})
    assert answer.status == 404


async def test_who_may_look_at_a_token(here: Cloud) -> None:
    _u, _p, ann = await here.member()
    _u, _p, bob = await here.member("bob", "shop")
    service = await here.token("nova", "nova-secret", project=here.first.service_project_id)
    for caller, status in ((ann, 200), (bob, 403), (service, 200), (here.admin, 200)):
        answer = await here.api.get("/v3/auth/tokens", token=caller, headers={"X-Subject-Token": ann})
        assert answer.status == status
    assert (await here.api.delete("/v3/auth/tokens", token=bob, headers={"X-Subject-Token": ann})).status == 403
    assert await here.holds(ann)


async def test_revoking_a_token_ends_it_and_no_other(here: Cloud) -> None:
    _u, project_id, first = await here.member()
    second = await here.token("ann", project=project_id)
    before = len(here.changes)
    answer = await here.api.delete("/v3/auth/tokens", token=first, headers={"X-Subject-Token": first})
    assert answer.status == 204
    assert len(here.changes) == before + 1
    assert not await here.holds(first)
    assert (await here.shown(first)).status == 404
    assert await here.holds(second)


async def test_a_traded_token_stays_in_the_chain_and_ends_no_later(here: Cloud) -> None:
    _u, project_id, token = await here.member()
    parent = (await here.shown(token)).json["token"]
    await here.clock.advance(600)
    answer = await here.trade(token, {"project": {"id": project_id}})
    child = answer.json["token"]
    assert child["expires_at"] == parent["expires_at"]
    assert child["audit_ids"][1] == parent["audit_ids"][0]
    assert sorted(child["methods"]) == ["password", "token"]
    assert (await here.trade(answer.headers["x-subject-token"], "unscoped")).json["token"]["audit_ids"][1] == (
        parent["audit_ids"][0]
    )
    await here.trade(token, {"project": {"id": here.first.admin_project_id}}, expect=401)
    await here.trade("nonsense", expect=404)


async def test_trading_can_be_forbidden(tmp_path: Path) -> None:
    here = await cloud(tmp_path, allow_rescope=False)
    _u, project_id, token = await here.member()
    await here.trade(token, {"project": {"id": project_id}}, expect=403)
    bare = await here.token("ann", unscoped=True)
    await here.trade(bare, {"project": {"id": project_id}})


async def test_what_ends_the_tokens_of_a_user(here: Cloud) -> None:
    async def patch(path: str, **members: Any) -> None:
        word = path.split("/")[0][:-1]
        answer = await here.api.patch(f"/v3/{path}", token=here.admin, json={word: members})
        assert answer.status == 200, answer.json

    user_id, project_id, token = await here.member()
    await patch(f"users/{user_id}", password="other")
    assert not await here.holds(token)
    await here.log_in("ann", "other", project=project_id, expect=401)  # still in the microsecond of the event
    await here.clock.advance(0.000001)
    token = await here.token("ann", "other", project=project_id)
    assert await here.holds(token)
    for path in (f"users/{user_id}", f"projects/{project_id}"):
        await patch(path, enabled=False)
        assert not await here.holds(token)
        await patch(path, enabled=True)
        assert not await here.holds(token), "what was ended does not come back"
        await here.clock.advance(1)
        token = await here.token("ann", "other", project=project_id)
        assert await here.holds(token)
    answer = await here.api.delete(f"/v3/users/{user_id}/tokens", token=here.admin)
    assert answer.status == 204
    assert not await here.holds(token)
    await here.clock.advance(1)
    token = await here.token("ann", "other", project=project_id)
    assert (await here.api.delete(f"/v3/users/{user_id}", token=here.admin)).status == 204
    assert not await here.holds(token)


async def test_a_domain_that_is_disabled_takes_its_users_and_projects_with_it(here: Cloud) -> None:
    domain = await here.make("domains", "domain", name="Acme")
    user = await here.make("users", "user", name="ann", password="secret", domain_id=domain["id"])
    project = await here.make("projects", "project", name="web", domain_id=domain["id"])
    await here.grant(f"projects/{project['id']}/users/{user['id']}")
    auth = {
        "identity": {"methods": ["password"], "password": {"user": {"id": user["id"], "password": "secret"}}},
        "scope": {"project": {"name": "web", "domain": {"name": "Acme"}}},
    }
    answer = await here.api.post("/v3/auth/tokens", token=None, json={"auth": auth})
    token = answer.headers["x-subject-token"]
    assert await here.holds(token)
    await here.api.patch(f"/v3/domains/{domain['id']}", token=here.admin, json={"domain": {"enabled": False}})
    assert not await here.holds(token)
    assert (await here.api.post("/v3/auth/tokens", token=None, json={"auth": auth})).status == 401
    await here.api.patch(f"/v3/domains/{domain['id']}", token=here.admin, json={"domain": {"enabled": True}})
    assert not await here.holds(token)


async def test_a_role_that_is_taken_away_is_gone_from_tokens_at_once(here: Cloud) -> None:
    user_id, project_id, token = await here.member()
    more = await here.grant(f"projects/{project_id}/users/{user_id}", "manager")
    names = {r["name"] for r in (await here.shown(token)).json["token"]["roles"]}
    assert names == {"manager", "member", "reader"}
    await here.api.delete(more, token=here.admin)
    names = {r["name"] for r in (await here.shown(token)).json["token"]["roles"]}
    assert names == {"member", "reader"}
    last = f"/v3/projects/{project_id}/users/{user_id}/roles/{await here.role_id('member')}"
    assert (await here.api.delete(last, token=here.admin)).status == 204
    assert not await here.holds(token)


async def test_leaving_a_group_ends_the_tokens(here: Cloud) -> None:
    user, project = await here.user(), await here.project()
    group = await here.make("groups", "group", name="staff")
    await here.grant(f"projects/{project['id']}/groups/{group['id']}")
    member = f"/v3/groups/{group['id']}/users/{user['id']}"
    assert (await here.api.put(member, token=here.admin)).status == 204
    token = await here.token("ann", project=project["id"])
    assert (await here.api.request("HEAD", member, token=here.admin)).status == 204
    assert (await here.api.delete(member, token=here.admin)).status == 204
    assert (await here.api.request("HEAD", member, token=here.admin)).status == 404
    assert not await here.holds(token)
    await here.log_in("ann", "secret", expect=401, project=project["id"])


async def test_a_user_changes_the_password_with_the_old_one(here: Cloud) -> None:
    user_id, _project_id, token = await here.member()
    path = f"/v3/users/{user_id}/password"
    for original, status in (("wrong", 401), ("secret", 204)):
        body = {"user": {"original_password": original, "password": "new-one"}}
        assert (await here.api.post(path, token=None, json=body)).status == status
    assert not await here.holds(token)
    await here.clock.advance(1)
    await here.log_in("ann", "secret", expect=401)
    await here.log_in("ann", "new-one")
    body = {"user": {"original_password": "x", "password": "y"}}
    assert (await here.api.post(f"/v3/users/{'0' * 32}/password", token=None, json=body)).status == 401


async def test_a_login_that_began_before_the_password_changed_is_ended_too(here: Cloud) -> None:
    """The check of the old password takes a while; a change in the meantime must not be outrun."""
    user_id, project_id, _token = await here.member()
    whole = here.parts.hasher.verify

    async def slow(password: str, hashed: str | None) -> bool:
        right = await whole(password, hashed)
        here.parts.hasher.verify = whole  # type: ignore[method-assign]
        await here.clock.advance(1)
        await here.api.patch(f"/v3/users/{user_id}", token=here.admin, json={"user": {"password": "new"}})
        await here.clock.advance(1)
        return right

    here.parts.hasher.verify = slow  # type: ignore[method-assign]
    await here.log_in("ann", "secret", expect=401, project=project_id)


async def test_another_process_on_the_same_database_is_believed(here: Cloud) -> None:
    """What is remembered is asked for anew when the generation in the database has moved."""
    from kilonova.identity.app import build

    other = build(here.parts.settings, here.parts.db, here.clock, public_url="http://cloud.test/identity")
    from kilonova.kernel.testing import TestClient

    _u, _p, token = await here.member()
    there = TestClient(other.app)
    assert (await there.get("/v3/auth/projects", token=token)).status == 200
    await here.api.delete("/v3/auth/tokens", token=token, headers={"X-Subject-Token": token})
    assert (await there.get("/v3/auth/projects", token=token)).status == 401
    other.parts.hasher.close()


async def test_looking_at_a_known_token_costs_one_statement(here: Cloud) -> None:
    _u, _p, token = await here.member()
    await here.shown(token)
    before = here.parts.db.statements
    assert (await here.shown(token)).status == 200
    assert here.parts.db.statements - before == 2, "one for the caller's token, one for the subject"


async def test_keys_rotate_under_running_tokens(here: Cloud) -> None:
    _u, _project_id, token = await here.member()
    keys = here.parts.tokens.keys
    keys.rotate()
    assert await here.holds(token)
    for _ in range(2):
        keys.rotate()
    assert sorted(p.name for p in keys.folder.iterdir()) == ["0", "3", "4"]
    assert not await here.holds(token), "its key is gone"
    assert keys.folder.stat().st_mode & 0o777 == 0o700
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in keys.folder.iterdir())


async def test_events_are_forgotten_when_their_tokens_have_expired(here: Cloud) -> None:
    user_id, _p, _t = await here.member()
    await here.api.delete(f"/v3/users/{user_id}/tokens", token=here.admin)
    shown = await here.api.get("/v3/OS-REVOKE/events", token=here.admin)
    assert [e["user_id"] for e in shown.json["events"]] == [user_id]
    await here.clock.advance(timedelta(hours=2).total_seconds())
    here.admin = await here.token("admin", ADMIN_PASSWORD, project=here.first.admin_project_id)
    await here.api.delete(f"/v3/users/{user_id}/tokens", token=here.admin)
    shown = await here.api.get("/v3/OS-REVOKE/events", token=here.admin)
    assert len(shown.json["events"]) == 1


async def test_where_a_caller_can_go(here: Cloud) -> None:
    _u, project_id, token = await here.member()
    projects = (await here.api.get("/v3/auth/projects", token=token)).json["projects"]
    assert [p["id"] for p in projects] == [project_id]
    assert (await here.api.get("/v3/auth/domains", token=token)).json["domains"] == []
    assert (await here.api.get("/v3/auth/system", token=token)).json["system"] == []
    assert (await here.api.get("/v3/auth/system", token=here.admin)).json["system"] == [{"all": True}]
    assert [d["id"] for d in (await here.api.get("/v3/auth/domains", token=here.admin)).json["domains"]] == ["default"]
    catalog = await here.api.get("/v3/auth/catalog", token=token)
    assert {entry["type"] for entry in catalog.json["catalog"]} >= {"identity", "compute"}
