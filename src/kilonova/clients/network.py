"""Calls to the network service: networks, subnets, ports, floating addresses, security groups.

Wire words (``binding:host_id``, ``tenant_id``) stay in this file. Every method takes ``token``: the
caller's own, or None for the service's. What the service refuses comes as :class:`NetworkRefused` with its
status, type and sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from kilonova.kernel.errors import ServiceUnavailable
from kilonova.kernel.http import Client, Reply


class NetworkUnavailable(ServiceUnavailable):
    text = "The network service cannot answer now ({why}); try again later."


class NetworkRefused(Exception):
    """The network service said no. ``type`` is its name for the reason (``PortNotFound``, ``OverQuota``
    ...).
    """

    def __init__(self, status: int, type: str, message: str):
        super().__init__(message)
        self.status, self.type, self.message = status, type, message


@dataclass(frozen=True, slots=True)
class Network:
    """A network as a server needs it. ``mtu`` in bytes."""

    id: str
    name: str
    project_id: str
    subnet_ids: tuple[str, ...] = ()
    mtu: int = 1500
    is_shared: bool = False
    is_external: bool = False
    is_up: bool = True
    has_port_security: bool = True
    dns_domain: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    destination: str
    nexthop: str


@dataclass(frozen=True, slots=True)
class Subnet:
    id: str
    network_id: str
    cidr: str
    ip_version: int
    gateway_ip: str | None = None
    has_dhcp: bool = True
    dns_nameservers: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    ipv6_address_mode: str | None = None


@dataclass(frozen=True, slots=True)
class PortIp:
    address: str
    subnet_id: str


@dataclass(frozen=True, slots=True)
class Port:
    """A port. ``host`` is "" while unbound; ``vif_details`` says how the host plugs it."""

    id: str
    network_id: str
    project_id: str
    mac: str
    fixed_ips: tuple[PortIp, ...] = ()
    name: str = ""
    device_id: str = ""
    device_owner: str = ""
    host: str = ""
    vif_type: str = "unbound"
    vif_details: Mapping[str, Any] = field(default_factory=dict)
    vnic_type: str = "normal"
    status: str = "DOWN"
    is_up: bool = True
    security_group_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FloatingIp:
    id: str
    address: str
    port_id: str | None
    fixed_ip: str | None
    network_id: str
    project_id: str = ""


@dataclass(frozen=True, slots=True)
class SecurityRule:
    """What a group's rule lets pass. For ICMP the ports are type and code."""

    id: str
    group_id: str
    direction: str
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    id: str
    name: str
    project_id: str = ""
    description: str = ""
    rules: tuple[SecurityRule, ...] = ()


class TokenSource(Protocol):
    """Where the service's own token comes from (``clients.identity.ServiceSession``)."""

    async def token(self) -> str: ...

    def forget(self) -> None: ...


_AT_ONCE = 100
"""Ids in one query string: longer ones are asked for in turns."""


