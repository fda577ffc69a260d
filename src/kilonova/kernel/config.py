"""Configuration: one INI file with upstream's group and option names; environment and command line above it.

An instance of oslo.config's ``ConfigOpts`` and never the global one. Reading an option there costs microseconds, so
each service copies what it needs into a frozen ``Settings`` once (``<service>/config.py``).

Precedence, highest first: ``overrides`` (command line), environment ``KILONOVA_<GROUP>__<OPTION>``
(``KILONOVA_DEFAULT__HOST``), the INI files, the defaults.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg

Group = tuple[str, Sequence[cfg.Opt]]
"""A group name (``DEFAULT`` for none) with its options: the row a service's config.py is made of."""


class ConfigError(ValueError):
    """A file or value that cannot be used; the sentence names the option and the remedy."""


def load(
    files: Iterable[Path] = (),
    *,
    groups: Iterable[Group],
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> cfg.ConfigOpts:
    """Read the INI ``files`` and apply environment and ``overrides`` (``{"group.option": value}``)."""
    conf = cfg.ConfigOpts()
    for group, options in groups:
        conf.register_opts(options, group=None if group == "DEFAULT" else group)
    try:
        conf([], project="kilonova", default_config_files=[str(f) for f in files], default_config_dirs=[])
    except cfg.Error as error:
        raise ConfigError(f"The configuration cannot be read: {error}") from error
    above = _from_environment(environment if environment is not None else os.environ)
    for key, value in {**above, **(overrides or {})}.items():
        _override(conf, key, value)
    return conf


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, value in environment.items():
        if name.startswith("KILONOVA_") and "__" in name:
            group, option = name.removeprefix("KILONOVA_").split("__", 1)
            found[f"{group.lower()}.{option.lower()}"] = value
    return found


def _override(conf: cfg.ConfigOpts, key: str, value: Any) -> None:
    group, _, option = key.rpartition(".")
    target = None if group.upper() in ("", "DEFAULT") else group
    options = conf._groups[target]._opts if target in conf._groups else conf._opts if target is None else {}
    if option not in options:
        raise ConfigError(f"There is no option {key}.")
    try:
        if isinstance(value, str):
            value = options[option]["opt"].type(value)
        conf.set_override(option, value, group=target)
    except (cfg.Error, ValueError) as error:
        raise ConfigError(f"Option {key} cannot be set to {value!r}: {error}") from error
