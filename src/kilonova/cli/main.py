"""The entry of the ``kilonova`` command: options that all subcommands share, and the subcommands."""

from __future__ import annotations

from pathlib import Path

import click

from kilonova import __version__
from kilonova.allinone.config import default_state_dir
from kilonova.cli.place import Place


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The cloud's directory; also KILONOVA_STATE_DIR. Default: /var/lib/kilonova for root.",
)
@click.option(
    "--config",
    "files",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="INI file with options; may be given several times. Default: kilonova.conf in the state directory.",
)
@click.option("--set", "settings", multiple=True, metavar="GROUP.OPTION=VALUE", help="One option, above the files.")
@click.version_option(__version__, prog_name="kilonova")
@click.pass_context
def main(context: click.Context, state_dir: Path | None, files: tuple[Path, ...], settings: tuple[str, ...]) -> None:
    """An OpenStack-compatible cloud in one command."""
    overrides = {}
    for one in settings:
        key, equals, value = one.partition("=")
        if not equals or "." not in key:
            raise click.BadParameter(f"{one!r}: write GROUP.OPTION=VALUE, for example DEFAULT.api_port=8080")
        overrides[key.strip()] = value
    context.obj = Place((state_dir or default_state_dir()).absolute(), files, overrides)


def _register() -> None:
    # Commands are imported when the tree is made; their heavy parts are imported inside them.
    from kilonova.cli.database import db
    from kilonova.cli.demo import demo, ssh
    from kilonova.cli.doctor import doctor
    from kilonova.cli.run import down, up
    from kilonova.cli.status import status
    from kilonova.cli.why import why
    from kilonova.guest_image.command import build_image

    @click.group()
    def image() -> None:
        """Guest images."""

    image.add_command(build_image)
    for command in (up, down, status, doctor, why, demo, ssh, image, db):
        main.add_command(command)


_register()
