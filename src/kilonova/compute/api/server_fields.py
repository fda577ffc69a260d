"""Servers on the wire. A view is a server's row with what one request knows beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Raw

from kilonova.compute.api.links import links
from kilonova.compute.microversions import v
from kilonova.compute.model.servers import guest_name, hide_host
from kilonova.compute.model.states import STATUS
from kilonova.compute.policies import PREFIX
from kilonova.compute.store.servers import tags_of
from kilonova.kernel.clock import iso_micros, iso_seconds
from kilonova.kernel.db import Row
from kilonova.kernel.web import Field, FieldTable

HOST_STATUS = PREFIX + "servers:show:host_status"
HOST_STATUS_UNKNOWN = PREFIX + "servers:show:host_status:unknown-only"
ATTRIBUTES = PREFIX + "os-extended-server-attributes"
SPECS = PREFIX + "servers:show:flavor-extra-specs"

_WITH_PROGRESS = frozenset(("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"))
_WITH_FAULT = frozenset(("ERROR", "DELETED"))


@dataclass(slots=True)
class Frame:
    """What all servers of one answer share. `host_states`: UP, DOWN ... by host; `groups`: by server id."""

    base: tuple[str, str]
    is_admin: bool = False
    sees_specs: bool = False
    host_states: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class ServerView:
    """A server's row, its JSON as text, within a frame."""

    __slots__ = ("frame", "row")

    def __init__(self, row: Row[Any], frame: Frame):
        self.row, self.frame = row, frame

    @property
    def status(self) -> str:
        """The word that the owner sees."""
        return STATUS.get((self.row.vm_state, self.row.task_state), "UNKNOWN")


def _column(name: str) -> Callable[[ServerView], Any]:
    return attrgetter("row." + name)


def _json(name: str) -> Callable[[ServerView], Any]:
    """JSON that goes out as it is stored."""
    column = attrgetter("row." + name)
    return lambda view: Raw(column(view))


def _text(name: str) -> Callable[[ServerView], Any]:
    return lambda view: getattr(view.row, name) or ""