class NetworkClient:
    """``http``: a client whose base URL is the network endpoint without ``/v2.0``."""

    def __init__(self, http: Client, session: TokenSource):
        self._http, self._session = http, session

    # -- networks and subnets

    async def network(self, network_id: str, *, token: str | None = None) -> Network | None:
        """One network, or None when the caller cannot see it."""
        found = await self._show("network", f"/v2.0/networks/{quote(network_id)}", token)
        return None if found is None else _network(found)

    async def networks(self, ids: Collection[str], *, token: str | None = None) -> list[Network]:
        """Those of ``ids`` that exist and the caller may see."""
        return [_network(row) for row in await self._by_ids("networks", "id", ids, token)]

    async def available_networks(self, project_id: str, *, token: str | None = None) -> list[Network]:
        """What a server of the project may be put on without naming it: its own networks and the shared
        ones.
        """
        own = await self._list("networks", [("tenant_id", project_id), ("shared", "false")], token)
        shared = await self._list("networks", [("shared", "true")], token)
        return [_network(row) for row in (*own, *shared)]

    async def visible_networks(self, *, token: str | None = None) -> list[Network]:
        """All networks that the caller may see."""
        return [_network(row) for row in await self._list("networks", [], token)]

    async def external_networks(self, *, token: str | None = None) -> list[Network]:
        """The networks that floating addresses come from."""
        return [_network(row) for row in await self._list("networks", [("router:external", "true")], token)]

    async def subnets(self, ids: Collection[str], *, token: str | None = None) -> list[Subnet]:
        return [_subnet(row) for row in await self._by_ids("subnets", "id", ids, token)]

    async def auto_topology(self, project_id: str, *, token: str | None = None) -> str:
        """The id of the network that the service makes for a project that has none. Raises NetworkRefused."""
        path = f"/v2.0/auto-allocated-topology/{quote(project_id)}"
        reply = await self._ask("GET", path, token)
        return str(reply.json()["auto_allocated_topology"]["id"])

    # -- ports

    async def port(self, port_id: str, *, token: str | None = None) -> Port | None:
        found = await self._show("port", f"/v2.0/ports/{quote(port_id)}", token)
        return None if found is None else _port(found)

    async def ports(self, ids: Collection[str], *, token: str | None = None) -> list[Port]:
        """Those of ``ids`` that exist and the caller may see."""
        return [_port(row) for row in await self._by_ids("ports", "id", ids, token)]

    async def ports_of(self, device_id: str, *, token: str | None = None) -> list[Port]:
        """All ports of one server."""
        return [_port(row) for row in await self._list("ports", [("device_id", device_id)], token)]

    async def ports_on_networks_of(self, project_id: str, *, token: str | None = None) -> list[Port]:
        """All ports of a project."""
        return [_port(row) for row in await self._list("ports", [("tenant_id", project_id)], token)]

    async def server_ports(self) -> list[Port]:
        """Every port in the cloud that some server owns, for the sweep that looks for orphans."""
        fields = [("fields", name) for name in ("id", "device_id", "device_owner", "network_id", "tenant_id")]
        fields += [("fields", "mac_address"), ("limit", "500")]
        found: list[Port] = []
        marker: list[tuple[str, str]] = []
        while True:
            rows = await self._list("ports", [*fields, *marker], None)
            found += [_port(row) for row in rows if row.get("device_owner", "").startswith("compute:")]
            if len(rows) < 500:
                return found
            marker = [("marker", rows[-1]["id"])]

    async def create_port(
        self,
        *,
        network_id: str,
        project_id: str,
        device_id: str,
        device_owner: str,
        host: str,
        fixed_ip: str | None = None,
        security_group_ids: Sequence[str] | None = None,
        dns_name: str | None = None,
        name: str = "",
        token: str | None = None,
    ) -> Port:
        """A port for a server, bound to its host in the same request. ``security_group_ids`` None or empty:
        the project's default group. Raises NetworkRefused.
        """
        body: dict[str, Any] = {
            "network_id": network_id,
            "tenant_id": project_id,
            "device_id": device_id,
            "device_owner": device_owner,
            "admin_state_up": True,
            "binding:host_id": host,
        }
        if name:
            body["name"] = name
        if fixed_ip:
            body["fixed_ips"] = [{"ip_address": fixed_ip}]
        if security_group_ids:
            body["security_groups"] = list(security_group_ids)
        if dns_name:
            body["dns_name"] = dns_name
        reply = await self._ask("POST", "/v2.0/ports", token, {"port": body})
        return _port(reply.json()["port"])

    async def bind_port(self, port_id: str, *, device_id: str, device_owner: str, host: str) -> Port:
        """Give a port that a user made to a server on a host. Raises NetworkRefused."""
        return await self._update_port(
            port_id, {"device_id": device_id, "device_owner": device_owner, "binding:host_id": host}
        )

    async def unbind_port(self, port_id: str) -> None:
        """Take a user's port away from its server; a port that is gone is no error."""
        try:
            await self._update_port(port_id, {"device_id": "", "device_owner": "", "binding:host_id": ""})
        except NetworkRefused as refused:
            if refused.status != 404:
                raise

    async def set_port_groups(self, port_id: str, security_group_ids: Sequence[str], *, token: str | None) -> Port:
        """Replace the security groups of a port."""
        return await self._update_port(port_id, {"security_groups": list(security_group_ids)}, token)

    async def delete_port(self, port_id: str, *, token: str | None = None) -> None:
        """Delete a port; one that is gone is no error."""
        try:
            await self._ask("DELETE", f"/v2.0/ports/{quote(port_id)}", token)
        except NetworkRefused as refused:
            if refused.status != 404:
                raise

    # -- floating addresses and security groups

    async def floating_ips(self, port_ids: Collection[str], *, token: str | None = None) -> list[FloatingIp]:
        """The floating addresses that lead to these ports."""
        return [_floating_ip(row) for row in await self._by_ids("floatingips", "port_id", port_ids, token)]

    async def floating_ip_at(self, address: str, *, token: str | None = None) -> FloatingIp | None:
        rows = await self._list("floatingips", [("floating_ip_address", address)], token)
        return _floating_ip(rows[0]) if rows else None

    async def floating_ips_of(self, project_id: str, *, token: str | None = None) -> list[FloatingIp]:
        """A project's floating addresses."""
        return [_floating_ip(row) for row in await self._list("floatingips", [("tenant_id", project_id)], token)]

    async def floating_ip(self, floating_id: str, *, token: str | None = None) -> FloatingIp | None:
        found = await self._show("floatingip", f"/v2.0/floatingips/{quote(floating_id, safe='')}", token)
        return None if found is None else _floating_ip(found)

    async def create_floating_ip(self, network_id: str, *, token: str | None = None) -> FloatingIp:
        """Raises NetworkRefused."""
        body = {"floatingip": {"floating_network_id": network_id}}
        return _floating_ip((await self._ask("POST", "/v2.0/floatingips", token, body)).json()["floatingip"])

    async def delete_floating_ip(self, floating_id: str, *, token: str | None = None) -> None:
        """Raises NetworkRefused, also where there is no such address."""
        await self._ask("DELETE", f"/v2.0/floatingips/{quote(floating_id, safe='')}", token)

    async def set_floating_ip(
        self, floating_id: str, port_id: str | None, fixed_ip: str | None, *, token: str | None = None
    ) -> None:
        """Let a floating address lead to a port's fixed address, or (None) nowhere. Raises NetworkRefused."""
        body: dict[str, Any] = {"port_id": port_id}
        if fixed_ip is not None:
            body["fixed_ip_address"] = fixed_ip
        await self._ask("PUT", f"/v2.0/floatingips/{quote(floating_id)}", token, {"floatingip": body})

    async def security_groups(self, project_id: str, *, token: str | None = None) -> list[SecurityGroup]:
        """The security groups of a project."""
        rows = await self._list("security-groups", [("tenant_id", project_id)], token, key="security_groups")
        return [_security_group(row) for row in rows]

    async def every_security_group(self, *, token: str | None = None) -> list[SecurityGroup]:
        """The security groups of all projects that the caller may see."""
        return [_security_group(row) for row in await self._list("security-groups", [], token, key="security_groups")]

    async def security_group(self, group_id: str, *, token: str | None = None) -> SecurityGroup | None:
        found = await self._show("security_group", f"/v2.0/security-groups/{quote(group_id, safe='')}", token)
        return None if found is None else _security_group(found)

    async def create_security_group(self, name: str, description: str, *, token: str | None = None) -> SecurityGroup:
        """Raises NetworkRefused."""
        body = {"security_group": {"name": name, "description": description}}
        reply = await self._ask("POST", "/v2.0/security-groups", token, body)
        return _security_group(reply.json()["security_group"])

    async def update_security_group(
        self, group_id: str, name: str, description: str, *, token: str | None = None
    ) -> SecurityGroup:
        """Raises NetworkRefused."""
        body = {"security_group": {"name": name, "description": description}}
        reply = await self._ask("PUT", f"/v2.0/security-groups/{quote(group_id, safe='')}", token, body)
        return _security_group(reply.json()["security_group"])

    async def delete_security_group(self, group_id: str, *, token: str | None = None) -> None:
        """Raises NetworkRefused, also where there is no such group."""
        await self._ask("DELETE", f"/v2.0/security-groups/{quote(group_id, safe='')}", token)

    async def create_security_rule(
        self,
        group_id: str,
        *,
        ethertype: str,
        protocol: str | None,
        port_min: int | None,
        port_max: int | None,
        remote_ip_prefix: str | None,
        remote_group_id: str | None,
        token: str | None = None,
    ) -> SecurityRule:
        """A rule for what comes in. Raises NetworkRefused."""
        rule = {
            "security_group_id": group_id,
            "direction": "ingress",
            "ethertype": ethertype,
            "protocol": protocol,
            "port_range_min": port_min,
            "port_range_max": port_max,
            "remote_ip_prefix": remote_ip_prefix,
            "remote_group_id": remote_group_id,
        }
        reply = await self._ask("POST", "/v2.0/security-group-rules", token, {"security_group_rule": rule})
        return _security_rule(reply.json()["security_group_rule"])

    async def delete_security_rule(self, rule_id: str, *, token: str | None = None) -> None:
        """Raises NetworkRefused, also where there is no such rule."""
        await self._ask("DELETE", f"/v2.0/security-group-rules/{quote(rule_id, safe='')}", token)

    async def room_for_ports(self, project_id: str, *, token: str | None = None) -> int | None:
        """How many more ports the project may have; None for any number."""
        reply = await self._ask("GET", f"/v2.0/quotas/{quote(project_id)}/details", token)
        row = reply.json()["quota"]["port"]
        limit = int(row["limit"])
        return None if limit < 0 else limit - int(row["used"]) - int(row.get("reserved", 0))

    # -- the wire

    async def _update_port(self, port_id: str, body: dict[str, Any], token: str | None = None) -> Port:
        reply = await self._ask("PUT", f"/v2.0/ports/{quote(port_id)}", token, {"port": body})
        return _port(reply.json()["port"])

    async def _show(self, key: str, path: str, token: str | None) -> dict[str, Any] | None:
        try:
            reply = await self._ask("GET", path, token)
        except NetworkRefused as refused:
            if refused.status == 404:
                return None
            raise
        row: dict[str, Any] = reply.json()[key]
        return row

    async def _by_ids(
        self, collection: str, field_name: str, ids: Collection[str], token: str | None
    ) -> list[dict[str, Any]]:
        wanted = list(dict.fromkeys(ids))
        rows: list[dict[str, Any]] = []
        for start in range(0, len(wanted), _AT_ONCE):
            some = [(field_name, one) for one in wanted[start : start + _AT_ONCE]]
            rows += await self._list(collection, some, token)
        return rows

    async def _list(
        self, collection: str, params: list[tuple[str, str]], token: str | None, *, key: str | None = None
    ) -> list[dict[str, Any]]:
        reply = await self._ask("GET", f"/v2.0/{collection}", token, params=params)
        rows: list[dict[str, Any]] = reply.json()[key or collection]
        return rows

    async def _ask(
        self,
        method: str,
        path: str,
        token: str | None,
        json: Any = None,
        params: list[tuple[str, str]] | None = None,
    ) -> Reply:
        own = token is None
        for attempt in (1, 2):
            headers = {"X-Auth-Token": token if token is not None else await self._session.token()}
            reply = await self._http.request(method, path, json=json, headers=headers, params=params)
            if reply.status == 401 and own and attempt == 1:
                self._session.forget()
                continue
            break
        if reply.status < 300:
            return reply
        raise _refusal(reply)


