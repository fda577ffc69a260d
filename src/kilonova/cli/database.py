"""``kilonova db upgrade``: bring each service's schema to what this release needs."""

from __future__ import annotations

import click

from kilonova.cli.place import Place


@click.group()
def db() -> None:
    """The services' databases."""


@db.command()
@click.pass_obj
def upgrade(place: Place) -> None:
    """Upgrade every service's schema; does nothing where it is up to date."""
    from kilonova.allinone.databases import upgrade_all

    conf, _settings = place.load()
    place.state.prepare()
    for service, before, now in upgrade_all(conf, place.state):
        click.echo(f"{service}: {_moved(before, now)}")


def _moved(before: str | None, now: str) -> str:
    return f"up to date at {now}" if before == now else f"{before or 'empty'} -> {now}"
