"""Ports: made with addresses and groups, bound to hosts, deleted with what hangs on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.kernel.db import Duplicate, Row
from kilonova.kernel.ids import new_uuid
from kilonova.network import errors
from kilonova.network.drivers.driver import Binding, Kind
from kilonova.network.model import ports as rules
from kilonova.network.store import ports, routers, standard, tables
from kilonova.network.store.listing import Reader
from kilonova.network.store.ports import ACTIVE, INACTIVE, Address
from kilonova.network.store.security_groups import LISTING as GROUPS
from kilonova.network.workflows import addresses, security_groups
from kilonova.network.workflows.change import Change
from kilonova.network.workflows.events import CHANGED, DELETED

PLAIN = (
    "project_id", "name", "description", "tags", "admin_state_up", "device_id", "device_owner", "dns_name",
    "dns_domain", "propagate_uplink_status",
)  # fmt: skip


async def create_port(change: Change, network: Row[Any], ask: Mapping[str, Any], binding: Binding | None = None) -> str:
    """Make a port; its id.

    ``ask``: the columns; fixed_ips and security_groups are None where not said. ``binding``: how the driver plugs the
    port on ``ask["host"]``.
    """
    await change.check_quota(ask["project_id"], "port")
    owner = ask["device_owner"]
    secured = ask["port_security_enabled"]
    secured = network.port_security_enabled if secured is None else secured
    if not rules.has_security_by_default(owner):
        secured = bool(ask["port_security_enabled"])
    mac = ask["mac_address"]
    if mac is None:
        mac = await addresses.choose_mac(change, network.id)
    elif await ports.macs_taken(change.tx, network.id, mac):
        raise errors.MacAddressInUse(network_id=network.id, mac=mac)
    chosen = await addresses.choose_addresses(
        change, network_id=network.id, device_owner=owner, mac=mac, asked=ask["fixed_ips"]
    )
    groups = await _groups_of_new(change, ask, secured=secured, chosen=chosen)
    pairs = rules.canonical_pairs(ask["allowed_address_pairs"], change.settings.max_address_pairs, mac)
    _check_pairs(pairs, secured)
    port_id = new_uuid()
    values = {
        "id": port_id,
        "network_id": network.id,
        "mac_address": mac,
        "status": "DOWN",
        "port_security_enabled": secured,
        "allowed_address_pairs": pairs,
        "extra_dhcp_opts": rules.canonical_dhcp_options(ask["extra_dhcp_opts"]),
        **{name: ask[name] for name in PLAIN},
    }
    try:
        await standard.add(change.tx, tables.ports, values, change.now)
    except Duplicate:
        if ask["mac_address"] is not None:
            raise errors.MacAddressInUse(network_id=network.id, mac=mac) from None
        raise standard.Clash() from None
    await ports.keep_addresses(change.tx, port_id, network.id, chosen)
    await ports.keep_groups(change.tx, port_id, groups)
    await ports.add_binding(change.tx, port_id, ask["host"], _binding_values(ask, binding))
    change.touch(Kind.PORT, port_id)
    return port_id


def _binding_values(ask: Mapping[str, Any], binding: Binding | None) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if not ask["host"]:
        vif_type = rules.UNBOUND
    elif binding is None:
        vif_type = rules.BINDING_FAILED
    else:
        vif_type, details = binding.vif_type, dict(binding.vif_details)
    return {
        "status": ACTIVE,
        "vnic_type": ask["vnic_type"],
        "profile": ask["profile"],
        "vif_type": vif_type,
        "vif_details": details,
    }


async def _groups_of_new(
    change: Change, ask: Mapping[str, Any], *, secured: bool, chosen: Sequence[Address]
) -> list[str]:
    asked = ask["security_groups"]
    if asked is None:
        if not secured or not rules.has_security_by_default(ask["device_owner"]) or not ask["project_id"]:
            return []
        return [await security_groups.ensure_default(change, ask["project_id"])]
    if asked and not secured:
        raise errors.SecurityGroupsNeedAddress()
    await _check_groups(change, asked, ask["project_id"])
    return list(asked)


async def _check_groups(change: Change, asked: Sequence[str], project_id: str) -> None:
    """Groups must exist and be the project's, the caller's, or shared with either."""
    if not asked:
        return
    context = change.context
    sees_all = context.is_admin or "service" in context.roles
    own = {row.id for row in await GROUPS.many(change.tx, Reader(project_id), list(asked))}
    missing = [group for group in asked if group not in own]
    if missing:
        seen = {row.id for row in await GROUPS.many(change.tx, Reader(context.project_id, sees_all), missing)}
        for group in missing:
            if group not in seen:
                raise errors.SecurityGroupNotFound(id=group)


def _check_pairs(pairs: Sequence[Mapping[str, str]], secured: bool) -> None:
    if pairs and not secured:
        raise errors.AddressPairAndPortSecurityRequired()


async def update_port(change: Change, row: Row[Any], ask: Mapping[str, Any], binding: Binding | None = None) -> None:
    """Change a port; ``row`` with binding, ``ask`` only what changes (``host``, ``vnic_type``, ``profile`` too)."""
    values: dict[str, Any] = {name: ask[name] for name in PLAIN if name in ask}
    own = [Address(a.subnet_id, a.ip_address) for a in (await ports.addresses(change.tx, [row.id])).get(row.id, [])]
    mac = ask.get("mac_address") or row.mac_address
    if "mac_address" in ask and ask["mac_address"] is None:
        mac = await addresses.choose_mac(change, row.network_id)
    if mac != row.mac_address:
        if row.host and row.vif_type not in (rules.UNBOUND, rules.BINDING_FAILED):
            raise errors.PortInUse(port_id=row.id, network_id=row.network_id, device_id=row.device_id)
        if await ports.macs_taken(change.tx, row.network_id, mac):
            raise errors.MacAddressInUse(network_id=row.network_id, mac=mac)
        values["mac_address"] = mac
    chosen = own
    owner = ask.get("device_owner", row.device_owner)
    if "fixed_ips" in ask:
        chosen = await addresses.choose_addresses(
            change, network_id=row.network_id, device_owner=owner, mac=mac, asked=ask["fixed_ips"] or [], own=own
        )
        await _free_floating_ips(change, row, {a.ip for a in own} - {a.ip for a in chosen})
        await ports.keep_addresses(change.tx, row.id, row.network_id, chosen)
    secured = ask.get("port_security_enabled", row.port_security_enabled)
    secured = row.port_security_enabled if secured is None else secured
    values["port_security_enabled"] = secured
    groups = (await ports.group_ids(change.tx, [row.id])).get(row.id, [])
    if "security_groups" in ask:
        groups = list(ask["security_groups"] or ())
        await _check_groups(change, groups, row.project_id)
        await ports.keep_groups(change.tx, row.id, groups)
    if groups and not secured:
        raise errors.PortSecurityPortHasSecurityGroup()
    pairs = row.allowed_address_pairs
    if "allowed_address_pairs" in ask:
        limit = change.settings.max_address_pairs
        pairs = values["allowed_address_pairs"] = rules.canonical_pairs(ask["allowed_address_pairs"] or (), limit, mac)
        _check_pairs(pairs, secured)
    elif pairs and not secured:
        raise errors.AddressPairAndPortSecurityRequired()
    if "extra_dhcp_opts" in ask:
        values["extra_dhcp_opts"] = rules.canonical_dhcp_options(ask["extra_dhcp_opts"] or (), row.extra_dhcp_opts)
    await _rebind(change, row, ask, binding)
    try:
        await standard.change(change.tx, tables.ports, row.id, values, change.now)
    except Duplicate:
        raise errors.MacAddressInUse(network_id=row.network_id, mac=mac) from None
    change.touch(Kind.PORT, row.id)
    change.tell_compute(CHANGED, row)
    router_id = await routers.router_of_port(change.tx, row.id)
    router_id = router_id or await routers.router_of_gateway_port(change.tx, row.id)
    if router_id is not None:
        change.touch(Kind.ROUTER, router_id)


async def _rebind(change: Change, row: Row[Any], ask: Mapping[str, Any], binding: Binding | None) -> None:
    if not {"host", "vnic_type", "profile"} & ask.keys():
        return
    after = {
        "host": ask.get("host", row.host) or "",
        "vnic_type": ask.get("vnic_type", row.vnic_type),
        "profile": ask.get("profile", row.profile) or {},
    }
    if after["host"] and after["host"] == row.host and binding is None and "host" not in ask:
        await ports.change_binding(
            change.tx, row.id, row.host, {"vnic_type": after["vnic_type"], "profile": after["profile"]}
        )
        return
    if after["host"] != row.host:
        await ports.drop_binding(change.tx, row.id, after["host"])  # an inactive one that becomes the active one
    await ports.change_binding(change.tx, row.id, row.host, {**_binding_values(after, binding), "host": after["host"]})
    if not after["host"]:
        for other in await ports.bindings(change.tx, row.id):
            if other.status == INACTIVE:
                await ports.drop_binding(change.tx, row.id, other.host)


async def _free_floating_ips(change: Change, row: Row[Any], lost: set[str]) -> None:
    for floating in await routers.floating_ips_of_port(change.tx, row.id):
        if floating.fixed_ip_address in lost:
            await disassociate(change, floating)


async def disassociate(change: Change, floating: Row[Any]) -> None:
    """A floating IP leads nowhere any more."""
    nowhere = {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": "DOWN"}
    await standard.change(change.tx, tables.floatingips, floating.id, nowhere, change.now)
    change.touch(Kind.FLOATING_IP, floating.id)
    await tell_of_target(change, floating.port_id)


async def tell_of_target(change: Change, port_id: str | None) -> None:
    """Compute hears that the addresses that lead to a server's port changed."""
    port = await ports.find(change.tx, port_id) if port_id is not None else None
    if port is not None:
        change.tell_compute(CHANGED, port)


