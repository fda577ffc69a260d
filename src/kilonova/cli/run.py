"""``kilonova up`` and ``kilonova down``."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click

from kilonova.allinone.config import Settings
from kilonova.allinone.state_dir import AlreadyRunning
from kilonova.cli import clouds_yaml
from kilonova.cli.place import Place
from kilonova.kernel import log

_START_LIMIT_S, _STOP_LIMIT_S = 120.0, 60.0


@click.command()
@click.option("--detach", is_flag=True, help="Go on in the background; the command ends when the API answers.")
@click.option("--clouds-yaml/--no-clouds-yaml", default=True, help="Put the cloud into the user's clouds.yaml.")
@click.pass_obj
def up(place: Place, detach: bool, clouds_yaml: bool) -> None:
    """Start the whole cloud; guests that run already are adopted."""
    _conf, settings = place.load()
    try:
        place.state.prepare()
    except OSError as error:
        raise click.ClickException(
            f"{place.root} cannot be used: {error.strerror}; give another --state-dir"
        ) from error
    pid = place.state.running_pid()
    if pid is not None:
        click.echo(f"The cloud is up already: process {pid}, API at {settings.public_url}")
    elif detach:
        _detach(place, settings)
    if pid is not None or detach:
        if clouds_yaml:
            _write_clouds(place, settings)
        return
    place.keep()
    _foreground(place, settings, clouds_yaml)


def _foreground(place: Place, settings: Settings, clouds: bool) -> None:
    import uvloop

    from kilonova.allinone.cloud import CannotStart, Cloud

    log.set_up(level="DEBUG" if settings.debug else "INFO")
    conf, _ = place.load()

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        cloud = Cloud(conf, settings, place.state)
        await cloud.start()
        if clouds:
            _write_clouds(place, settings)
        click.echo(f"The cloud is up: API at {settings.public_url} (stop with Ctrl-C; guests go on)", err=True)
        await stop.wait()
        await cloud.stop()

    try:
        with place.state.lock():
            uvloop.run(run())
    except (AlreadyRunning, CannotStart) as error:
        raise click.ClickException(str(error)) from error


def _detach(place: Place, settings: Settings) -> None:
    command = [sys.executable, "-m", "kilonova.cli", "--state-dir", str(place.root)]
    for file in place.files:
        command += ["--config", str(file.absolute())]
    for key, value in place.overrides.items():
        command += ["--set", f"{key}={value}"]
    if settings.api_port and _answers(settings):  # or its answers would be taken for those of the cloud that starts
        raise click.ClickException(
            f"something answers at {settings.public_url} already; choose another port with --set DEFAULT.api_port=N"
        )
    began = time.monotonic()
    with place.state.log_file.open("ab") as out:
        child = subprocess.Popen(
            [*command, "up", "--no-clouds-yaml"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    while place.state.running_pid() != child.pid or not _answers(settings):
        if child.poll() is not None:
            raise click.ClickException(f"the cloud did not start:\n{_tail(place.state.log_file)}")
        if time.monotonic() - began > _START_LIMIT_S:
            raise click.ClickException(f"the API did not answer in {_START_LIMIT_S:.0f} s; see {place.state.log_file}")
        time.sleep(0.05)
    click.echo(
        f"The cloud is up after {time.monotonic() - began:.1f} s: process {child.pid}, "
        f"API at {settings.public_url}, log in {place.state.log_file}"
    )


def _answers(settings: Settings) -> bool:
    import http.client

    connection = http.client.HTTPConnection(settings.api_listen, settings.api_port, timeout=2)
    try:
        connection.request("GET", "/identity/healthcheck")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _write_clouds(place: Place, settings: Settings) -> None:
    secrets = place.state.secrets()

    def entry(user: str, password: str) -> dict[str, object]:
        auth = {
            "auth_url": f"{settings.public_url}/identity/v3",
            "username": user,
            "password": password,
            "project_name": user,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }
        return {"auth": auth, "region_name": settings.region, "identity_api_version": 3}

    clouds = {
        "kilonova": entry("demo", secrets["demo_password"]),
        "kilonova-admin": entry("admin", secrets["admin_password"]),
    }
    try:
        clouds_yaml.write(clouds_yaml.default_path(), clouds)
    except (clouds_yaml.CloudsFileError, OSError) as error:
        click.echo(f"Note: {error}", err=True)


@click.command()
@click.option("--data", is_flag=True, help="Remove the cloud's data too: servers, images, everything.")
@click.pass_obj
def down(place: Place, data: bool) -> None:
    """Stop the cloud with its guests; leaves nothing behind but its data."""
    from kilonova.allinone.teardown import tear_down

    conf, settings = place.load()
    pid = place.state.running_pid()
    if pid is not None:
        _end(place, pid)
    if place.root.exists():
        left = asyncio.run(tear_down(conf, settings, place.state))
        if left:
            raise click.ClickException("could not be removed: " + "; ".join(left))
    if data and place.root.exists():
        shutil.rmtree(place.root)
        clouds_yaml.write(clouds_yaml.default_path(), {})
    click.echo(f"The cloud in {place.root} is down" + (", its data removed." if data else "; its data is kept."))


def _end(place: Place, pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + _STOP_LIMIT_S
    while place.state.running_pid() is not None:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.05)
