"""Options of the console proxy, under upstream's group and option names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_config import cfg

from kilonova.kernel.config import Group

GROUPS: tuple[Group, ...] = (
    ("DEFAULT", [cfg.StrOpt("web", default="/usr/share/novnc", help="The folder of noVNC's pages.")]),
    (
        "vnc",
        [
            cfg.StrOpt("novncproxy_host", default="127.0.0.1", help="Address that the console proxy listens on."),
            cfg.PortOpt("novncproxy_port", default=6080, help="Port that the console proxy listens on."),
        ],
    ),
    (
        "serial_console",
        [
            cfg.StrOpt("serialproxy_host", default="127.0.0.1", help="Address of the serial console proxy."),
            cfg.PortOpt("serialproxy_port", default=6083, help="Port of the serial console proxy."),
        ],
    ),
    (
        "console",
        [cfg.ListOpt("allowed_origins", default=[], help="Hosts whose pages may open consoles beside our own.")],
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The options above, plain."""

    pages: Path = Path("/usr/share/novnc")
    vnc_host: str = "127.0.0.1"
    vnc_port: int = 6080
    serial_host: str = "127.0.0.1"
    serial_port: int = 6083
    allowed_origins: tuple[str, ...] = ()


def settings(conf: Any) -> Settings:
    """Read `conf` (an oslo.config instance with GROUPS) once."""
    return Settings(
        pages=Path(conf.web),
        vnc_host=conf.vnc.novncproxy_host,
        vnc_port=conf.vnc.novncproxy_port,
        serial_host=conf.serial_console.serialproxy_host,
        serial_port=conf.serial_console.serialproxy_port,
        allowed_origins=tuple(conf.console.allowed_origins),
    )