def _refusal(reply: Reply) -> Exception:
    try:
        error = reply.json().get("NeutronError") or {}
    except (ValueError, AttributeError):
        error = {}
    if isinstance(error, str):
        error = {"message": error}
    message = str(error.get("message") or f"status {reply.status}")
    if reply.status >= 500:
        return NetworkUnavailable(why=message)
    return NetworkRefused(reply.status, str(error.get("type") or ""), message)


def _project(row: Mapping[str, Any]) -> str:
    return str(row.get("project_id") or row.get("tenant_id") or "")


def _network(row: Mapping[str, Any]) -> Network:
    return Network(
        id=row["id"],
        name=row.get("name") or "",
        project_id=_project(row),
        subnet_ids=tuple(row.get("subnets") or ()),
        mtu=int(row.get("mtu") or 1500),
        is_shared=bool(row.get("shared")),
        is_external=bool(row.get("router:external")),
        is_up=bool(row.get("admin_state_up", True)),
        has_port_security=bool(row.get("port_security_enabled", True)),
        dns_domain=row.get("dns_domain") or "",
    )


def _subnet(row: Mapping[str, Any]) -> Subnet:
    return Subnet(
        id=row["id"],
        network_id=row["network_id"],
        cidr=row["cidr"],
        ip_version=int(row["ip_version"]),
        gateway_ip=row.get("gateway_ip"),
        has_dhcp=bool(row.get("enable_dhcp", True)),
        dns_nameservers=tuple(row.get("dns_nameservers") or ()),
        routes=tuple(Route(r["destination"], r["nexthop"]) for r in row.get("host_routes") or ()),
        ipv6_address_mode=row.get("ipv6_address_mode"),
    )


