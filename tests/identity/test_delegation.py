"""Stories of what stands in for a user: application credentials, access rules, trusts, credentials; and limits."""

from __future__ import annotations

from typing import Any

from kilonova.kernel.testing import Answer
from tests.identity.make import Cloud


async def _program(here: Cloud, token: str, user_id: str, *, expect: int = 201, **members: Any) -> dict[str, Any]:
    body = {"application_credential": {"name": "program", **members}}
    answer = await here.api.post(f"/v3/users/{user_id}/application_credentials", token=token, json=body)
    assert answer.status == expect, answer.json
    return dict(answer.json.get("application_credential", {}))


async def _log_in(here: Cloud, made: dict[str, Any], *, expect: int = 201, scope: Any = None) -> Answer:
    proof = {"id": made["id"], "secret": made["secret"]}
    auth: dict[str, Any] = {"identity": {"methods": ["application_credential"], "application_credential": proof}}
    if scope is not None:
        auth["scope"] = scope
    answer = await here.api.post("/v3/auth/tokens", token=None, json={"auth": auth})
    assert answer.status == expect, answer.json
    return answer


async def test_a_program_logs_in_with_the_roles_it_was_given(here: Cloud) -> None:
    user_id, project_id, token = await here.member()
    made = await _program(here, token, user_id, roles=[{"name": "reader"}])
    assert len(made["secret"]) > 60
    assert made["project_id"] == project_id
    answer = await _log_in(here, made)
    told = answer.json["token"]
    assert [r["name"] for r in told["roles"]] == ["reader"]
    assert told["methods"] == ["application_credential"]
    assert told["application_credential"] == {"id": made["id"], "name": "program", "restricted": True}
    shown = await here.api.get(f"/v3/users/{user_id}/application_credentials/{made['id']}", token=token)
    assert "secret" not in shown.json["application_credential"]
    by_name = {"name": "program", "secret": made["secret"], "user": {"id": user_id}}
    auth = {"identity": {"methods": ["application_credential"], "application_credential": by_name}}
    assert (await here.api.post("/v3/auth/tokens", token=None, json={"auth": auth})).status == 201
    await _log_in(here, {**made, "secret": "wrong"}, expect=401)
    await _log_in(here, {**made, "id": "0" * 32}, expect=401)
    await _log_in(here, made, expect=401, scope={"domain": {"id": "default"}})
    await _log_in(here, made, scope={"project": {"id": project_id}})


async def test_a_program_cannot_be_given_more_than_the_token_has(here: Cloud) -> None:
    user_id, _project_id, token = await here.member()
    await _program(here, token, user_id, roles=[{"name": "admin"}], expect=400)
    await _program(here, token, user_id, roles=[{"id": "0" * 32}], expect=400)
    await _program(here, token, user_id, expires_at="2020-01-01T00:00:00Z", expect=400)
    await _program(here, here.admin, user_id, expect=403)
    await _program(here, token, user_id)
    await _program(here, token, user_id, expect=409)
    bare = await here.token("ann", unscoped=True)
    await _program(here, bare, user_id, name="other", expect=400)


async def test_a_restricted_program_makes_nothing_that_outlives_it(here: Cloud) -> None:
    user_id, project_id, token = await here.member()
    made = await _program(here, token, user_id)
    restricted = (await _log_in(here, made)).headers["x-subject-token"]
    await _program(here, restricted, user_id, name="child", expect=403)
    ec2 = {"type": "ec2", "blob": '{"access": "a", "secret": "s"}', "project_id": project_id}
    trust = {"trustor_user_id": user_id, "trustee_user_id": user_id, "impersonation": True}
    trust |= {"project_id": project_id, "roles": [{"name": "reader"}]}
    for method, path, body in (
        ("POST", "/v3/credentials", {"credential": ec2}),
        ("GET", "/v3/credentials", None),
        ("DELETE", f"/v3/users/{user_id}/application_credentials/{made['id']}", None),
        ("POST", "/v3/OS-TRUST/trusts", {"trust": trust}),
    ):
        answer = await here.api.request(method, path, token=restricted, json=body)
        assert answer.status == 403, (method, path)
    await here.trade(restricted, {"project": {"id": project_id}}, expect=403)
    free = await _program(here, token, user_id, name="free", unrestricted=True)
    unrestricted = (await _log_in(here, free)).headers["x-subject-token"]
    await _program(here, unrestricted, user_id, name="child")


