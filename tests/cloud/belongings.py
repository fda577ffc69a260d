"""One thing of each kind that a project can have, and the routes that are about them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from tests.cloud.junk import UUID, Operation
from tests.cloud.make import RunningCloud

MARK = "only-its-owners-read-this"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMnGJ0Bz0nQPo1kQJv9hMKl0Ld7hKXlMvDqXbRkYv3pX"

Things = Mapping[str, str]
"""Id of the member's thing by the path segment of its kind: ``servers``, ``networks``..."""


def belongings(cloud: RunningCloud) -> Things:
    """One of each kind that a project can have, all of the member's, each with a word in it that betrays it."""
    net = "/network/v2.0"
    network = cloud.made(f"{net}/networks", {"network": {"name": MARK}}, "member")["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": "192.168.99.0/24", "name": MARK}
    group = cloud.made(f"{net}/security-groups", {"security_group": {"name": MARK}}, "member")["security_group"]
    rule = {"security_group_id": group["id"], "direction": "ingress", "description": MARK}
    public = cloud.get(f"{net}/networks?name=public", "member")["networks"][0]["id"]
    floating = {"floating_network_id": public, "description": MARK}
    made = {
        "networks": network,
        "subnets": cloud.made(f"{net}/subnets", {"subnet": subnet}, "member")["subnet"]["id"],
        "ports": cloud.made(f"{net}/ports", {"port": {"network_id": network, "name": MARK}}, "member")["port"]["id"],
        "routers": cloud.made(f"{net}/routers", {"router": {"name": MARK}}, "member")["router"]["id"],
        "security-groups": group["id"],
        "security-group-rules": cloud.made(f"{net}/security-group-rules", {"security_group_rule": rule}, "member")[
            "security_group_rule"
        ]["id"],
        "floatingips": cloud.made(f"{net}/floatingips", {"floatingip": floating}, "member")["floatingip"]["id"],
        "images": cloud.made("/image/v2/images", {"name": MARK}, "member")["id"],
        "projects": cloud.people["member"].project_id,
        "users": cloud.people["member"].user_id,
    }
    flavor = next(f["id"] for f in cloud.get("/compute/v2.1/flavors")["flavors"] if f["name"] == "m1.nano")
    image = cloud.get("/image/v2/images?name=kilonova-tiny")["images"][0]["id"]
    server = {"name": MARK, "flavorRef": flavor, "imageRef": image, "networks": [{"uuid": network}]}
    made["servers"] = cloud.made("/compute/v2.1/servers", {"server": server}, "member", version="2.90")["server"]["id"]
    group = {"name": MARK, "policies": ["affinity"]}
    made["os-server-groups"] = cloud.made("/compute/v2.1/os-server-groups", {"server_group": group}, "member")[
        "server_group"
    ]["id"]
    key = {
        "name": MARK,
        "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMnGJ0Bz0nQPo1kQJv9hMKl0Ld7hKXlMvDqXbRkYv3pX",
    }
    cloud.made("/compute/v2.1/os-keypairs", {"keypair": key}, "member")
    assert cloud.settled(made["servers"])["status"] == "ACTIVE"
    return made


def filled(route: Operation, things: Things) -> str | None:
    """The path of a route that names one of the things, with its parameters filled in; None of any other."""
    segments = route.path.split("/")
    found: dict[str, str] = {}
    for kind, parameter in itertools.pairwise(segments):
        if parameter.startswith("{") and kind in things:
            found.setdefault(parameter.strip("{}"), things[kind])
    return route.at(found, UUID) if found else None