def _port(row: Mapping[str, Any]) -> Port:
    return Port(
        id=row["id"],
        network_id=row["network_id"],
        project_id=_project(row),
        mac=row.get("mac_address") or "",
        fixed_ips=tuple(PortIp(f["ip_address"], f["subnet_id"]) for f in row.get("fixed_ips") or ()),
        name=row.get("name") or "",
        device_id=row.get("device_id") or "",
        device_owner=row.get("device_owner") or "",
        host=row.get("binding:host_id") or "",
        vif_type=row.get("binding:vif_type") or "unbound",
        vif_details=row.get("binding:vif_details") or {},
        vnic_type=row.get("binding:vnic_type") or "normal",
        status=row.get("status") or "DOWN",
        is_up=bool(row.get("admin_state_up", True)),
        security_group_ids=tuple(row.get("security_groups") or ()),
    )


def _floating_ip(row: Mapping[str, Any]) -> FloatingIp:
    return FloatingIp(
        id=row["id"],
        address=row["floating_ip_address"],
        port_id=row.get("port_id"),
        fixed_ip=row.get("fixed_ip_address"),
        network_id=row.get("floating_network_id") or "",
        project_id=_project(row),
    )


def _security_group(row: Mapping[str, Any]) -> SecurityGroup:
    rules = tuple(_security_rule(rule) for rule in row.get("security_group_rules") or ())
    return SecurityGroup(row["id"], row["name"], _project(row), row.get("description") or "", rules)


