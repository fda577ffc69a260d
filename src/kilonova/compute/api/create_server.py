"""Making servers: what is asked, the facts it needs from the neighbours, then one transaction."""

from __future__ import annotations

import logging
import secrets
import string
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from kilonova.compute.api.links import bases, links
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.requested_networks import Networks, resolve_networks
from kilonova.compute.api.values import as_address, as_bool, as_int, check_base64
from kilonova.compute.errors import (
    BadValue,
    FlavorTooSmall,
    FlavorUnknown,
    GroupUnknown,
    HostUnknown,
    ImageNotActive,
    ImageUnknown,
    KeypairUnknown,
    NotBuiltYet,
    QuotaExceeded,
    ZoneUnknown,
)
from kilonova.compute.model import operations
from kilonova.compute.model.flavors import FlavorSnapshot
from kilonova.compute.model.hosts import ZONE_KEY, Aggregate
from kilonova.compute.model.naming import hostname_for, numbered
from kilonova.compute.model.servers import ImageSnapshot, Server, ServerSpec
from kilonova.compute.model.states import TaskState, VmState
from kilonova.compute.model.trace import hop
from kilonova.compute.policies import PREFIX
from kilonova.compute.store import flavors, groups, hosts, keypairs, quotas, servers
from kilonova.kernel.db import Page, Transaction
from kilonova.kernel.errors import BadRequest, Forbidden
from kilonova.kernel.ids import is_uuid, new_uuid
from kilonova.kernel.web import Response, accepted

LOG = logging.getLogger(__name__)

