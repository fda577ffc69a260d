"""The network driver of a cloud without a dataplane: everything in memory, no packet moves.

It is held to what the real one holds: the same checks of values, what is used must be there, older revisions
are skipped, one `apply` is all or nothing, and ports come up only once they are bound to a host. `breaks`
lets a test make the next calls fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kilonova.network.drivers.driver import (
    Abilities,
    BadSpec,
    Binding,
    Change,
    Delete,
    Difference,
    DriverError,
    HostAgent,
    Kind,
    NetworkSpec,
    NotAble,
    PortEvent,
    PortListener,
    PortSpec,
    Put,
    RouterSpec,
    SecurityGroupSpec,
    Spec,
    SubnetSpec,
    in_order,
    kind_of,
)
from kilonova.network.drivers.validate import check

NEVER_UP = ("network:distributed", "network:floatingip")
ALWAYS_UP = ("network:router_interface", "network:router_gateway")

Key = tuple[Kind, str]


def comes_up(port: PortSpec) -> bool:
    """Whether a dataplane would report this port as carrying traffic, once plugged."""
    if port.device_owner in NEVER_UP or not port.admin_state_up:
        return False
    return port.device_owner in ALWAYS_UP or bool(port.host)


@dataclass
class FakeDriver:
    """Holds the specs it was given. `hosts`: where ports can be bound; None: anywhere."""

    abilities: Abilities = field(default_factory=lambda: Abilities(physical_networks=("public",)))
    hosts: tuple[str, ...] | None = None
    objects: dict[Key, Spec] = field(default_factory=dict)
    breaks: list[DriverError] = field(default_factory=list)
    _listeners: list[PortListener] = field(default_factory=list)
    _up: dict[str, bool] = field(default_factory=dict)

    async def start(self) -> None:
        self._report({})

    async def stop(self) -> None:
        return None

    async def apply(self, changes: Sequence[Change]) -> None:
        if self.breaks:
            raise self.breaks.pop(0)
        after = dict(self.objects)
        for change in changes:
            if isinstance(change, Put):
                _put(after, change.spec)
            else:
                _delete(after, change)
        for change in changes:
            if isinstance(change, Put) and (kind_of(change.spec), change.spec.id) in after:
                _check_uses(after, change.spec)
        self.objects.clear()
        self.objects.update(after)
        before, self._up = self._up, self._compute_up()
        self._report(before)

    async def bind_port(self, port: PortSpec, host: str) -> Binding:
        if self.hosts is not None and host not in self.hosts:
            raise NotAble(f"no agent carries ports on host {host}")
        network = self.objects.get((Kind.NETWORK, port.network_id))
        details: dict[str, object] = {
            "port_filter": True,
            "connectivity": "l2",
            "bound_drivers": {"0": "fake"},
            "bridge_name": "br-int",
            "datapath_type": "netdev",
            "vnet_hdr": True,
        }
        if isinstance(network, NetworkSpec):
            details["mtu"] = network.mtu
        return Binding("ovs", details)

    def on_port_event(self, listener: PortListener) -> None:
        self._listeners.append(listener)

    async def ports_up(self) -> Mapping[str, bool]:
        return dict(self._up)

    async def differences(self, wanted: Iterable[Spec]) -> Sequence[Difference]:
        want = {(kind_of(spec), spec.id): spec for spec in wanted}
        found = [Difference(*key, "missing") for key in want.keys() - self.objects.keys()]
        found += [Difference(*key, "stray") for key in self.objects.keys() - want.keys()]
        for key, spec in want.items():
            if self.objects.get(key, spec) != spec:
                found.append(Difference(*key, "changed"))
        return in_order(found)

    async def agents(self) -> Sequence[HostAgent]:
        return [HostAgent(host, host, True, True, ("public",)) for host in self.hosts or ()]

    def _compute_up(self) -> dict[str, bool]:
        return {spec.id: comes_up(spec) for spec in self.objects.values() if isinstance(spec, PortSpec)}

    def _report(self, before: Mapping[str, bool]) -> None:
        for port_id, up in self._up.items():
            if before.get(port_id, False) != up:
                spec = self.objects[Kind.PORT, port_id]
                host = spec.host or None if isinstance(spec, PortSpec) else None
                for listener in self._listeners:
                    listener(PortEvent(port_id, up, host))


def _put(objects: dict[Key, Spec], spec: Spec) -> None:
    check(spec)
    key = (kind_of(spec), spec.id)
    there = objects.get(key)
    if there is None or there.revision <= spec.revision:
        objects[key] = spec


def _delete(objects: dict[Key, Spec], change: Delete) -> None:
    objects.pop((change.kind, change.id), None)
    if change.kind is Kind.NETWORK:
        for key, spec in list(objects.items()):
            if isinstance(spec, PortSpec | SubnetSpec) and spec.network_id == change.id:
                del objects[key]


def _check_uses(objects: Mapping[Key, Spec], spec: Spec) -> None:
    for kind, used in _uses(spec):
        if (kind, used) not in objects:
            raise BadSpec(f"{kind_of(spec)} {spec.id} uses {kind} {used}, which is not there")


def _uses(spec: Spec) -> Iterable[Key]:
    match spec:
        case SubnetSpec():
            yield Kind.NETWORK, spec.network_id
        case PortSpec():
            yield Kind.NETWORK, spec.network_id
            if spec.port_security:
                yield from ((Kind.SECURITY_GROUP, group) for group in spec.security_groups)
        case RouterSpec():
            yield from ((Kind.NETWORK, leg.network_id) for leg in spec.interfaces)
            if spec.gateway is not None:
                yield Kind.NETWORK, spec.gateway.network_id
        case SecurityGroupSpec():
            remote = {rule.remote_group_id for rule in spec.rules if rule.remote_group_id}
            yield from ((Kind.SECURITY_GROUP, group) for group in remote - {spec.id})
        case NetworkSpec():
            return
        case _:
            if spec.router_id is not None:
                yield Kind.ROUTER, spec.router_id