async def test_a_program_ends_with_what_it_lives_from(here: Cloud) -> None:
    user_id, project_id, token = await here.member()
    made = await _program(here, token, user_id, expires_at="2026-01-01T00:30:00")
    answer = await _log_in(here, made)
    assert answer.json["token"]["expires_at"] == "2026-01-01T00:30:00.000000Z"
    program = answer.headers["x-subject-token"]
    await here.clock.advance(1800)
    assert not await here.holds(program)
    await _log_in(here, made, expect=401)
    made = await _program(here, token, user_id, name="second")
    program = (await _log_in(here, made)).headers["x-subject-token"]
    path = f"/v3/users/{user_id}/application_credentials/{made['id']}"
    assert (await here.api.delete(path, token=token)).status == 204
    assert not await here.holds(program)
    made = await _program(here, token, user_id, name="third")
    program = (await _log_in(here, made)).headers["x-subject-token"]
    role = f"/v3/projects/{project_id}/users/{user_id}/roles/{await here.role_id('member')}"
    assert (await here.api.delete(role, token=here.admin)).status == 204
    assert not await here.holds(program)
    await here.api.put(role, token=here.admin)
    assert not await here.holds(program), "it went with the role"
    await _log_in(here, made, expect=401)


async def test_a_token_with_access_rules_is_shown_only_to_who_can_keep_them(here: Cloud) -> None:
    user_id, _project_id, token = await here.member()
    rule = {"service": "compute", "path": "/v2.1/servers", "method": "GET"}
    made = await _program(here, token, user_id, access_rules=[rule])
    program = (await _log_in(here, made)).headers["x-subject-token"]
    assert (await here.shown(program)).status == 404
    headers = {"X-Subject-Token": program, "OpenStack-Identity-Access-Rules": "1.0"}
    shown = await here.api.get("/v3/auth/tokens", token=here.admin, headers=headers)
    rules = shown.json["token"]["application_credential"]["access_rules"]
    assert [{k: r[k] for k in rule} for r in rules] == [rule]
    again = await _program(here, token, user_id, name="again", access_rules=[rule, {"id": rules[0]["id"]}])
    assert {r["id"] for r in again["access_rules"]} == {rules[0]["id"]}
    path = f"/v3/users/{user_id}/access_rules"
    assert len((await here.api.get(path, token=token)).json["access_rules"]) == 1
    assert (await here.api.delete(f"{path}/{rules[0]['id']}", token=token)).status == 403
    for one in (made, again):
        await here.api.delete(f"/v3/users/{user_id}/application_credentials/{one['id']}", token=token)
    assert (await here.api.delete(f"{path}/{rules[0]['id']}", token=token)).status == 204


