"""`kilonova image build OUT.qcow2`: the click command; the CLI hangs it under `kilonova image`."""

import time
from pathlib import Path

import click

from kilonova.guest_image.builder import build
from kilonova.guest_image.host_tools import CannotBuild

DEFAULT_CACHE = Path("~/.cache/kilonova/debs")


@click.command("build")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_CACHE,
    show_default=True,
    help="Folder that keeps the downloaded Debian packages.",
)
def build_image(out: Path, cache: Path) -> None:
    """Make a small guest image from Debian's packages, at OUT (qcow2)."""
    started = time.monotonic()
    try:
        built = build(out, cache.expanduser(), lambda line: click.echo(f"  {line}", err=True))
    except CannotBuild as why:
        raise click.ClickException(str(why)) from why
    click.echo(
        f"{built.path}: {built.size_bytes / 1e6:.1f} MB, virtual size {built.virtual_bytes >> 20} MiB, "
        f"kernel {built.kernel_version}, in {time.monotonic() - started:.1f} s. "
        f"User {built.user}: SSH by key; console password {built.console_password}."
    )