_GIB = 1 << 30
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Ask:
    """What the body asks for, before anything is looked up."""

    name: str
    flavor_id: str
    image_id: str
    count: int
    least: int
    admin_password: str
    metadata: dict[str, str]
    tags: tuple[str, ...]
    files: tuple[operations.InjectedFile, ...]
    spec: ServerSpec
    networks: Any
    security_groups: tuple[str, ...]
    description: str | None = None
    hostname: str | None = None
    key_name: str | None = None
    user_data: str | None = None
    config_drive: bool = False
    access_ipv4: str | None = None
    access_ipv6: str | None = None
    disk_config: str = "MANUAL"
    answers_reservation: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What the neighbours and our own tables say about it."""

    flavor: FlavorSnapshot
    image: ImageSnapshot
    networks: Networks
    key: Any = None
    group: Any = None
    spec: ServerSpec = field(default_factory=ServerSpec)


async def create_server(request: ComputeRequest) -> Response:
    """POST /servers"""
    if request.context.project_id is None:
        raise Forbidden("Servers are made in a project: use a token that is scoped to one.")
    _trace_arrival(request)
    ask = _read(request)
    facts = await _resolve(request, ask)
    service, context = request.service, request.context
    now = service.clock.now()
    async with service.db.transaction() as tx:
        count = await quotas.check_servers(
            tx,
            service.settings.quotas,
            context.project_id or "",
            context.user_id or "",
            count=ask.count,
            least=ask.least,
            vcpus=facts.flavor.vcpus,
            ram_mib=facts.flavor.ram_mib,
        )
        new = _servers(request, ask, facts, count, now)
        await servers.insert_servers(tx, new)
        if facts.group is not None:
            await _join_group(request, tx, facts.group, new)
        payload = msgspec.to_builtins(
            operations.Build(
                networks=facts.networks.cards,
                security_group_ids=facts.networks.group_ids,
                files=ask.files,
                admin_password=ask.admin_password,
            )
        )
        wishes = [(server.id, payload) for server in new]
        await service.journal.write_many(tx, operations.BUILD, wishes, asker=context)
    for server in new:
        LOG.info("%s: server %s", hop("6-7"), server.id)
    return _answer(request, ask, new)


def _trace_arrival(request: ComputeRequest) -> None:
    """What was done before the handler could run, told here because only now it is known that a boot is meant."""
    who = request.context
    LOG.info("%s: of user %s, good until %s", hop("1-2"), who.user_id, who.expires_at)
    LOG.info("%s: microversion %s", hop("3"), request.version)
    LOG.info("%s: project %s, roles %s", hop("4-5"), who.project_id, ", ".join(who.roles))


def _answer(request: ComputeRequest, ask: Ask, new: list[Server]) -> Response:
    if ask.answers_reservation:
        return accepted({"reservation_id": new[0].reservation_id})
    first = new[0]
    shown: dict[str, Any] = {
        "id": first.id,
        "links": links(bases(request), "servers", first.id),
        "OS-DCF:diskConfig": first.disk_config,
        "security_groups": [{"name": name} for name in first.security_groups],
    }
    if request.service.settings.show_admin_password:
        shown["adminPass"] = ask.admin_password
    return accepted({"server": shown}, [("Location", shown["links"][0]["href"])])


# -- reading the body


def _read(request: ComputeRequest) -> Ask:
    ask = request.body["server"]
    least = as_int(ask.get("min_count", 1), "min_count", 1)
    count = as_int(ask.get("max_count", least), "max_count", 1)
    if least > count:
        raise BadValue(field="min_count", value=least, why="It must not be above max_count.")
    if count > request.service.settings.max_limit:
        raise BadValue(field="max_count", value=count, why="So many cannot be asked for at once.")
    _check_devices(ask)
    if ask.get("trusted_image_certificates"):
        raise NotBuiltYet(what="Checking image signatures against given certificates")
    user_data = ask.get("user_data")
    if user_data is not None:
        check_base64(user_data, "user_data")
    settings = request.service.settings
    return Ask(
        name=ask["name"],
        flavor_id=str(ask["flavorRef"]),
        image_id=ask.get("imageRef") or "",
        count=count,
        least=least,
        admin_password=ask.get("adminPass")
        or "".join(secrets.choice(_ALPHABET) for _ in range(settings.password_length)),
        metadata=ask.get("metadata", {}),
        tags=tuple(dict.fromkeys(ask.get("tags", ()))),
        files=_files(ask.get("personality", ())),
        spec=_spec(request, ask),
        networks=ask.get("networks"),
        security_groups=tuple(dict.fromkeys(row["name"] for row in ask.get("security_groups", ()) if row)),
        description=ask.get("description"),
        hostname=ask.get("hostname"),
        key_name=ask.get("key_name"),
        user_data=user_data,
        config_drive=as_bool(ask.get("config_drive", False)) or settings.force_config_drive,
        access_ipv4=as_address(ask.get("accessIPv4")),
        access_ipv6=as_address(ask.get("accessIPv6")),
        disk_config=ask.get("OS-DCF:diskConfig", "MANUAL"),
        answers_reservation=as_bool(ask.get("return_reservation_id", False)),
    )


def _check_devices(ask: dict[str, Any]) -> None:
    """Only a local root disk from the image is built so far; say so rather than make something else."""
    if ask.get("block_device_mapping"):
        raise NotBuiltYet(what="Booting from or with volumes (block_device_mapping)")
    for device in ask.get("block_device_mapping_v2", ()):
        root = str(device.get("boot_index")) == "0" and device.get("source_type") == "image"
        local = device.get("destination_type", "local") == "local"
        if not (root and local and device.get("uuid") == ask.get("imageRef")):
            raise NotBuiltYet(what="A block device other than the local root disk from the image")


def _files(rows: Any) -> tuple[operations.InjectedFile, ...]:
    for row in rows:
        check_base64(row.get("contents", ""), "personality")
    return tuple(operations.InjectedFile(row.get("path", ""), row.get("contents", "")) for row in rows)


def _spec(request: ComputeRequest, ask: dict[str, Any]) -> ServerSpec:
    zone, forced_host, forced_node = _zone(request, ask.get("availability_zone"))
    if ask.get("host") or ask.get("hypervisor_hostname"):
        request.allow(request.own_target(), "compute:servers:create:requested_destination")
        if forced_host or forced_node:
            raise BadRequest("Name the host either in availability_zone or in host, not in both.")
    hints = request.body.get("os:scheduler_hints") or request.body.get("OS-SCH-HNT:scheduler_hints") or {}
    return ServerSpec(
        zone=zone,
        forced_host=forced_host,
        forced_node=forced_node,
        asked_host=ask.get("host"),
        asked_node=ask.get("hypervisor_hostname"),
        hints={key: _words(value) for key, value in hints.items()},
        group_id=hints.get("group"),
    )


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(one if isinstance(one, str) else msgspec.json.encode(one).decode() for one in value)
    return (msgspec.json.encode(value).decode(),)


def _zone(request: ComputeRequest, text: str | None) -> tuple[str | None, str | None, str | None]:
    """Zone, host and node of `zone:host:node`; naming a host is the administrator's."""
    if not text:
        return request.service.settings.default_schedule_zone, None, None
    words = text.split(":")
    if len(words) == 1:
        return text, None, None
    if len(words) > 3:
        raise BadValue(field="availability_zone", value=text, why="It must be zone, zone:host or zone:host:node.")
    request.allow(request.own_target(), PREFIX + "servers:create:forced_host")
    zone, host, node = (*words, "")[:3]
    return zone or request.service.settings.default_schedule_zone, host or None, node or None


