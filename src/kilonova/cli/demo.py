"""``kilonova demo``: the main job, and ``kilonova ssh``: into a guest through its floating IP."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import click

from kilonova.allinone.config import Settings
from kilonova.cli.cloud_api import ApiError, CloudApi
from kilonova.cli.main_job import IMAGE, MainJob, MainJobFailed, Outcome, private_key
from kilonova.cli.place import Place
from kilonova.cli.reach import ssh_command
from kilonova.kernel.errors import Error


@click.command()
@click.pass_obj
def demo(place: Place) -> None:
    """Boot a server in the running cloud and run a command in it over SSH; a second run finds all in place."""
    conf, settings = place.load()
    if place.state.running_pid() is None:
        raise click.ClickException("the cloud is not up; start it: kilonova up --detach")
    image = place.root / "guest-image" / f"{IMAGE}.qcow2"
    real = settings.hypervisor != "fake"
    if not image.exists():
        _make_image(image, real)
    try:
        outcome = asyncio.run(_run(place, settings, conf, image, real))
    except (MainJobFailed, ApiError, Error) as error:
        raise click.ClickException(str(error)) from error
    _tell(outcome, settings, real)


async def _run(place: Place, settings: Settings, conf: object, image: Path, real: bool) -> Outcome:
    secrets = place.state.secrets()
    url = f"{settings.public_url}/identity"
    admin = await CloudApi.connect(url, user="admin", password=secrets["admin_password"], project="admin")
    job = MainJob(
        admin=admin,
        auth_url=url,
        demo_password=secrets["demo_password"],
        state_dir=place.root,
        image_file=image,
        image_format="qcow2" if real else "raw",
        real=real,
        outside_netns=outside_netns(conf) if real else None,
        say=click.echo,
    )
    try:
        return await job.run()
    finally:
        await admin.close()


def outside_netns(conf: object) -> str | None:
    """The namespace that is the cloud's outside world, or None when that is the machine's own network."""
    name = conf.ovn.dataplane_netns  # type: ignore[attr-defined]
    return f"{name}-outside" if name else None


def _make_image(image: Path, real: bool) -> None:
    image.parent.mkdir(parents=True, exist_ok=True)
    if not real:
        image.write_bytes(bytes(1 << 20))
        return
    from kilonova.guest_image.builder import build
    from kilonova.guest_image.command import DEFAULT_CACHE
    from kilonova.guest_image.host_tools import CannotBuild

    click.echo("Building the guest image from Debian's packages")
    try:
        build(image, DEFAULT_CACHE.expanduser(), lambda line: click.echo(f"  {line}"))
    except CannotBuild as error:
        raise click.ClickException(str(error)) from error


def _tell(outcome: Outcome, settings: Settings, real: bool) -> None:
    click.echo(f"\nServer demo ({outcome.server_id}) is up after {outcome.seconds:.1f} s.")
    if outcome.command_output:
        click.echo("A shell command ran in it over SSH:\n  " + outcome.command_output.replace("\n", "\n  "))
    ours = "kilonova" if shutil.which("kilonova") else sys.argv[0]
    stock = "openstack" if shutil.which("openstack") else str(Path(sys.argv[0]).with_name("openstack"))
    click.echo(f"  addresses       {outcome.fixed_ip}, floating {outcome.floating_ip}")
    if real:
        click.echo(f"  shell           {ours} ssh demo")
        click.echo(f"  console         {outcome.console_url}")
    click.echo(f"  stock client    {stock} --os-cloud kilonova server list    (admin: --os-cloud kilonova-admin)")
    click.echo(f"  more            {ours} status | doctor | why SERVER; make down")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("server")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def ssh(place: Place, server: str, command: tuple[str, ...]) -> None:
    """A shell, or COMMAND, in SERVER (name or id of the demo project) through its floating IP."""
    conf, settings = place.load()
    try:
        address = asyncio.run(_floating_address(place, settings, server))
    except (ApiError, Error) as error:
        raise click.ClickException(str(error)) from error
    line = ssh_command(address, private_key(place.root), outside_netns(conf), list(command))
    os.execvp(line[0], line)  # noqa: S606 - becomes ssh: its terminal and its exit status are the command's


async def _floating_address(place: Place, settings: Settings, server: str) -> str:
    password = place.state.secrets()["demo_password"]
    api = await CloudApi.connect(f"{settings.public_url}/identity", user="demo", password=password, project="demo")
    try:
        servers = (await api.call("GET", "compute:/servers/detail"))["servers"]
    finally:
        await api.close()
    for one in servers:
        if server in (one["id"], one["name"]):
            for addresses in one["addresses"].values():
                for address in addresses:
                    if address.get("OS-EXT-IPS:type") == "floating":
                        return str(address["addr"])
            raise click.ClickException(f"server {server} has no floating IP; add one: openstack server add floating ip")
    raise click.ClickException(f"there is no server {server} in the demo project")
