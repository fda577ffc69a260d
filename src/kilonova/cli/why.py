"""``kilonova why SERVER``: what was tried for a server, what refused, and the nearest miss."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import click

from kilonova.cli.cloud_api import ApiError, CloudApi
from kilonova.cli.place import Place
from kilonova.kernel.errors import Error

_NAME = re.compile(r"^[\w.]*[A-Z]\w*: ")
"""The class that a line of a traceback begins with."""


@click.command()
@click.argument("server")
@click.option("--traceback", is_flag=True, help="Also where in the code a step failed.")
@click.pass_obj
def why(place: Place, server: str, traceback: bool) -> None:
    """Say why SERVER (name or id) is as it is: its fault, and the steps of what was asked for it."""
    _conf, settings = place.load()
    password = place.state.secrets()["admin_password"]
    try:
        found = asyncio.run(_look(f"{settings.public_url}/identity", password, server))
    except (ApiError, Error) as error:
        raise click.ClickException(str(error)) from error
    _tell(*found, with_code=traceback)


async def _look(url: str, password: str, server: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    api = await CloudApi.connect(url, user="admin", password=password, project="admin")
    try:
        found = await api.call("GET", f"compute:/servers/{server}", missing_ok=True)
        if found is None:
            named = await api.find("compute:/servers/detail?all_tenants=1", "servers", name=server)
            if named is None:
                raise click.ClickException(f"there is no server {server}")
            found = {"server": named}
        one = found["server"]
        actions = (await api.call("GET", f"compute:/servers/{one['id']}/os-instance-actions"))["instanceActions"]
        told = []
        for action in reversed(actions):
            where = f"compute:/servers/{one['id']}/os-instance-actions/{action['request_id']}"
            told.append((await api.call("GET", where))["instanceAction"])
        return one, told
    finally:
        await api.close()


def _tell(server: dict[str, Any], actions: list[dict[str, Any]], *, with_code: bool) -> None:
    click.echo(f"{server['name']} ({server['id']}) is {server['status']}, host {server['OS-EXT-SRV-ATTR:host']}")
    for action in actions:
        click.echo(f"\n{action['start_time']}  {action['action']}  ({action['request_id']})")
        if action.get("message"):
            click.echo(f"  {action['message']}")
        for event in reversed(action.get("events") or ()):
            click.echo(f"  {event['event']}: {event['result'] or 'under way'}")
            for line in _lines(event.get("traceback") or event.get("details") or "", with_code):
                click.echo(f"    {line}")
    fault = server.get("fault")
    if fault:
        click.echo(f"\nFault {fault['code']}: {fault['message']}")
        for line in _lines(fault.get("details") or "", with_code):
            if line != fault["message"]:
                click.echo(f"  {line}")


def _lines(text: str, with_code: bool) -> list[str]:
    """The lines of a detail; without those that only tell where in the code it was raised."""
    lines = text.splitlines()
    if with_code:
        return lines
    kept, inside = [], False
    for line in lines:
        inside = line.startswith("Traceback ") or (inside and line.startswith(" "))
        if not inside:
            kept.append(_NAME.sub("", line))
    return list(dict.fromkeys(kept))
