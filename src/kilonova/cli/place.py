"""The cloud that a command is about: its directory, and the options it was or is to be started with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from kilonova.allinone.config import Settings
from kilonova.allinone.config import settings as read_settings
from kilonova.allinone.groups import ALL_GROUPS
from kilonova.allinone.state_dir import StateDir
from kilonova.kernel.config import ConfigError, load


@dataclass(frozen=True, slots=True)
class Place:
    """What the shared options say. Options not given are those of the last start, kept in the directory."""

    root: Path
    files: tuple[Path, ...]
    overrides: Mapping[str, str]

    @property
    def state(self) -> StateDir:
        return StateDir(self.root)

    def options(self) -> tuple[list[Path], dict[str, str]]:
        """The files and single options in force."""
        files, overrides = list(self.files), dict(self.overrides)
        if not files and (self.root / "kilonova.conf").exists():
            files = [self.root / "kilonova.conf"]
        if self.state.started_with.exists():
            kept = json.loads(self.state.started_with.read_text())
            overrides = {**kept.get("overrides", {}), **overrides}
            files = files or [Path(f) for f in kept.get("files", ()) if Path(f).exists()]
        return files, overrides

    def load(self) -> tuple[Any, Settings]:
        """The configuration, whole and as this room's settings. Ends the command when it cannot be read."""
        files, overrides = self.options()
        try:
            conf = load(files, groups=ALL_GROUPS, overrides=overrides)
        except ConfigError as error:
            raise click.ClickException(str(error)) from error
        return conf, read_settings(conf, self.root)

    def keep(self) -> None:
        """Remember the options of this start for the commands that come later."""
        files, overrides = self.options()
        content = {"files": [str(f.absolute()) for f in files], "overrides": overrides}
        self.state.write_private(self.state.started_with, content)
