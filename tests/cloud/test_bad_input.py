"""What each service answers to bad input: the status and the shape of the error that its clients know."""
# ruff: noqa: E501 - one case, one line

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.cloud.make import RunningCloud, Who

NOWHERE = "6f70656e-2073-7461-636b-206e6f742121"
BIG = "x" * (1 << 20)


@dataclass(frozen=True)
class Bad:
    """One bad request. Words in braces in ``path`` and ``body`` are ids of the member's own things."""

    what: str
    method: str
    path: str
    status: int
    body: Any = None
    who: str | None = "member"
    version: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    names: str = ""  # must be in the message, for a reader who is to repair it
    type: str = ""  # of a NeutronError; the key of compute's fault

    def __str__(self) -> str:
        return f"{self.path.split('/')[1]}-{self.what}".replace(" ", "-")


def server(**changes: Any) -> dict[str, Any]:
    valid = {"name": "bad", "imageRef": "{image}", "flavorRef": "{flavor}", "networks": "none"}
    return {"server": {k: v for k, v in {**valid, **changes}.items() if v is not ...}}


SERVERS, COMPUTE = "/compute/v2.1/servers", "/compute/v2.1"
NET, IMG, ID = "/network/v2.0", "/image/v2/images", "/identity/v3"
TEXT = {"Content-Type": "text/plain"}