async def test_a_trust_lets_another_user_act(here: Cloud) -> None:
    ann, project_id, token = await here.member()
    bob = (await here.user("bob"))["id"]
    body: dict[str, Any] = {
        "trustor_user_id": ann, "trustee_user_id": bob, "impersonation": False, "project_id": project_id,
        "roles": [{"name": "reader"}], "remaining_uses": 2,
    }  # fmt: skip
    made = await here.api.post("/v3/OS-TRUST/trusts", token=token, json={"trust": body})
    assert made.status == 201, made.json
    trust = made.json["trust"]
    assert [r["name"] for r in trust["roles"]] == ["reader"]
    bare = await here.token("bob")
    scope = {"OS-TRUST:trust": {"id": trust["id"]}}
    answer = await here.trade(bare, scope)
    told = answer.json["token"]
    assert (told["user"]["id"], told["project"]["id"]) == (bob, project_id)
    assert told["OS-TRUST:trust"]["trustor_user"] == {"id": ann}
    delegated = answer.headers["x-subject-token"]
    await here.trade(delegated, "unscoped", expect=403)
    await here.trade(token, scope, expect=401)
    await here.trade(bare, scope)
    await here.trade(bare, scope, expect=401)
    assert await here.holds(delegated)
    one = f"/v3/OS-TRUST/trusts/{trust['id']}"
    assert (await here.api.get(one, token=bare)).status == 200
    assert (await here.api.get(one, token=await here.token("nova", "nova-secret"))).status == 403
    listed = await here.api.get(f"/v3/OS-TRUST/trusts?trustor_user_id={ann}", token=token)
    assert [t["id"] for t in listed.json["trusts"]] == [trust["id"]]
    assert (await here.api.get("/v3/OS-TRUST/trusts", token=token)).status == 403
    assert (await here.api.delete(one, token=bare)).status == 403
    assert (await here.api.delete(one, token=token)).status == 204
    assert not await here.holds(delegated)
    body |= {"roles": [{"name": "admin"}]}
    assert (await here.api.post("/v3/OS-TRUST/trusts", token=token, json={"trust": body})).status == 403
    body |= {"trustor_user_id": bob}
    assert (await here.api.post("/v3/OS-TRUST/trusts", token=token, json={"trust": body})).status == 403


async def test_an_impersonating_trust_ends_when_the_trustor_loses_the_role_or_is_disabled(here: Cloud) -> None:
    ann, project_id, token = await here.member()
    bob = (await here.user("bob"))["id"]
    body = {
        "trustor_user_id": ann, "trustee_user_id": bob, "impersonation": True, "project_id": project_id,
        "roles": [{"name": "member"}],
    }  # fmt: skip
    trust = (await here.api.post("/v3/OS-TRUST/trusts", token=token, json={"trust": body})).json["trust"]
    scope = {"OS-TRUST:trust": {"id": trust["id"]}}
    bare = await here.token("bob")
    answer = await here.trade(bare, scope)
    assert answer.json["token"]["user"]["id"] == ann
    delegated = answer.headers["x-subject-token"]
    await here.api.patch(f"/v3/users/{bob}", token=here.admin, json={"user": {"enabled": False}})
    assert not await here.holds(delegated)
    await here.api.patch(f"/v3/users/{bob}", token=here.admin, json={"user": {"enabled": True}})
    await here.clock.advance(1)
    delegated = (await here.trade(await here.token("bob"), scope)).headers["x-subject-token"]
    role = f"/v3/projects/{project_id}/users/{ann}/roles/{await here.role_id('member')}"
    await here.api.delete(role, token=here.admin)
    assert not await here.holds(delegated)
    await here.trade(await here.token("bob"), scope, expect=401)


async def test_credentials_belong_to_their_user(here: Cloud) -> None:
    ann, project_id, token = await here.member()
    bob, _p, bobs = await here.member("bob", "shop")
    ec2 = {"type": "ec2", "blob": '{"access": "a", "secret": "s"}', "project_id": project_id}
    made = await here.api.post("/v3/credentials", token=token, json={"credential": ec2})
    assert made.status == 201
    credential = made.json["credential"]
    assert credential["user_id"] == ann
    one = f"/v3/credentials/{credential['id']}"
    async with here.parts.db.read() as tx:
        from kilonova.identity.store.delegation import CREDENTIALS

        stored = await CREDENTIALS.get(tx, credential["id"])
    assert stored is not None
    assert "secret" not in stored.blob
    assert (await here.api.post("/v3/credentials", token=token, json={"credential": ec2})).status == 409
    body = {"credential": {**ec2, "user_id": bob}}
    assert (await here.api.post("/v3/credentials", token=token, json=body)).status == 403
    for method, change in (("GET", None), ("DELETE", None), ("PATCH", {"credential": {"blob": "{}"}})):
        assert (await here.api.request(method, one, token=bobs, json=change)).status == 403
    assert (await here.api.get("/v3/credentials", token=bobs)).json["credentials"] == []
    assert (await here.api.get(f"/v3/credentials?user_id={ann}", token=bobs)).json["credentials"] == []
    assert len((await here.api.get("/v3/credentials", token=token)).json["credentials"]) == 1
    for change, status in (
        ({"user_id": bob}, 400),
        ({"project_id": "0" * 32}, 400),
        ({"type": "cert"}, 400),
        ({"blob": '{"access": "a", "secret": "s", "trust_id": "t"}'}, 403),
        ({"blob": "not json"}, 400),
        ({"blob": '{"access": "a", "secret": "new"}'}, 200),
    ):
        answer = await here.api.patch(one, token=token, json={"credential": change})
        assert answer.status == status, change
    assert (await here.api.get(one, token=token)).json["credential"]["blob"] == '{"access": "a", "secret": "new"}'
    assert (await here.api.delete(one, token=token)).status == 204


