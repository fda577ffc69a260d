"""Finds what a guest asks for by path: documents, and the listings of what there is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kilonova.compute.calls import GuestOrder
from kilonova.compute.metadata.documents import (
    EC2_VERSIONS,
    OPENSTACK_VERSIONS,
    ec2_meta_data,
    openstack_tree,
    user_data,
)


def lookup(order: GuestOrder, path: str, floating_ip: str | None = None) -> tuple[str, bytes] | None:
    """(media type, content) at ``path``, or None. A folder answers the names of what is in it, one a line."""
    words = [word for word in path.split("/") if word]
    if not words:
        return _listing([*EC2_VERSIONS, "openstack"])
    if words[0] == "openstack":
        return _openstack(order, words[1:])
    if words[0] in EC2_VERSIONS:
        return _ec2(order, words[1:], floating_ip)
    return None


def _openstack(order: GuestOrder, words: list[str]) -> tuple[str, bytes] | None:
    if not words:
        return _listing([*OPENSTACK_VERSIONS])
    tree = openstack_tree(order)
    if len(words) == 1:
        base = f"openstack/{words[0]}/"
        names = [name.removeprefix(base) for name in tree if name.startswith(base)]
        if words[0] in OPENSTACK_VERSIONS:
            names.append("password")
        return _listing(names) if names else None
    if words[1:] == ["password"] and words[0] in OPENSTACK_VERSIONS:
        return "text/plain", b""  # none was ever set by a guest
    content = tree.get("/".join(("openstack", *words)))
    if content is None:
        return None
    return ("application/json" if words[-1].endswith(".json") else "application/octet-stream"), content


def _ec2(order: GuestOrder, words: list[str], floating_ip: str | None) -> tuple[str, bytes] | None:
    script = user_data(order)
    if not words:
        return _listing(["meta-data/", *(["user-data"] if script is not None else [])])
    if words == ["user-data"]:
        return None if script is None else ("application/octet-stream", script)
    if words[0] != "meta-data":
        return None
    found: Any = ec2_meta_data(order, floating_ip)
    for word in words[1:]:
        word = word.partition("=")[0]
        if not isinstance(found, Mapping) or word not in found or word.startswith("_"):
            return None
        found = found[word]
    if isinstance(found, Mapping):
        return _listing([_entry(name, value) for name, value in sorted(found.items()) if not name.startswith("_")])
    return "text/plain", str(found).encode()


def _entry(name: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        return name
    return f"{name}={value['_name']}" if "_name" in value else f"{name}/"


def _listing(names: list[str]) -> tuple[str, bytes]:
    return "text/plain; charset=UTF-8", "\n".join(names).encode()