CASES = [
    # compute
    Bad("wrong type", "POST", SERVERS, 400, server(name=7), version="2.90", names="7", type="badRequest"),
    Bad("unknown field", "POST", SERVERS, 400, server(colour="red"), version="2.90", names="colour", type="badRequest"),
    Bad("no name", "POST", SERVERS, 400, server(name=...), version="2.90", names="name", type="badRequest"),
    Bad("empty name", "POST", SERVERS, 400, server(name=" "), version="2.90", type="badRequest"),
    Bad("long name", "POST", SERVERS, 400, server(name="n" * 256), version="2.90", type="badRequest"),
    Bad("no such image", "POST", SERVERS, 400, server(imageRef=NOWHERE), version="2.90", names=NOWHERE),
    Bad("image is no id", "POST", SERVERS, 400, server(imageRef="junk"), version="2.90", type="badRequest"),
    Bad("no such flavor", "POST", SERVERS, 400, server(flavorRef="9999"), version="2.90", names="9999"),
    Bad("no such network", "POST", SERVERS, 400, server(networks=[{"uuid": NOWHERE}]), version="2.90", names=NOWHERE),
    Bad("no such port", "POST", SERVERS, 400, server(networks=[{"port": NOWHERE}]), version="2.90", names=NOWHERE),
    Bad("no such key", "POST", SERVERS, 400, server(key_name="nokey"), version="2.90", type="badRequest"),
    Bad("no such group", "POST", SERVERS, 400, server(networks=[{"uuid": "{network}"}], security_groups=[{"name": "no"}]), version="2.90"),
    Bad("user data no base64", "POST", SERVERS, 400, server(user_data="*"), version="2.90", type="badRequest"),
    Bad("user data too big", "POST", SERVERS, 400, server(user_data="A" * 65536), version="2.90", type="badRequest"),
    Bad("more than max", "POST", SERVERS, 400, server(min_count=3, max_count=2), version="2.90", type="badRequest"),
    Bad("zone unknown", "POST", SERVERS, 400, server(availability_zone="mars"), version="2.90", names="mars"),
    Bad("zone with host", "POST", SERVERS, 403, server(availability_zone="nova:compute1"), version="2.90", type="forbidden"),
    Bad("quota", "POST", SERVERS, 403, server(min_count=50, max_count=50), version="2.90", names="50", type="forbidden"),
    Bad("metadata too long", "POST", SERVERS, 400, server(metadata={"k": "v" * 256}), version="2.90"),
    Bad("networks not said", "POST", SERVERS, 400, server(networks=...), version="2.90", type="badRequest"),
    Bad("not there", "GET", f"{SERVERS}/{NOWHERE}", 404, names=NOWHERE, type="itemNotFound"),
    Bad("id is no id", "GET", f"{SERVERS}/junk", 404, names="junk", type="itemNotFound"),
    Bad("no such route", "GET", "/compute/v2.1/nothing-here", 404),
    Bad("no such method", "PATCH", SERVERS, 405),
    Bad("no such action", "POST", SERVERS + "/{server}/action", 400, {"os-dance": None}, type="badRequest"),
    Bad("two actions", "POST", SERVERS + "/{server}/action", 400, {"os-stop": None, "os-start": None}),
    Bad("no action", "POST", SERVERS + "/{server}/action", 400, {}),
    Bad("start a running one", "POST", SERVERS + "/{server}/action", 409, {"os-start": None}, type="conflictingRequest"),
    Bad("reboot of no kind", "POST", SERVERS + "/{server}/action", 400, {"reboot": {"type": "GENTLE"}}),
    Bad("limit", "GET", SERVERS + "?limit=-1", 400, type="badRequest"),
    Bad("marker", "GET", SERVERS + f"?marker={NOWHERE}", 400, names=NOWHERE, type="badRequest"),
    Bad("sort key", "GET", SERVERS + "?sort_key=password", 400, type="badRequest"),
    Bad("unknown query", "GET", SERVERS + "?colour=red", 400, version="2.75", names="colour", type="badRequest"),
    Bad("flavor by a member", "POST", COMPUTE + "/flavors", 403, {"flavor": {"name": "f", "ram": 1, "vcpus": 1, "disk": 1}}, type="forbidden"),
    Bad("flavor negative", "POST", COMPUTE + "/flavors", 400, {"flavor": {"name": "f", "ram": -1, "vcpus": 1, "disk": 1}}, who="admin"),
    Bad("flavor name taken", "POST", COMPUTE + "/flavors", 409, {"flavor": {"name": "m1.nano", "ram": 1, "vcpus": 1, "disk": 1}}, who="admin", type="conflictingRequest"),
    Bad("keypair name taken", "POST", COMPUTE + "/os-keypairs", 409, {"keypair": {"name": "demo", "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMnGJ0Bz0nQPo1kQJv9hMKl0Ld7hKXlMvDqXbRkYv3pX"}}),
    Bad("keypair bad key", "POST", COMPUTE + "/os-keypairs", 400, {"keypair": {"name": "k", "public_key": "nonsense"}}),
    Bad("version too new", "GET", SERVERS, 406, version="2.9999"),
    Bad("version too old", "GET", SERVERS, 406, version="1.0"),
    Bad("version no number", "GET", SERVERS, 400, version="new"),
    Bad("body not JSON", "POST", SERVERS, 400, content=b"{", type="badRequest"),
    Bad("wrong content type", "POST", SERVERS, 415, content=b"server", headers=TEXT, type="badMediaType"),
    Bad("oversized", "POST", SERVERS, 413, server(name=BIG), version="2.90", type="overLimit"),
    # network
    Bad("wrong type", "POST", NET + "/networks", 400, {"network": {"admin_state_up": "maybe"}}, names="maybe"),
    Bad("unknown field", "POST", NET + "/networks", 400, {"network": {"colour": "red"}}, names="colour"),
    Bad("no network", "POST", NET + "/networks", 400, {}),
    Bad("a list", "POST", NET + "/networks", 400, []),
    Bad("long name", "POST", NET + "/networks", 400, {"network": {"name": "n" * 256}}),
    Bad("read-only field", "POST", NET + "/networks", 400, {"network": {"status": "ACTIVE"}}, names="status"),
    Bad("provider by a member", "POST", NET + "/networks", 403, {"network": {"provider:network_type": "flat"}}, type="PolicyNotAuthorized"),
    Bad("external by a member", "POST", NET + "/networks", 403, {"network": {"router:external": True}}, type="PolicyNotAuthorized"),
    Bad("shared by a member", "POST", NET + "/networks", 403, {"network": {"shared": True}}, type="PolicyNotAuthorized"),
    Bad("for another project", "POST", NET + "/networks", 400, {"network": {"project_id": "0" * 32}}),
    Bad("subnet nowhere", "POST", NET + "/subnets", 404, {"subnet": {"network_id": NOWHERE, "ip_version": 4, "cidr": "10.9.0.0/24"}}, type="NetworkNotFound"),
    Bad("subnet bad range", "POST", NET + "/subnets", 400, {"subnet": {"network_id": "{network}", "ip_version": 4, "cidr": "10.9.0/99"}}),
    Bad("subnet overlap", "POST", NET + "/subnets", 400, {"subnet": {"network_id": "{network}", "ip_version": 4, "cidr": "10.0.0.0/25"}}),
    Bad("subnet wrong gateway", "POST", NET + "/subnets", 400, {"subnet": {"network_id": "{network}", "ip_version": 4, "cidr": "10.9.0.0/24", "gateway_ip": "fd00::1"}}),
    Bad("port address taken", "POST", NET + "/ports", 409, {"port": {"network_id": "{network}", "fixed_ips": [{"ip_address": "10.0.0.1"}]}}, type="IpAddressAlreadyAllocated"),
    Bad("port address outside", "POST", NET + "/ports", 400, {"port": {"network_id": "{network}", "fixed_ips": [{"ip_address": "192.0.2.1"}]}}),
    Bad("port bad MAC", "POST", NET + "/ports", 400, {"port": {"network_id": "{network}", "mac_address": "zz"}}),
    Bad("network in use", "DELETE", NET + "/networks/{network}", 409, type="NetworkInUse"),
    Bad("router in use", "DELETE", NET + "/routers/{router}", 409, type="RouterInUse"),
    Bad("group in use", "DELETE", NET + "/security-groups/{group}", 409),
    Bad("rule with bad ports", "POST", NET + "/security-group-rules", 400, {"security_group_rule": {"security_group_id": "{group}", "direction": "ingress", "protocol": "tcp", "port_range_min": 9, "port_range_max": 1}}),
    Bad("rule twice", "POST", NET + "/security-group-rules", 409, {"security_group_rule": {"security_group_id": "{group}", "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}}, type="SecurityGroupRuleExists"),
    Bad("floating ip of a tenant net", "POST", NET + "/floatingips", 400, {"floatingip": {"floating_network_id": "{network}"}}),
    Bad("not there", "GET", NET + f"/networks/{NOWHERE}", 404, names=NOWHERE, type="NetworkNotFound"),
    Bad("id is no id", "GET", NET + "/ports/junk", 404, names="junk", type="PortNotFound"),
    Bad("no such route", "GET", NET + "/nothing-here", 404),
    Bad("body not JSON", "POST", NET + "/networks", 400, content=b"{"),
    Bad("limit", "GET", NET + "/networks?limit=-1", 400),
    Bad("quota of another", "GET", NET + "/quotas/" + "0" * 32, 403, type="PolicyNotAuthorized"),
    # image
    Bad("wrong type", "POST", IMG, 400, {"name": 7}),
    Bad("read-only field", "POST", IMG, 403, {"status": "active"}, names="status"),
    Bad("bad format", "POST", IMG, 400, {"disk_format": "papyrus"}, names="papyrus"),
    Bad("bad id", "POST", IMG, 400, {"id": "junk"}),
    Bad("id taken", "POST", IMG, 409, {"id": "{image}"}),
    Bad("public by a member", "POST", IMG, 403, {"visibility": "public"}),
    Bad("property not text", "POST", IMG, 400, {"colour": 7}),
    Bad("not there", "GET", f"{IMG}/{NOWHERE}", 404, names=NOWHERE),
    Bad("id is no id", "GET", f"{IMG}/junk", 404, names="junk"),
    Bad("public image of others", "DELETE", IMG + "/{image}", 403),
    Bad("patch of no patch type", "PATCH", IMG + "/{image}", 415, content=b"[]", headers={"Content-Type": "application/json"}),
    Bad("patch of a wrong op", "PATCH", IMG + "/{image}", 400, content=b'[{"op":"paint","path":"/name"}]', headers={"Content-Type": "application/openstack-images-v2.1-json-patch"}),
    Bad("data as JSON", "PUT", IMG + "/{image}/file", 415, content=b"{}", headers={"Content-Type": "application/json"}),
    Bad("data twice", "PUT", IMG + "/{image}/file", 403, content=b"x", headers={"Content-Type": "application/octet-stream"}),
    Bad("marker", "GET", f"{IMG}?marker={NOWHERE}", 400),
    Bad("limit", "GET", f"{IMG}?limit=-1", 400),
    Bad("sort key", "GET", f"{IMG}?sort_key=colour", 400),
    Bad("body not JSON", "POST", IMG, 400, content=b"{"),
    # identity
    Bad("wrong type", "POST", ID + "/projects", 400, {"project": {"name": 7}}, who="admin"),
    Bad("no name", "POST", ID + "/projects", 400, {"project": {}}, who="admin", names="name"),
    Bad("name taken", "POST", ID + "/projects", 409, {"project": {"name": "demo"}}, who="admin"),
    Bad("long name", "POST", ID + "/projects", 400, {"project": {"name": "n" * 65}}, who="admin"),
    Bad("domain nowhere", "POST", ID + "/users", 404, {"user": {"name": "u", "domain_id": NOWHERE}}, who="admin"),
    Bad("by a member", "POST", ID + "/users", 403, {"user": {"name": "u"}}),
    Bad("not there", "GET", f"{ID}/users/{NOWHERE}", 404, who="admin", names=NOWHERE),
    Bad("no such route", "GET", ID + "/nothing-here", 404),
    Bad("body not JSON", "POST", ID + "/auth/tokens", 400, content=b"{", who=None),
    Bad("log-in without methods", "POST", ID + "/auth/tokens", 400, {"auth": {}}, who=None),
    Bad("log-in by magic", "POST", ID + "/auth/tokens", 401, {"auth": {"identity": {"methods": ["magic"]}}}, who=None),
    Bad("other's password", "POST", ID + "/users/{admin}/password", 401, {"user": {"password": "a", "original_password": "b"}}),
    Bad("role nowhere", "PUT", ID + f"/projects/{{project}}/users/{{user}}/roles/{NOWHERE}", 404, who="admin"),
    Bad("oversized", "POST", ID + "/projects", 413, {"project": {"name": BIG}}, who="admin"),
    # placement
    Bad("wrong type", "POST", "/placement/resource_providers", 400, {"name": 7}, who="admin"),
    Bad("unknown field", "POST", "/placement/resource_providers", 400, {"name": "x", "colour": 1}, who="admin"),
    Bad("name taken", "POST", "/placement/resource_providers", 409, {"name": "compute1"}, who="admin"),
    Bad("not there", "GET", f"/placement/resource_providers/{NOWHERE}", 404, who="admin", names=NOWHERE),
    Bad("by a member", "GET", "/placement/resource_providers", 403),
    Bad("bad class", "GET", "/placement/allocation_candidates?resources=NOPE:1", 400, who="admin", version="1.39", names="NOPE"),
    Bad("bad amount", "GET", "/placement/allocation_candidates?resources=VCPU:many", 400, who="admin", version="1.39"),
    Bad("not yet in this version", "GET", "/placement/allocation_candidates?resources=VCPU:1", 404, who="admin", version="1.0"),
    Bad("bad class name", "PUT", "/placement/resource_classes/shelf", 400, who="admin", version="1.39"),
    Bad("version too new", "GET", "/placement/resource_providers", 406, who="admin", version="1.9999"),
    Bad("no such method", "DELETE", "/placement/resource_providers", 405, who="admin"),
    Bad("wrong content type", "POST", "/placement/resource_providers", 415, content=b"x", headers=TEXT, who="admin"),
]  # fmt: skip


@pytest.fixture(scope="module")
def things(cloud: RunningCloud) -> dict[str, str]:
    """Ids of what the member has."""
    servers = cloud.get(SERVERS, "member")["servers"]
    flavors = cloud.get("/compute/v2.1/flavors", "member")["flavors"]
    one = {
        "network": cloud.get(NET + "/networks?name=private", "member")["networks"],
        "group": cloud.get(NET + "/security-groups?name=default", "member")["security_groups"],
        "router": cloud.get(NET + "/routers?name=router", "member")["routers"],
        "image": cloud.get(IMG + "?name=kilonova-tiny", "member")["images"],
        "server": [row for row in servers if row["name"] == "demo"],
        "flavor": [row for row in flavors if row["name"] == "m1.nano"],
    }
    member = cloud.people["member"]
    ids = {name: found[0]["id"] for name, found in one.items()}
    return {**ids, "project": member.project_id, "user": member.user_id, "admin": cloud.people["admin"].user_id}


def fill(text: str, things: Mapping[str, str]) -> str:
    for name, value in things.items():
        text = text.replace("{" + name + "}", value)
    return text


@pytest.mark.parametrize("bad", CASES, ids=str)
def test_bad_input(cloud: RunningCloud, things: dict[str, str], bad: Bad) -> None:
    content, headers = bad.content, dict(bad.headers)
    if content is None and bad.body is not None:
        content = fill(json.dumps(bad.body), things).encode()
    if content is not None:
        headers.setdefault("Content-Type", "application/json")
    reply = cloud.call(
        bad.method, fill(bad.path, things), bad.who, version=bad.version, headers=headers, content=content
    )
    assert reply.status_code == bad.status, reply.text[:600]
    message = said(bad.path.split("/")[1], reply, bad.type)
    assert bad.names in message
    assert len(message) < 2000


def said(service: str, reply: Any, kind: str) -> str:
    """The message, if the error has the form that the service's clients read."""
    status = reply.status_code
    if status == 405 and not reply.content:
        return ""
    if service == "image" and "html" in reply.headers["content-type"]:
        assert f"<title>{status} " in reply.text
        return str(reply.text)
    body = reply.json()
    if service == "identity" or status == 401 or service == "image":
        assert set(body) == {"error"}
        assert set(body["error"]) == {"code", "message", "title"}
        assert body["error"]["code"] == status
        return str(body["error"]["message"])
    if service == "network":
        assert set(body) == {"NeutronError"}
        assert set(body["NeutronError"]) == {"type", "message", "detail"}
        assert kind in ("", body["NeutronError"]["type"]), body
        return str(body["NeutronError"]["message"])
    if service == "placement" or status == 406:
        (error,) = body["errors"]
        assert {"status", "title", "detail", "request_id"} <= set(error)
        assert error["status"] == status
        return str(error["detail"])
    ((name, fault),) = body.items()
    assert kind in ("", name), body
    assert fault["code"] == status
    return str(fault["message"])


# -- tokens


def test_a_token_that_is_none_is_refused_by_each_service(cloud: RunningCloud) -> None:
    paths = (SERVERS, NET + "/networks", IMG, ID + "/auth/projects", "/placement/resource_providers")
    good = cloud.people["member"].token or ""
    changed = good[:-12] + ("A" * 8 if good[-12:-4] != "A" * 8 else "B" * 8) + good[-4:]
    for token in (None, "", "junk", "gAAAAA", "x" * 5000, good[:-5], changed, "ключ".encode().decode("latin-1")):
        for path in paths:
            reply = cloud.call("GET", path, Who("bad", None), headers={} if token is None else {"X-Auth-Token": token.encode("latin-1")})  # type: ignore[dict-item]  # fmt: skip
            assert reply.status_code == 401, f"{path} with {token!r}: {reply.status_code} {reply.text[:200]}"
            assert reply.headers["www-authenticate"].startswith("Keystone uri=")
            assert reply.json()["error"]["title"] == "Unauthorized"


def test_a_revoked_token_is_refused_by_each_service(cloud: RunningCloud) -> None:
    reply = cloud.log_in("rival", "pass-of-rival", "rival")
    leaver = Who("leaver", reply.headers["X-Subject-Token"])
    for path in (SERVERS, NET + "/networks", IMG):
        assert cloud.call("GET", path, leaver).status_code == 200
    gone = cloud.call("DELETE", ID + "/auth/tokens", leaver, headers={"X-Subject-Token": leaver.token or ""})
    assert gone.status_code == 204
    for path in (SERVERS, NET + "/networks", IMG, ID + "/auth/projects", "/placement/resource_providers"):
        assert cloud.call("GET", path, leaver).status_code == 401


def test_who_is_disabled_or_gone_is_out_at_once(cloud: RunningCloud) -> None:
    role = next(r["id"] for r in cloud.get(ID + "/roles")["roles"] if r["name"] == "member")
    project = cloud.made(ID + "/projects", {"project": {"name": "leaving"}})["project"]["id"]
    user = cloud.made(ID + "/users", {"user": {"name": "leaver", "password": "pass-of-leaver"}})["user"]["id"]
    assert cloud.call("PUT", f"{ID}/projects/{project}/users/{user}/roles/{role}").status_code == 204
    reply = cloud.log_in("leaver", "pass-of-leaver", "leaving")
    leaver = Who("leaver", reply.headers["X-Subject-Token"])
    assert cloud.call("GET", SERVERS, leaver).status_code == 200
    off = cloud.call("PATCH", f"{ID}/users/{user}", json={"user": {"enabled": False}})
    assert off.status_code == 200
    for path in (SERVERS, NET + "/networks", IMG):
        assert cloud.call("GET", path, leaver).status_code == 401
    assert cloud.log_in("leaver", "pass-of-leaver", "leaving").status_code == 401
    assert cloud.call("DELETE", f"{ID}/users/{user}").status_code == 204
    assert cloud.call("DELETE", f"{ID}/projects/{project}").status_code == 204


def test_a_wrong_password_says_no_more_than_that(cloud: RunningCloud) -> None:
    for user, password in (("demo", "wrong"), ("nobody-here", "wrong")):
        reply = cloud.log_in(user, password, "demo")
        assert reply.status_code == 401
        assert reply.json()["error"]["message"] == cloud.log_in("demo", "", "demo").json()["error"]["message"]
    assert cloud.log_in("rival", "pass-of-rival", "demo").status_code == 401
