"""Guest orders: what a host or a guest is told of a server and its ports. Pure but for the one read at the end.

Made by the conductor for agents, and by the metadata service for its documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kilonova.clients.network import Network, NetworkClient, NetworkFacts, Port, Subnet
from kilonova.compute.calls import Address, GuestOrder, Nic, Persona, SubnetFacts
from kilonova.compute.model.operations import Build, InjectedFile
from kilonova.compute.model.servers import BlockDevice, FixedIp, Server, Vif

NetworksById = Mapping[str, tuple[Network, tuple[Subnet, ...]]]


@dataclass(frozen=True, slots=True)
class OrderOptions:
    """``dns_domain``: the domain of guests on networks that have none."""

    force_config_drive: bool = False
    default_zone: str = "nova"
    dns_domain: str = "novalocal"


def order_of(
    server: Server,
    nics: Sequence[Nic],
    *,
    block_devices: tuple[BlockDevice, ...] = (),
    files: tuple[InjectedFile, ...] = (),
    admin_password: str | None = None,
    force_config_drive: bool = False,
    default_zone: str = "nova",
    dns_domain: str = "",
) -> GuestOrder:
    """A server as its host is to make it."""
    return GuestOrder(
        server_id=server.id,
        number=server.number,
        guest_name=server.guest_name,
        title=server.name,
        flavor=server.flavor,
        image=server.image,
        persona=Persona(
            name=server.name,
            hostname=server.hostname,
            project_id=server.project_id,
            zone=server.zone or default_zone,
            launch_index=server.launch_index,
            reservation_id=server.reservation_id,
            metadata=server.metadata,
            key_name=server.key_name,
            key_type=server.key_type,
            public_key=server.public_key,
            user_data=server.user_data,
            files=files,
            admin_password=admin_password,
            dns_domain=dns_domain,
        ),
        nics=tuple(nics),
        block_devices=block_devices,
        config_drive=server.config_drive or force_config_drive,
        root_device=server.root_device,
    )


def nic_of(port: Port, network: Network | None, subnets: Iterable[Subnet], tag: str | None) -> Nic:
    """A bound port as a card of a guest."""
    details, known = port.vif_details, {subnet.id: subnet for subnet in subnets}
    return Nic(
        port_id=port.id,
        network_id=port.network_id,
        mac=port.mac,
        mtu=int(details.get("mtu") or (network.mtu if network is not None else 1500)),
        vnet_hdr=bool(details.get("vnet_hdr", True)),
        bridge=str(details.get("bridge_name") or "br-int"),
        vif_type=port.vif_type,
        vnic_type=port.vnic_type,
        tag=tag,
        addresses=tuple(
            Address(address=ip.address, subnet=_subnet_facts(known[ip.subnet_id]))
            for ip in port.fixed_ips
            if ip.subnet_id in known
        ),
    )


def _subnet_facts(subnet: Subnet) -> SubnetFacts:
    return SubnetFacts(
        id=subnet.id,
        cidr=subnet.cidr,
        gateway_ip=subnet.gateway_ip,
        has_dhcp=subnet.has_dhcp,
        dns=subnet.dns_nameservers,
        routes=tuple((route.destination, route.nexthop) for route in subnet.routes),
    )


def vif_of(port: Port, network_name: str, *, made_by_us: bool, tag: str | None) -> Vif:
    """A bound port as the server remembers it."""
    return Vif(
        port_id=port.id,
        network_id=port.network_id,
        network_name=network_name,
        mac=port.mac,
        fixed_ips=tuple(FixedIp(ip.address, ip.subnet_id) for ip in port.fixed_ips),
        made_by_us=made_by_us,
        tag=tag,
        vnic_type=port.vnic_type,
        active=port.status == "ACTIVE",
    )


def nics_of(ports: Sequence[Port], facts: NetworksById, tags: Mapping[str, str | None]) -> tuple[Nic, ...]:
    """Ports as cards, in their order."""
    cards = []
    for port in ports:
        network, subnets = facts.get(port.network_id, (None, ()))
        cards.append(nic_of(port, network, subnets, tags.get(port.id)))
    return tuple(cards)


def make_order(
    options: OrderOptions, server: Server, nics: Sequence[Nic], facts: NetworksById, build: Build | None = None
) -> GuestOrder:
    """An order with the operator's options; ``build`` adds what only the first boot is told."""
    domains = [facts[nic.network_id][0].dns_domain for nic in nics if nic.network_id in facts]
    build = build or Build()
    return order_of(
        server,
        nics,
        block_devices=build.block_devices,
        files=build.files,
        admin_password=build.admin_password,
        force_config_drive=options.force_config_drive,
        default_zone=options.default_zone,
        dns_domain=next((domain for domain in domains if domain), options.dns_domain),
    )


async def fresh_order(
    network: NetworkClient, networks: NetworkFacts, options: OrderOptions, server: Server
) -> GuestOrder:
    """The order of a server that exists, with its ports as the network service has them now."""
    ports = {port.id: port for port in await network.ports_of(server.id)} if server.vifs else {}
    there = [ports[vif.port_id] for vif in server.vifs if vif.port_id in ports]
    facts = await networks.of([port.network_id for port in there])
    tags = {vif.port_id: vif.tag for vif in server.vifs}
    return make_order(options, server, nics_of(there, facts, tags), facts)