def _security_rule(row: Mapping[str, Any]) -> SecurityRule:
    return SecurityRule(
        id=row["id"],
        group_id=row["security_group_id"],
        direction=row["direction"],
        protocol=row.get("protocol"),
        port_min=row.get("port_range_min"),
        port_max=row.get("port_range_max"),
        remote_ip_prefix=row.get("remote_ip_prefix"),
        remote_group_id=row.get("remote_group_id"),
    )


Clocked = Callable[[], float]


@dataclass(slots=True)
class NetworkFacts:
    """Remembers networks and subnets for ``keep_s`` seconds: a boot storm asks for the same ones again and
    again.
    """

    client: NetworkClient
    monotonic: Clocked
    keep_s: float = 30.0
    _networks: dict[str, tuple[float, Network, tuple[Subnet, ...]]] = field(default_factory=dict)

    async def of(self, ids: Collection[str]) -> dict[str, tuple[Network, tuple[Subnet, ...]]]:
        """Network and subnets by network id; networks that do not exist are missing."""
        now = self.monotonic()
        known = {i: row for i in ids if (row := self._networks.get(i)) is not None and row[0] > now}
        missing = [i for i in dict.fromkeys(ids) if i not in known]
        if missing:
            networks = await self.client.networks(missing)
            wanted = [subnet_id for network in networks for subnet_id in network.subnet_ids]
            subnets = await self.client.subnets(wanted) if wanted else []
            if len(self._networks) > 1000:
                self._networks.clear()
            for network in networks:
                own = tuple(subnet for subnet in subnets if subnet.network_id == network.id)
                self._networks[network.id] = known[network.id] = (now + self.keep_s, network, own)
        return {i: (row[1], row[2]) for i, row in known.items()}