# -- looking up


async def _resolve(request: ComputeRequest, ask: Ask) -> Facts:
    """All that must be known before the transaction; each thing that is wrong is told here."""
    service, context = request.service, request.context
    project_id, user_id = context.project_id or "", context.user_id or ""
    async with service.db.read() as tx:
        limits = await quotas.limits(tx, service.settings.quotas, project_id)
        row = await flavors.find(tx, ask.flavor_id, project_id=project_id, sees_all=context.is_admin)
        if row is None:
            raise FlavorUnknown(id=ask.flavor_id)
        flavor = flavors.flavor_of(row)
        key = None
        if ask.key_name is not None:
            key = await keypairs.find(tx, user_id, ask.key_name)
            if key is None:
                raise KeypairUnknown(name=ask.key_name, user_id=user_id)
        group = None
        if ask.spec.group_id is not None:
            group = await groups.find(tx, ask.spec.group_id, project_id)
            if group is None:
                raise GroupUnknown(id=ask.spec.group_id)
        await _check_place(request, tx, ask.spec)
    _check_sizes(ask, limits)
    image = await _image(request, ask.image_id)
    _check_fit(request, flavor.snapshot(), image)
    networks = await resolve_networks(request, ask.networks, ask.security_groups, count=ask.count, least=ask.least)
    return Facts(flavor.snapshot(), image, networks, key, group, ask.spec)


async def _check_place(request: ComputeRequest, tx: Transaction, spec: ServerSpec) -> None:
    """The zone and the hosts that were named must exist."""
    if spec.zone is not None and spec.zone not in await _zones(request, tx):
        raise ZoneUnknown(zone=spec.zone)
    for host, node in ((spec.forced_host, spec.forced_node), (spec.asked_host, spec.asked_node)):
        if (host or node) and not await hosts.named_hosts(tx, host=host, node=node):
            raise HostUnknown(host=host or node)


async def _zones(request: ComputeRequest, tx: Transaction) -> set[str]:
    every: list[Aggregate] = await hosts.list_aggregates(tx)
    zones = {a.metadata[ZONE_KEY] for a in every if a.zone and a.hosts}
    zoned = {host for a in every if a.zone for host in a.hosts}
    named = await hosts.list_hosts(tx, Page((("number", "asc"),)))
    if any(host.host not in zoned for host in named):
        zones.add(request.service.settings.default_zone)
    return zones


def _check_sizes(ask: Ask, limits: dict[str, int]) -> None:
    def check(what: str, asked: int) -> None:
        if 0 <= limits[what] < asked:
            raise QuotaExceeded(what=what, asked=asked, used=0, limit=limits[what])

    check("metadata_items", len(ask.metadata))
    check("injected_files", len(ask.files))
    for file in ask.files:
        check("injected_file_path_length", len(file.path))
        check("injected_file_content_bytes", len(check_base64(file.contents, "personality")))