async def delete_port(change: Change, row: Row[Any], *, by_user: bool = True) -> None:
    """Delete a port; its addresses are free at once, floating IPs that lead to it lead nowhere.

    ``by_user``: ports that belong to a router or a floating IP are refused with ServicePortInUse.
    """
    if by_user:
        await _refuse_service_port(change, row)
    for floating in await routers.floating_ips_of_port(change.tx, row.id):
        await disassociate(change, floating)
    await ports.drop(change.tx, row.id)
    change.touch(Kind.PORT, row.id)
    change.tell_compute(DELETED, row)


async def _refuse_service_port(change: Change, row: Row[Any]) -> None:
    router_id = await routers.router_of_port(change.tx, row.id)
    router_id = router_id or await routers.router_of_gateway_port(change.tx, row.id)
    if router_id is not None:
        reason = f"has device owner {row.device_owner} of router {router_id}"
        raise errors.ServicePortInUse(port_id=row.id, reason=reason)
    floating_id = await routers.floating_ip_of_own_port(change.tx, row.id)
    if floating_id is not None:
        raise errors.ServicePortInUse(port_id=row.id, reason=f"has device owner of floating IP {floating_id}")


# --- bindings to more than one host (live migration) ----------------------------------------------------------


async def create_binding(
    change: Change, row: Row[Any], host: str, ask: Mapping[str, Any], binding: Binding | None
) -> None:
    """Bind the port on another host as well, inactive until it is activated."""
    if binding is None:
        raise errors.PortBindingError(port_id=row.id, host=host)
    if host == row.host:
        raise errors.PortBindingAlreadyExists(port_id=row.id, host=host)
    values = _binding_values({**ask, "host": host}, binding) | {"status": INACTIVE}
    try:
        await ports.add_binding(change.tx, row.id, host, values)
    except Duplicate:
        raise errors.PortBindingAlreadyExists(port_id=row.id, host=host) from None


