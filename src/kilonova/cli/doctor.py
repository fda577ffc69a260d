"""``kilonova doctor``: what this host lacks, and the exact remedy."""

from __future__ import annotations

import asyncio
import sys

import click

from kilonova.cli.place import Place


@click.command()
@click.pass_obj
def doctor(place: Place) -> None:
    """Name each ability that this host lacks, with its remedy. Exit status 1 when a needed one is missing."""
    from kilonova.allinone.checkup import check_up

    conf, settings = place.load()
    findings = asyncio.run(check_up(conf, settings, place.state))
    for found in findings:
        mark = "ok     " if found.present else "MISSING" if found.needed else "lacking"
        click.echo(f"{mark} {found.ability}{': ' + found.detail if found.detail else ''}")
        if not found.present and found.remedy:
            click.echo(f"        remedy: {found.remedy}")
    sys.exit(1 if any(f.needed and not f.present for f in findings) else 0)
