"""What the driver should carry, read from the rows: specs by key. A fixed number of statements for each kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, Table, select

from kilonova.kernel.db import Transaction
from kilonova.network.drivers.driver import (
    AddressPair,
    DhcpOption,
    DnsRecord,
    FixedIp,
    FloatingIpSpec,
    HostRoute,
    Kind,
    NetworkSpec,
    PortSpec,
    Provider,
    RouterAddress,
    RouterGateway,
    RouterInterface,
    RouterSpec,
    RuleSpec,
    SecurityGroupSpec,
    Spec,
    SubnetSpec,
)
from kilonova.network.model.ports import METADATA, dns_assignment
from kilonova.network.store import ports as port_store
from kilonova.network.store import routers as router_store
from kilonova.network.store import security_groups as group_store
from kilonova.network.store import sharing, tables
from kilonova.network.store.needs import Key

BATCH = 500
TABLES: dict[Kind, Table] = {
    Kind.NETWORK: tables.networks,
    Kind.SUBNET: tables.subnets,
    Kind.PORT: tables.ports,
    Kind.ROUTER: tables.routers,
    Kind.FLOATING_IP: tables.floatingips,
    Kind.SECURITY_GROUP: tables.security_groups,
}


async def all_keys(tx: Transaction) -> list[Key]:
    """Every object the driver should have."""
    keys: list[Key] = []
    for kind, table in TABLES.items():
        keys += [(kind, object_id) for object_id in await tx.column(select(table.c.id))]
    return keys


async def specs(tx: Transaction, keys: Iterable[Key], dns_domain: str) -> dict[Key, Spec]:
    """The specs of those objects that exist."""
    by_kind: dict[Kind, list[str]] = {}
    for kind, object_id in keys:
        by_kind.setdefault(kind, []).append(object_id)
    found: dict[Key, Spec] = {}
    for kind, ids in by_kind.items():
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            if kind is Kind.PORT:
                made: Sequence[Spec] = await _ports(tx, part, dns_domain)
            else:
                made = await _READ[kind](tx, part)
            found.update({(kind, spec.id): spec for spec in made})
    return found


async def _networks(tx: Transaction, ids: Sequence[str]) -> list[NetworkSpec]:
    t = tables.networks
    external = sharing.granted(t.c.id, sharing.EXTERNAL, anybody=True).label("external")
    return [
        NetworkSpec(
            id=row.id,
            name=row.name,
            mtu=row.mtu,
            provider=Provider(
                row.network_type,
                row.physical_network or None,
                None if row.segmentation_id < 0 else row.segmentation_id,
            ),
            external=bool(row.external),
            admin_state_up=row.admin_state_up,
            revision=row.revision_number,
        )
        for row in await tx.all(select(t, external).where(t.c.id.in_(ids)))
    ]


async def _subnets(tx: Transaction, ids: Sequence[str]) -> list[SubnetSpec]:
    t, n, a, p = tables.subnets, tables.networks, tables.port_addresses, tables.ports
    external = sharing.granted(n.c.id, sharing.EXTERNAL, anybody=True).label("external")
    metadata = await tx.all(
        select(a.c.subnet_id, a.c.ip_address)
        .join(p, p.c.id == a.c.port_id)
        .where(a.c.subnet_id.in_(ids), p.c.device_owner == METADATA)
    )
    at = {row.subnet_id: row.ip_address for row in metadata}
    statement = select(t, n.c.mtu, n.c.dns_domain, external).join(n, n.c.id == t.c.network_id).where(t.c.id.in_(ids))
    return [
        SubnetSpec(
            id=row.id,
            network_id=row.network_id,
            cidr=row.cidr,
            ip_version=row.ip_version,
            mtu=row.mtu,
            gateway_ip=row.gateway_ip,
            enable_dhcp=row.enable_dhcp,
            dns_nameservers=tuple(row.dns_nameservers),
            host_routes=tuple(HostRoute(d, h) for d, h in row.host_routes),
            metadata_ip=at.get(row.id),
            ipv6_ra_mode=row.ipv6_ra_mode,
            ipv6_address_mode=row.ipv6_address_mode,
            dns_domain=row.dns_domain.removesuffix("."),
            external=bool(row.external),
            revision=row.revision_number,
        )
        for row in await tx.all(statement)
    ]


async def _ports(tx: Transaction, ids: Sequence[str], dns_domain: str) -> list[PortSpec]:
    rows = await port_store.find_all(tx, ids)
    addresses = await port_store.addresses(tx, list(rows))
    groups = await port_store.group_ids(tx, list(rows))
    return [port_spec(row, addresses.get(i, []), groups.get(i, []), dns_domain) for i, row in rows.items()]


def port_spec(row: Row[Any], addresses: Sequence[Row[Any]], groups: Sequence[str], dns_domain: str) -> PortSpec:
    """A port as the driver needs it, from its row (with binding) and what belongs to it."""
    ips = [a.ip_address for a in addresses]
    return PortSpec(
        id=row.id,
        network_id=row.network_id,
        mac=row.mac_address,
        fixed_ips=tuple(FixedIp(a.subnet_id, a.ip_address, a.cidr) for a in addresses),
        name=row.name,
        project_id=row.project_id,
        device_id=row.device_id,
        device_owner=row.device_owner,
        host=row.host or "",
        vnic_type=row.vnic_type or "normal",
        admin_state_up=row.admin_state_up,
        port_security=row.port_security_enabled,
        security_groups=tuple(groups),
        address_pairs=tuple(AddressPair(p["ip_address"], p["mac_address"]) for p in row.allowed_address_pairs),
        dhcp_options=tuple(DhcpOption(o["opt_name"], o["opt_value"], o["ip_version"]) for o in row.extra_dhcp_opts),
        dns_records=_records(row, ips, dns_domain),
        binding_profile={k: v for k, v in (row.profile or {}).items() if isinstance(v, str)},
        revision=row.revision_number,
    )


def _records(row: Row[Any], ips: Sequence[str], dns_domain: str) -> tuple[DnsRecord, ...]:
    if not ips or not row.dns_name or row.device_owner.startswith("network:"):
        return ()
    assigned = dns_assignment(row.dns_name, row.network_dns_domain or dns_domain, ips)[0]
    names = dict.fromkeys((assigned["hostname"].removesuffix("."), assigned["fqdn"].removesuffix(".")))
    return tuple(DnsRecord(name, tuple(ips)) for name in names)


async def _routers(tx: Transaction, ids: Sequence[str]) -> list[RouterSpec]:
    rows = await tx.all(select(tables.routers).where(tables.routers.c.id.in_(ids)))
    legs = await router_store.legs(tx, ids)
    gateways = await router_store.gateway_addresses(tx, [r.gateway_port_id for r in rows if r.gateway_port_id])
    return [
        RouterSpec(
            id=row.id,
            name=row.name,
            interfaces=_interfaces(legs.get(row.id, [])),
            gateway=_gateway(gateways.get(row.gateway_port_id or "", []), row.enable_snat),
            routes=tuple(HostRoute(d, h) for d, h in row.routes),
            admin_state_up=row.admin_state_up,
            revision=row.revision_number,
        )
        for row in rows
    ]


def _interfaces(rows: Sequence[Row[Any]]) -> tuple[RouterInterface, ...]:
    by_port: dict[str, list[Row[Any]]] = {}
    for row in rows:
        by_port.setdefault(row.port_id, []).append(row)
    return tuple(
        RouterInterface(
            port_id=port_id,
            network_id=group[0].network_id,
            mac=group[0].mac_address,
            addresses=tuple(
                RouterAddress(
                    row.ip_address,
                    row.cidr,
                    row.ipv6_ra_mode,
                    row.ipv6_address_mode,
                    tuple(row.dns_nameservers),
                )
                for row in group
            ),
            mtu=group[0].mtu,
        )
        for port_id, group in by_port.items()
    )


def _gateway(rows: Sequence[Row[Any]], snat: bool) -> RouterGateway | None:
    if not rows:
        return None
    return RouterGateway(
        port_id=rows[0].port_id,
        network_id=rows[0].network_id,
        mac=rows[0].mac_address,
        addresses=tuple(RouterAddress(row.ip_address, row.cidr) for row in rows),
        mtu=rows[0].mtu,
        nexthops=tuple(row.gateway_ip for row in rows if row.gateway_ip),
        snat=snat,
    )


async def _floating_ips(tx: Transaction, ids: Sequence[str]) -> list[FloatingIpSpec]:
    f, p = tables.floatingips, tables.ports
    statement = select(f, p.c.mac_address).join(p, p.c.id == f.c.floating_port_id).where(f.c.id.in_(ids))
    return [
        FloatingIpSpec(
            id=row.id,
            address=row.floating_ip_address,
            network_id=row.floating_network_id,
            mac=row.mac_address,
            router_id=row.router_id,
            port_id=row.port_id,
            fixed_ip=row.fixed_ip_address,
            revision=row.revision_number,
        )
        for row in await tx.all(statement)
    ]


async def _security_groups(tx: Transaction, ids: Sequence[str]) -> list[SecurityGroupSpec]:
    t = tables.security_groups
    rows = await tx.all(select(t).where(t.c.id.in_(ids)))
    rules = await group_store.rules_of(tx, ids)
    return [
        SecurityGroupSpec(
            id=row.id,
            name=row.name,
            rules=tuple(_rule(rule) for rule in rules.get(row.id, [])),
            stateful=row.stateful,
            revision=row.revision_number,
        )
        for row in rows
    ]


def _rule(row: Row[Any]) -> RuleSpec:
    return RuleSpec(
        id=row.id,
        direction=row.direction,
        ethertype=row.ethertype,
        protocol=row.protocol,
        port_min=row.port_range_min,
        port_max=row.port_range_max,
        remote_ip_prefix=row.remote_ip_prefix,
        remote_group_id=row.remote_group_id,
    )


_READ: dict[Kind, Any] = {
    Kind.NETWORK: _networks,
    Kind.SUBNET: _subnets,
    Kind.ROUTER: _routers,
    Kind.FLOATING_IP: _floating_ips,
    Kind.SECURITY_GROUP: _security_groups,
}