async def activate_binding(change: Change, row: Row[Any], host: str) -> None:
    """The inactive binding on ``host`` becomes the active one, the active one inactive."""
    there = {one.host: one for one in await ports.bindings(change.tx, row.id)}
    if host not in there:
        raise errors.PortBindingNotFound(port_id=row.id, host=host)
    if there[host].status == ACTIVE:
        raise errors.PortBindingAlreadyActive(port_id=row.id, host=host)
    for other in there.values():
        if other.status == ACTIVE and not other.host:
            await ports.drop_binding(change.tx, row.id, other.host)
        elif other.status == ACTIVE:
            await ports.change_binding(change.tx, row.id, other.host, {"status": INACTIVE})
    await ports.change_binding(change.tx, row.id, host, {"status": ACTIVE})
    await standard.change(change.tx, tables.ports, row.id, {}, change.now)
    change.touch(Kind.PORT, row.id)


async def delete_binding(change: Change, row: Row[Any], host: str) -> None:
    """Forget the binding on a host; without its active binding a port is unbound."""
    there = {one.host: one for one in await ports.bindings(change.tx, row.id)}
    if host not in there or not host:
        raise errors.PortBindingNotFound(port_id=row.id, host=host)
    await ports.drop_binding(change.tx, row.id, host)
    if there[host].status == ACTIVE:
        unbound = {"host": "", "vnic_type": there[host].vnic_type, "profile": {}}
        await ports.add_binding(change.tx, row.id, "", _binding_values(unbound, None))
        await standard.change(change.tx, tables.ports, row.id, {}, change.now)
        change.touch(Kind.PORT, row.id)