async def test_access_keys_are_the_users_own_and_bound_to_a_project(here: Cloud) -> None:
    ann, project_id, token = await here.member()
    _bob, _other, bobs = await here.member("bob", "shop")
    path = f"/v3/users/{ann}/credentials/OS-EC2"
    made = await here.api.post(path, token=token, json={"tenant_id": project_id})
    assert made.status == 201
    key = made.json["credential"]
    one = f"{path}/{key['access']}"
    assert (await here.api.get(one, token=token)).json["credential"] == key
    assert [k["access"] for k in (await here.api.get(path, token=token)).json["credentials"]] == [key["access"]]
    for method, where in (("GET", one), ("GET", path), ("DELETE", one)):
        assert (await here.api.request(method, where, token=bobs)).status == 403
    program = await _program(here, token, ann)
    restricted = (await _log_in(here, program)).headers["x-subject-token"]
    for method, body in (("POST", {"tenant_id": project_id}), ("GET", None)):
        assert (await here.api.request(method, path, token=restricted, json=body)).status == 403
    assert (await here.api.delete(one, token=token)).status == 204
    assert (await here.api.get(one, token=token)).status == 404


async def test_there_is_no_unauthenticated_way_around(here: Cloud) -> None:
    """OSSA-2025-002: ec2tokens and s3tokens answered anybody. They are not offered."""
    for path in ("/v3/ec2tokens", "/v3/s3tokens"):
        assert (await here.api.post(path, token=None, json={})).status in (401, 404)
    headers = {"X-User-Id": here.first.admin_user_id, "X-Roles": "admin", "X-Identity-Status": "Confirmed"}
    assert (await here.api.get("/v3/users", token=None, headers=headers)).status == 401


async def test_limits(here: Cloud) -> None:
    services = (await here.api.get("/v3/services?type=compute", token=here.admin)).json["services"]
    row = {"service_id": services[0]["id"], "resource_name": "servers"}
    answer = await here.api.post(
        "/v3/registered_limits", token=here.admin, json={"registered_limits": [{**row, "default_limit": 10}]}
    )
    assert answer.status == 201, answer.json
    _u, project_id, token = await here.member()
    _u, _p, other = await here.member("bob", "shop")
    asked = {**row, "project_id": project_id, "resource_limit": 3}
    made = await here.api.post("/v3/limits", token=here.admin, json={"limits": [asked]})
    assert made.status == 201, made.json
    one = f"/v3/limits/{made.json['limits'][0]['id']}"
    assert (await here.api.post("/v3/limits", token=here.admin, json={"limits": [asked]})).status == 409
    bad = {**asked, "resource_name": "unheard-of"}
    assert (await here.api.post("/v3/limits", token=here.admin, json={"limits": [asked | bad]})).status == 400
    assert (await here.api.post("/v3/limits", token=token, json={"limits": [asked]})).status == 403
    assert (await here.api.get("/v3/limits/model", token=token)).json["model"]["name"] == "flat"
    assert (await here.api.get(one, token=token)).status == 200
    assert (await here.api.get(one, token=other)).status == 403
    assert len((await here.api.get("/v3/limits", token=token)).json["limits"]) == 1
    assert (await here.api.get("/v3/limits", token=other)).json["limits"] == []
    assert (await here.api.delete(one, token=here.admin)).status == 204
