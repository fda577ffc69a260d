"""What must hold in a cloud at rest, whatever happened before: each breach is a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.client import CloudClient

_RESTING = {"ACTIVE", "ERROR", "SHUTOFF"}


@dataclass(frozen=True, slots=True)
class Seen:
    """The cloud as its services and its host show it."""

    servers: dict[str, dict[str, Any]]
    ports: dict[str, str]
    claims: dict[str, dict[str, int]]
    guests: set[str]
    used_instances: int

    @property
    def at_rest(self) -> bool:
        """Nothing is being done."""
        return all(s["status"] in _RESTING and s["OS-EXT-STS:task_state"] is None for s in self.servers.values())


async def look(client: CloudClient, root: Path) -> Seen:
    """Ask every service, as an administrator, and look at the host's own folders."""
    servers = (await client.get("compute", "/servers/detail?all_tenants=1&limit=1000"))["servers"]
    ports = (await client.get("network", "/v2.0/ports"))["ports"]
    claims: dict[str, dict[str, int]] = {}
    for provider in (await client.get("placement", "/resource_providers"))["resource_providers"]:
        found = await client.get("placement", f"/resource_providers/{provider['uuid']}/allocations")
        claims |= {consumer: one["resources"] for consumer, one in found["allocations"].items()}
    absolute = (await client.get("compute", "/limits"))["limits"]["absolute"]
    folder = root / "guests"
    return Seen(
        {s["id"]: s for s in servers},
        {p["id"]: p["device_id"] for p in ports if p["device_owner"].startswith("compute:")},
        claims,
        {p.name for p in folder.iterdir()} if folder.exists() else set(),
        absolute["totalInstancesUsed"],
    )


def breaches(seen: Seen) -> list[str]:
    """All that does not hold (I1, I4, I5, I7 of the reliability list); empty when all is well."""
    wrong = []
    active = {i for i, s in seen.servers.items() if s["status"] != "ERROR"}
    for identifier, server in seen.servers.items():
        if server["status"] not in _RESTING or server["OS-EXT-STS:task_state"] is not None:
            wrong.append(f"server {identifier} is stuck: {server['status']}, {server['OS-EXT-STS:task_state']}")
        if server["status"] == "ERROR" and not server.get("fault", {}).get("message"):
            wrong.append(f"server {identifier} is in ERROR and nothing says why")
    known = set(seen.servers)
    wrong += [f"port {port} belongs to no server ({owner})" for port, owner in seen.ports.items() if owner not in known]
    wrong += [f"claim of {consumer}, which is no server" for consumer in seen.claims if consumer not in known]
    wrong += [f"guest {guest} belongs to no server" for guest in seen.guests - known]
    wrong += [f"server {i} is {seen.servers[i]['status']} without a claim" for i in active - set(seen.claims)]
    wrong += [f"server {i} is {seen.servers[i]['status']} without a guest" for i in active - seen.guests]
    wrong += [f"server {i} is {seen.servers[i]['status']} without a port" for i in active - set(seen.ports.values())]
    if seen.used_instances != len(seen.servers):
        wrong.append(f"quota counts {seen.used_instances} instances, there are {len(seen.servers)}")
    return wrong
