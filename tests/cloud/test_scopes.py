"""What a token is for: a domain's or the system's administrator has no business in projects, and a service token is
one of a service.
"""

from __future__ import annotations

import json

import pytest

from tests.cloud.make import RunningCloud, Who

PROJECTS_ONLY = (
    ("GET", "/compute/v2.1/servers/detail?all_tenants=1", None),
    ("GET", "/compute/v2.1/os-hypervisors", None),
    ("POST", "/compute/v2.1/os-server-groups", {"server_group": {"name": "x", "policies": ["affinity"]}}),
    ("GET", "/image/v2/images", None),
    ("POST", "/image/v2/images", {"name": "x"}),
    ("POST", "/network/v2.0/networks", {"network": {"name": "x"}}),
    ("POST", "/network/v2.0/security-groups", {"security_group": {"name": "x"}}),
    ("GET", "/placement/resource_providers", None),
)


@pytest.mark.parametrize("scope", [{"domain": {"id": "default"}}, {"system": {"all": True}}], ids=["domain", "system"])
def test_an_administrator_without_a_project_administers_no_project(cloud: RunningCloud, scope: object) -> None:
    password = json.loads((cloud.state / "secrets.json").read_text())["admin_password"]
    reply = cloud.log_in("admin", password, None, scope=scope)
    assert reply.status_code == 201, reply.text
    who = Who("scoped", reply.headers["X-Subject-Token"])
    for method, path, body in PROJECTS_ONLY:
        assert cloud.call(method, path, who, json=body).status_code == 403, f"{method} {path}"
    lists = ("networks", "ports", "security-groups")
    assert all(not cloud.get(f"/network/v2.0/{kind}", who)[kind.replace("-", "_")] for kind in lists)


def test_anybodys_token_is_no_service_token(cloud: RunningCloud) -> None:
    """Else a stranger could tell the ids of other projects' servers from those of none."""
    flavor = next(f["id"] for f in cloud.get("/compute/v2.1/flavors")["flavors"] if f["name"] == "m1.nano")
    image = cloud.get("/image/v2/images?name=kilonova-tiny")["images"][0]["id"]
    ask = {"name": "private", "flavorRef": flavor, "imageRef": image, "networks": "none"}
    server = cloud.made("/compute/v2.1/servers", {"server": ask}, "member", version="2.90")["server"]["id"]
    rival = cloud.people["rival"]
    for kind in ("", "/metadata", "/os-interface"):
        path = f"/compute/v2.1/servers/{server}{kind}"
        reply = cloud.call("GET", path, rival, headers={"X-Service-Token": rival.token or ""})
        assert reply.status_code == 404, f"{path}: {reply.status_code}"
    cloud.settled(server)
    assert cloud.call("DELETE", f"/compute/v2.1/servers/{server}", "member").status_code == 204
