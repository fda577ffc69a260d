"""Options of the cloud in one process, read once into :class:`Settings`."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_config import cfg

from kilonova.kernel.config import Group

GROUPS: tuple[Group, ...] = (
    (
        "DEFAULT",
        [
            cfg.StrOpt("host", help="Name of this host in the cloud; unset: the machine's name."),
            cfg.HostAddressOpt("api_listen", default="127.0.0.1", help="Address that the API listens on."),
            cfg.PortOpt("api_port", default=8774, help="The one port of all services' APIs."),
            cfg.StrOpt("public_url", help="How users reach the API; unset: http://<api_listen>:<api_port>."),
            cfg.StrOpt("region_name", default="RegionOne", help="Region of the endpoints in the catalog."),
            cfg.BoolOpt("debug", default=False, help="Log what is done in detail, each GET included."),
            cfg.BoolOpt("sqlite_synchronous", default=True, help="An acknowledged write survives a power cut."),
        ],
    ),
    (
        "compute",
        [
            cfg.StrOpt(
                "hypervisor",
                choices=["libvirt", "fake"],
                default="libvirt",
                help="What runs guests: libvirt with OVN networking, or a simulation that needs neither.",
            )
        ],
    ),
    (
        "keystone_authtoken",
        [cfg.FloatOpt("token_cache_time", default=5.0, min=0, help="Seconds that a checked token is remembered.")],
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the cloud in one process keeps its data, listens, and what runs its guests."""

    state_dir: Path
    host: str
    api_listen: str
    api_port: int
    public_url: str
    region: str
    debug: bool
    sqlite_synchronous: bool
    hypervisor: str
    token_cache_s: float


def default_state_dir() -> Path:
    """``/var/lib/kilonova`` for root, a folder of the user's otherwise; ``KILONOVA_STATE_DIR`` above both."""
    told = os.environ.get("KILONOVA_STATE_DIR")
    if told:
        return Path(told)
    if os.geteuid() == 0:
        return Path("/var/lib/kilonova")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "kilonova"


def settings(conf: Any, state_dir: Path) -> Settings:
    """The options of ``conf`` as plain values."""
    listen = str(conf.api_listen)
    shown = f"[{listen}]" if ":" in listen else listen
    return Settings(
        state_dir=state_dir,
        host=conf.host or socket.gethostname(),
        api_listen=listen,
        api_port=conf.api_port,
        public_url=(conf.public_url or f"http://{shown}:{conf.api_port}").rstrip("/"),
        region=conf.region_name,
        debug=conf.debug,
        sqlite_synchronous=conf.sqlite_synchronous,
        hypervisor=conf.compute.hypervisor,
        token_cache_s=conf.keystone_authtoken.token_cache_time,
    )