async def _image(request: ComputeRequest, image_id: str) -> ImageSnapshot:
    if not image_id:
        raise BadRequest("Invalid imageRef provided: a server needs an image to boot from.")
    if not is_uuid(image_id):
        raise ImageUnknown(id=image_id)
    image = await request.service.image.get(image_id, request.context.token or "")
    if image is None:
        raise ImageUnknown(id=image_id)
    if image.status != "active":
        raise ImageNotActive(id=image_id, status=image.status)
    return ImageSnapshot(
        image_id=image.id,
        name=image.name,
        disk_format=image.disk_format,
        container_format=image.container_format,
        size_bytes=image.size_bytes or 0,
        min_disk_gib=image.min_disk_gib,
        min_ram_mib=image.min_ram_mib,
        checksum=image.checksum,
        properties=image.properties,
    )


def _check_fit(request: ComputeRequest, flavor: FlavorSnapshot, image: ImageSnapshot) -> None:
    """The flavor must hold the image. A flavor without a disk takes the image's own size, if that is allowed."""
    if image.min_ram_mib > flavor.ram_mib:
        raise FlavorTooSmall(flavor=flavor.name, has=flavor.ram_mib, needs=image.min_ram_mib, unit="MiB", what="memory")
    if flavor.disk_gib == 0:
        if not request.may(PREFIX + "servers:create:zero_disk_flavor"):
            raise Forbidden("Only volume-backed servers may be made from a flavor whose disk is zero.")
        return
    needs = max(image.min_disk_gib, -(-image.size_bytes // _GIB))
    if needs > flavor.disk_gib:
        raise FlavorTooSmall(flavor=flavor.name, has=flavor.disk_gib, needs=needs, unit="GiB", what="disk")


# -- the rows


def _servers(request: ComputeRequest, ask: Ask, facts: Facts, count: int, now: datetime) -> list[Server]:
    context = request.context
    reservation = "r-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
    new = []
    for at in range(count):
        server_id = new_uuid()
        name = numbered(ask.name, at, count)
        hostname = numbered(ask.hostname, at, count) if ask.hostname else hostname_for(name, server_id)
        new.append(
            Server(
                id=server_id,
                number=0,
                generation=0,
                project_id=context.project_id or "",
                user_id=context.user_id or "",
                name=name,
                description=ask.description if ask.description is not None else _old_description(request, name),
                hostname=hostname,
                vm_state=str(VmState.BUILDING),
                task_state=str(TaskState.SCHEDULING),
                power_state=0,
                flavor=facts.flavor,
                image=facts.image,
                spec=ask.spec,
                vifs=(),
                metadata=ask.metadata,
                tags=ask.tags,
                created_at=now,
                updated_at=now,
                zone=ask.spec.zone,
                reservation_id=reservation,
                launch_index=at,
                key_name=ask.key_name,
                key_type=facts.key.type if facts.key is not None else None,
                public_key=facts.key.public_key if facts.key is not None else None,
                user_data=ask.user_data,
                config_drive=ask.config_drive,
                access_ipv4=ask.access_ipv4,
                access_ipv6=ask.access_ipv6,
                disk_config=ask.disk_config,
                security_groups=facts.networks.group_names,
            )
        )
    return new


def _old_description(request: ComputeRequest, name: str) -> str | None:
    """Before descriptions could be given, a server's description was its name."""
    return name if request.version < (2, 19) else None


async def _join_group(request: ComputeRequest, tx: Transaction, group: Any, new: list[Server]) -> None:
    settings, context = request.service.settings, request.context
    limit = (await quotas.limits(tx, settings.quotas, context.project_id or ""))["server_group_members"]
    quotas.check_room(limit, await quotas.member_use(tx, group.number), len(new), "server_group_members")
    await groups.add_members(tx, group.number, [server.id for server in new], context.user_id or "")
