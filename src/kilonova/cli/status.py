"""``kilonova status``: the roles, the guests, and what is being done."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from kilonova.allinone.config import Settings
from kilonova.cli.cloud_api import ApiError, CloudApi
from kilonova.cli.place import Place
from kilonova.kernel.errors import Error


@click.command()
@click.pass_obj
def status(place: Place) -> None:
    """Show what runs here, and what is being done."""
    _conf, settings = place.load()
    pid = place.state.running_pid()
    if pid is None:
        click.echo(f"The cloud in {place.root} is not up (start it: kilonova up --detach).")
        raise SystemExit(1)
    click.echo(f"process {pid}, API at {settings.public_url}, hypervisor {settings.hypervisor}, data in {place.root}\n")
    try:
        seen = asyncio.run(_look(place, settings))
    except (ApiError, Error) as error:
        raise click.ClickException(str(error)) from error
    _show(seen)


async def _look(place: Place, settings: Settings) -> dict[str, list[dict[str, Any]]]:
    password = place.state.secrets()["admin_password"]
    api = await CloudApi.connect(f"{settings.public_url}/identity", user="admin", password=password, project="admin")
    try:
        calls = {
            "services": "compute:/os-services",
            "hypervisors": "compute:/os-hypervisors/detail",
            "servers": "compute:/servers/detail?all_tenants=1&limit=200",
            "agents": "network:/v2.0/agents",
        }
        found = {}
        for key, where in calls.items():
            found[key] = list((await api.call("GET", where))[key])
        return found
    finally:
        await api.close()


def _show(seen: dict[str, list[dict[str, Any]]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    roles = Table("role", "host", "state", "since", title="Roles", title_justify="left")
    for one in seen["services"]:
        roles.add_row(one["binary"], one["host"], f"{one['state']}, {one['status']}", one["updated_at"] or "")
    for one in seen["agents"]:
        roles.add_row(one["binary"], one["host"], "up" if one["alive"] else "down", one["heartbeat_timestamp"])
    console.print(roles)
    hosts = Table("host", "type", "state", title="Hosts", title_justify="left")
    for one in seen["hypervisors"]:
        hosts.add_row(one["hypervisor_hostname"], one["hypervisor_type"], one["state"])
    console.print(hosts)
    guests = Table("server", "name", "status", "doing", "host", title="Guests", title_justify="left")
    for one in seen["servers"]:
        host = one.get("OS-EXT-SRV-ATTR:host") or ""
        guests.add_row(one["id"], one["name"], one["status"], one.get("OS-EXT-STS:task_state") or "", host)
    console.print(guests)
