"""Stories of flavors and key pairs."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.compute.model.public_keys import fingerprint
from tests.compute.make import KEY, Cloud


async def test_a_flavor_is_shown_as_its_microversion_has_it(cloud: Cloud) -> None:
    old = (await cloud.api.get("/v2.1/flavors/1", token="member")).json["flavor"]
    assert (old["swap"], old["OS-FLV-DISABLED:disabled"], old["rxtx_factor"]) == ("", False, 1.0)
    new = (await cloud.api.get("/v2.1/flavors/1", token="member", version="2.102")).json["flavor"]
    assert (new["swap"], new["extra_specs"], new["description"]) == (0, {}, None)
    assert "OS-FLV-DISABLED:disabled" not in new


async def test_private_flavors_are_for_those_who_were_let_in(cloud: Cloud) -> None:
    await cloud.flavor("9", "secret", **{"os-flavor-access:is_public": False})
    assert (await cloud.api.get("/v2.1/flavors/9", token="member:other")).status == 404
    assert (await cloud.boot(token="member:other", flavorRef="9")).status == 400
    body = {"addTenantAccess": {"tenant": "other"}}
    assert (await cloud.api.post("/v2.1/flavors/9/action", json=body, token="member")).status == 403
    answer = await cloud.api.post("/v2.1/flavors/9/action", json=body)
    assert {"flavor_id": "9", "tenant_id": "other"} in answer.json["flavor_access"]
    assert (await cloud.api.post("/v2.1/flavors/9/action", json=body)).status == 409
    assert (await cloud.api.get("/v2.1/flavors/9", token="member:other")).status == 200
    names = [f["name"] for f in (await cloud.api.get("/v2.1/flavors", token="member:other")).json["flavors"]]
    assert names == ["tiny", "secret"]
    asked = (await cloud.api.get("/v2.1/flavors?is_public=True", token="member:other")).json["flavors"]
    assert [f["name"] for f in asked] == ["tiny", "secret"]
    everything = (await cloud.api.get("/v2.1/flavors?is_public=None")).json["flavors"]
    assert [f["name"] for f in everything] == ["tiny", "secret"]
    assert [f["name"] for f in (await cloud.api.get("/v2.1/flavors")).json["flavors"]] == ["tiny"]
    gone = {"removeTenantAccess": {"tenant": "other"}}
    assert (await cloud.api.post("/v2.1/flavors/9/action", json=gone)).status == 200
    assert (await cloud.api.post("/v2.1/flavors/9/action", json=gone)).status == 404
    assert (await cloud.api.get("/v2.1/flavors/1/os-flavor-access")).status == 404


async def test_extra_specs_come_and_go(cloud: Cloud) -> None:
    path = "/v2.1/flavors/1/os-extra_specs"
    body = {"extra_specs": {"hw:cpu_policy": "shared", "my:key": "1"}}
    assert (await cloud.api.post(path, json=body, token="member")).status == 403
    assert (await cloud.api.post(path, json=body)).json == body
    assert (await cloud.api.get(path, token="member")).json == body
    assert (await cloud.api.put(path + "/my:key", json={"my:key": "2"})).json == {"my:key": "2"}
    assert (await cloud.api.put(path + "/my:key", json={"other": "2"})).status == 400
    assert (await cloud.api.get(path + "/my:key")).json == {"my:key": "2"}
    assert (await cloud.api.delete(path + "/my:key")).status == 200
    assert (await cloud.api.get(path + "/my:key")).status == 404
    bad = {"extra_specs": {"hw:cpu_policy": "nope"}}
    assert (await cloud.api.post(path, json=bad, version="2.86")).status == 400
    assert (await cloud.api.post(path, json=bad, version="2.85")).status == 200


@pytest.mark.parametrize(
    ("status", "change"),
    [
        (409, {"id": "1"}),
        (409, {"id": "x", "name": "tiny"}),
        (400, {"ram": 0}),
        (400, {"ram": "0"}),
        (400, {"ram": -1}),
        (400, {"ram": "a"}),
        (400, {"ram": 2147483648}),
        (400, {"ram": "99999999999999"}),
        (400, {"vcpus": 1.5}),
        (400, {"name": ""}),
        (400, {"name": "x" * 256}),
        (400, {"id": " x"}),
        (400, {"rxtx_factor": 0}),
        (400, {"rxtx_factor": "0"}),
        (400, {"extra": 1}),
        (400, {"description": "too early"}),
    ],
)
async def test_bad_flavors_are_refused(cloud: Cloud, status: int, change: dict[str, Any]) -> None:
    answer = await cloud.flavor(**{"flavor_id": change.pop("id", "7"), "name": change.pop("name", "new"), **change})
    assert answer.status == status, answer.json


async def test_flavors_are_paged_and_sorted(cloud: Cloud) -> None:
    await cloud.flavor("2", "small", ram=1024)
    await cloud.flavor("3", "medium", ram=2048)
    page = (await cloud.api.get("/v2.1/flavors/detail?limit=2&sort_key=memory_mb&sort_dir=desc")).json
    assert [f["name"] for f in page["flavors"]] == ["medium", "small"]
    assert "marker=2" in page["flavors_links"][0]["href"]
    rest = (await cloud.api.get("/v2.1/flavors?marker=2&sort_key=memory_mb&sort_dir=desc")).json
    assert [f["name"] for f in rest["flavors"]] == ["tiny"]
    assert (await cloud.api.get("/v2.1/flavors?marker=nope")).status == 400
    assert len((await cloud.api.get("/v2.1/flavors?minRam=1000")).json["flavors"]) == 2


async def test_key_pairs_belong_to_users(cloud: Cloud) -> None:
    body = {"keypair": {"name": "mine", "public_key": KEY, "type": "ssh"}}
    made = await cloud.api.post("/v2.1/os-keypairs", json=body, token="member", version="2.2")
    assert made.status == 201
    assert made.json["keypair"]["user_id"] == "member-user"
    assert "private_key" not in made.json["keypair"]
    assert (await cloud.api.post("/v2.1/os-keypairs", json=body, token="member", version="2.2")).status == 409
    assert (await cloud.api.get("/v2.1/os-keypairs", token="reader")).json == {"keypairs": []}
    listed = (await cloud.api.get("/v2.1/os-keypairs", token="member")).json["keypairs"]
    assert [set(k["keypair"]) for k in listed] == [{"name", "public_key", "fingerprint"}]
    assert (await cloud.api.get("/v2.1/os-keypairs?user_id=member-user", token="reader", version="2.10")).status == 403
    seen = await cloud.api.get("/v2.1/os-keypairs/mine?user_id=member-user", version="2.10")
    assert seen.json["keypair"]["public_key"] == KEY
    unsafe = {"keypair": {"name": "a/b@c"}}
    assert (await cloud.api.post("/v2.1/os-keypairs", json=unsafe, token="member", version="2.2")).status == 400
    assert (await cloud.api.delete("/v2.1/os-keypairs/mine", token="member")).status == 202
    assert (await cloud.api.delete("/v2.1/os-keypairs/mine", token="member")).status == 404


async def test_key_pairs_are_made_here_only_for_old_clients(cloud: Cloud) -> None:
    body = {"keypair": {"name": "made"}}
    made = await cloud.api.post("/v2.1/os-keypairs", json=body, token="member")
    assert made.status == 200
    assert "PRIVATE KEY" in made.json["keypair"]["private_key"]
    body = {"keypair": {"name": "made2"}}
    assert (await cloud.api.post("/v2.1/os-keypairs", json=body, token="member", version="2.92")).status == 400
    broken = {"keypair": {"name": "broken", "public_key": "ssh-rsa nonsense"}}
    assert (await cloud.api.post("/v2.1/os-keypairs", json=broken, token="member")).status == 400


async def test_a_certificate_is_made_with_its_key(cloud: Cloud) -> None:
    body = {"keypair": {"name": "windows", "type": "x509"}}
    made = (await cloud.api.post("/v2.1/os-keypairs", json=body, token="member", version="2.2")).json["keypair"]
    assert made["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert fingerprint("x509", made["public_key"]) == made["fingerprint"]
