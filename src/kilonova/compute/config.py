"""Options of compute, under upstream's group and option names, read once into `Settings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oslo_config import cfg

from kilonova.kernel.config import Group

QUOTA_DEFAULTS: dict[str, int] = {
    "instances": 10,
    "cores": 20,
    "ram": 50 * 1024,
    "metadata_items": 128,
    "injected_files": 5,
    "injected_file_content_bytes": 10 * 1024,
    "injected_file_path_length": 255,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
}

GROUPS: tuple[Group, ...] = (
    (
        "DEFAULT",
        [
            cfg.StrOpt("default_availability_zone", default="nova", help="Zone of hosts in no other zone."),
            cfg.StrOpt("internal_service_availability_zone", default="internal", help="Zone of services."),
            cfg.StrOpt("default_schedule_zone", help="Zone for servers that ask for none; unset: any."),
            cfg.IntOpt("service_down_time", default=60, min=1, help="Seconds of silence until down."),
            cfg.IntOpt("reclaim_instance_interval", default=0, min=0, help="Seconds a deleted server is kept."),
            cfg.BoolOpt("force_config_drive", default=False, help="Give every server a config drive."),
            cfg.IntOpt("password_length", default=12, min=4, help="Length of generated passwords."),
            cfg.BoolOpt("enable_instance_password", default=True, help="Show adminPass at create."),
        ],
    ),
    (
        "api",
        [
            cfg.IntOpt("max_limit", default=1000, min=1, help="Longest page of any list."),
            cfg.StrOpt("compute_link_prefix", help="Public base URL in links; unset: as the caller came."),
        ],
    ),
    (
        "quota",
        [
            cfg.IntOpt(name, default=value, min=-1, help=f"Default limit of {name}; -1: none.")
            for name, value in QUOTA_DEFAULTS.items()
        ],
    ),
    (
        "vnc",
        [
            cfg.BoolOpt("enabled", default=True, help="Offer VNC consoles."),
            cfg.StrOpt(
                "novncproxy_base_url",
                default="",
                help="Where browsers open the console; the token is added. Empty: through the API's own port.",
            ),
        ],
    ),
    (
        "serial_console",
        [
            cfg.BoolOpt("enabled", default=False, help="Offer serial consoles over WebSocket."),
            cfg.StrOpt("base_url", default="", help="Where clients open the console. Empty: through the API's port."),
        ],
    ),
    ("consoleauth", [cfg.IntOpt("token_ttl", default=600, min=1, help="Seconds that a console token lives.")]),
    ("compute_database", [cfg.StrOpt("connection", help="URL; empty: a file in the state directory.")]),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Compute's options, plain. `link_prefix` empty: links follow the address that the caller used."""

    default_zone: str = "nova"
    internal_zone: str = "internal"
    default_schedule_zone: str | None = None
    service_down_s: int = 60
    keep_deleted_s: int = 0
    force_config_drive: bool = False
    password_length: int = 12
    show_admin_password: bool = True
    max_limit: int = 1000
    link_prefix: str = ""
    quotas: Mapping[str, int] = field(default_factory=lambda: dict(QUOTA_DEFAULTS))
    vnc_enabled: bool = True
    novnc_url: str = "http://127.0.0.1:6080/vnc_auto.html"
    serial_enabled: bool = False
    serial_url: str = "ws://127.0.0.1:6083/"
    console_token_s: int = 600


def settings(conf: Any) -> Settings:
    """Read `conf` (an oslo.config instance with GROUPS) once."""
    return Settings(
        default_zone=conf.default_availability_zone,
        internal_zone=conf.internal_service_availability_zone,
        default_schedule_zone=conf.default_schedule_zone,
        service_down_s=conf.service_down_time,
        keep_deleted_s=conf.reclaim_instance_interval,
        force_config_drive=conf.force_config_drive,
        password_length=conf.password_length,
        show_admin_password=conf.enable_instance_password,
        max_limit=conf.api.max_limit,
        link_prefix=(conf.api.compute_link_prefix or "").rstrip("/"),
        quotas={name: getattr(conf.quota, name) for name in QUOTA_DEFAULTS},
        vnc_enabled=conf.vnc.enabled,
        novnc_url=conf.vnc.novncproxy_base_url,
        serial_enabled=conf.serial_console.enabled,
        serial_url=conf.serial_console.base_url,
        console_token_s=conf.consoleauth.token_ttl,
    )