def addresses(vifs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Addresses by the name of their network, as lists of servers have them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for vif in vifs:
        rows = found.setdefault(vif["network_name"], [])
        for ip in vif["fixed_ips"]:
            rows.append(_address(ip["address"], vif["mac"], "fixed"))
            rows.extend(_address(floating, vif["mac"], "floating") for floating in ip["floating"])
    return found


def _address(address: str, mac: str, kind: str) -> dict[str, Any]:
    return {
        "version": 6 if ":" in address else 4,
        "addr": address,
        "OS-EXT-IPS:type": kind,
        "OS-EXT-IPS-MAC:mac_addr": mac,
    }


def _flavor_link(view: ServerView) -> dict[str, Any]:
    key = view.row.flavor_id
    return {"id": key, "links": [{"rel": "bookmark", "href": f"{view.frame.base[1]}/flavors/{key}"}]}


@lru_cache(maxsize=2000)
def _addresses(vifs: str) -> Raw:
    return Raw(msgspec.json.encode(addresses(msgspec.json.decode(vifs))))


@lru_cache(maxsize=1000)
def _flavor(text: str, sees_specs: bool) -> Raw:
    has = msgspec.json.decode(text)
    shown = {
        "vcpus": has["vcpus"],
        "ram": has["ram_mib"],
        "disk": has["disk_gib"],
        "ephemeral": has["ephemeral_gib"],
        "swap": has["swap_mib"],
        "original_name": has["name"],
    }
    if sees_specs:
        shown["extra_specs"] = has["extra_specs"]
    return Raw(msgspec.json.encode(shown))


@lru_cache(maxsize=1000)
def _image_properties(text: str) -> dict[str, Any]:
    properties: dict[str, Any] = msgspec.json.decode(text)["properties"]
    return properties


@lru_cache(maxsize=1000)
def _spec(text: str) -> dict[str, Any]:
    spec: dict[str, Any] = msgspec.json.decode(text)
    return spec


def _image(view: ServerView) -> Any:
    key = view.row.image_id
    if not key:
        return ""
    return {"id": key, "links": [{"rel": "bookmark", "href": f"{view.frame.base[1]}/images/{key}"}]}


def _image_with_properties(view: ServerView) -> Any:
    shown = _image(view)
    return {**shown, "properties": _image_properties(view.row.image)} if shown else shown


def _fault(view: ServerView) -> dict[str, Any]:
    has = msgspec.json.decode(view.row.fault)
    shown = {"code": has["code"], "created": has["created_at"][:19] + "Z", "message": has["message"]}
    if has["details"] and (view.frame.is_admin or has["code"] != 500):
        shown["details"] = has["details"]
    return shown


@lru_cache(maxsize=1000)
def _groups(text: str) -> list[dict[str, str]]:
    return [{"name": name} for name in msgspec.json.decode(text)]


def _hints(view: ServerView) -> dict[str, Any]:
    return {key: list(values) for key, values in _spec(view.row.spec)["hints"].items()}


_NAMED = (
    Field("id", _column("id")),
    Field("name", _column("name")),
    Field("links", lambda view: links(view.frame.base, "servers", view.row.id)),
)

SERVER_BRIEF = FieldTable(*_NAMED)

_ALWAYS = (
    *_NAMED,
    Field("status", lambda view: view.status),
    Field("tenant_id", _column("project_id")),
    Field("user_id", _column("user_id")),
    Field("metadata", _json("metadata")),
    Field("hostId", lambda view: hide_host(view.row.project_id, view.row.host)),
    Field("image", _image, until=v(97)),
    Field("image", _image_with_properties, since=v(98)),
    Field("flavor", _flavor_link, until=v(46)),
    Field("flavor", lambda view: _flavor(view.row.flavor, view.frame.sees_specs), since=v(47)),
    Field("created", lambda view: iso_seconds(view.row.created_at)),
    Field("updated", lambda view: iso_seconds(view.row.updated_at)),
    Field("addresses", lambda view: _addresses(view.row.vifs)),
    Field("accessIPv4", _text("access_ipv4")),
    Field("accessIPv6", _text("access_ipv6")),
    Field("OS-DCF:diskConfig", _column("disk_config")),
    Field("locked", lambda view: view.row.locked_by is not None, since=v(9)),
    Field("description", _column("description"), since=v(19)),
    Field("tags", lambda view: list(tags_of(view.row.tags)), since=v(26)),
    Field("trusted_image_certificates", lambda view: _spec(view.row.spec)["trusted_certificates"], since=v(63)),
    Field("locked_reason", _column("locked_reason"), since=v(73)),
)

_EXTENDED = (
    Field("OS-EXT-AZ:availability_zone", _text("zone")),
    Field("config_drive", lambda view: "True" if view.row.config_drive else ""),
    Field("key_name", _column("key_name")),
    Field("OS-SRV-USG:launched_at", lambda view: iso_micros(view.row.launched_at)),
    Field("OS-SRV-USG:terminated_at", lambda view: iso_micros(view.row.terminated_at)),
    Field("OS-EXT-STS:task_state", _column("task_state")),
    Field("OS-EXT-STS:vm_state", _column("vm_state")),
    Field("OS-EXT-STS:power_state", _column("power_state")),
    Field("os-extended-volumes:volumes_attached", lambda view: []),
    Field("OS-EXT-SRV-ATTR:host", _column("host"), policy=ATTRIBUTES),
    Field("OS-EXT-SRV-ATTR:hypervisor_hostname", _column("node"), policy=ATTRIBUTES),
    Field("OS-EXT-SRV-ATTR:instance_name", lambda view: guest_name(view.row.number), policy=ATTRIBUTES),
    Field("OS-EXT-SRV-ATTR:reservation_id", _column("reservation_id"), since=v(3), policy=ATTRIBUTES),
    Field("OS-EXT-SRV-ATTR:launch_index", _column("launch_index"), since=v(3), policy=ATTRIBUTES),
    Field("OS-EXT-SRV-ATTR:hostname", _column("hostname"), since=v(3), until=v(89), policy=ATTRIBUTES),
    Field("OS-EXT-SRV-ATTR:hostname", _column("hostname"), since=v(90)),
    Field(
        "OS-EXT-SRV-ATTR:kernel_id",
        lambda view: _image_properties(view.row.image).get("kernel_id", ""),
        since=v(3),
        policy=ATTRIBUTES,
    ),
    Field(
        "OS-EXT-SRV-ATTR:ramdisk_id",
        lambda view: _image_properties(view.row.image).get("ramdisk_id", ""),
        since=v(3),
        policy=ATTRIBUTES,
    ),
    Field("OS-EXT-SRV-ATTR:root_device_name", _column("root_device"), since=v(3), policy=ATTRIBUTES),
    Field("OS-EXT-SRV-ATTR:user_data", _column("user_data"), since=v(3), policy=ATTRIBUTES),
    Field(
        "host_status",
        lambda view: view.frame.host_states.get(view.row.host or "", ""),
        since=v(16),
        policy=HOST_STATUS,
    ),
    Field("pinned_availability_zone", lambda view: _spec(view.row.spec)["zone"], since=v(96)),
    Field("scheduler_hints", _hints, since=v(100)),
)

SERVER = FieldTable(*_ALWAYS, *_EXTENDED)
"""A server in a detailed list."""

_GROUPS = Field("server_groups", lambda view: list(view.frame.groups.get(view.row.id, ())), since=v(71))
SERVER_ALONE = FieldTable(*_ALWAYS, *_EXTENDED, _GROUPS)
"""A server shown by itself."""

_SINCE_75 = tuple(Field(f.name, f.read, max(f.since or v(1), v(75)), f.until, f.policy) for f in (*_EXTENDED, _GROUPS))
SERVER_CHANGED = FieldTable(*_ALWAYS, *_SINCE_75)
"""A server in the answer to a change: brief before microversion 2.75, whole after."""


def finish(shown: dict[str, Any], view: ServerView) -> dict[str, Any]:
    """Add the keys that are there only in some states."""
    row, status = view.row, shown["status"]
    if row.vifs != "[]" and row.security_groups != "[]":
        shown["security_groups"] = _groups(row.security_groups)
    if status in _WITH_PROGRESS:
        shown["progress"] = row.progress
    if row.fault is not None and status in _WITH_FAULT:
        shown["fault"] = _fault(view)
    return shown
