"""Options of the image service, under upstream's group and option names, read once into :class:`Settings`."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oslo_config import cfg

from kilonova.kernel.config import ConfigError, Group

CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")

GROUPS: tuple[Group, ...] = (
    (
        "DEFAULT",
        [
            cfg.IntOpt("image_size_cap", default=1 << 40, min=1, max=1 << 63, help="Largest image in bytes."),
            cfg.StrOpt(
                "user_storage_quota",
                default="0",
                help="Most bytes of image data of one project, with a unit (KB, MB, GB, TB) or without; 0: no limit.",
            ),
            cfg.IntOpt("image_property_quota", default=128, help="Most properties of an image; negative: no limit."),
            cfg.IntOpt("image_tag_quota", default=128, help="Most tags of an image; negative: no limit."),
            cfg.IntOpt("image_member_quota", default=128, help="Most members of an image; negative: no limit."),
            cfg.IntOpt("limit_param_default", default=25, min=1, help="Images on a page when the client names none."),
            cfg.IntOpt("api_limit_max", default=1000, min=1, help="Most images on a page."),
        ],
    ),
    (
        "image_format",
        [
            cfg.ListOpt("container_formats", default=list(CONTAINER_FORMATS), help="Container formats to accept."),
            cfg.ListOpt("disk_formats", default=list(DISK_FORMATS), help="Disk formats to accept."),
        ],
    ),
    (
        "glance_store",
        [
            cfg.StrOpt("default_backend", default="file", help="Name of the store in answers."),
            cfg.StrOpt("filesystem_store_datadir", help="Folder of image data; empty: in the state directory."),
        ],
    ),
    (
        "image_tickets",
        [
            cfg.StrOpt(
                "secret",
                default="",
                secret=True,
                help="Signs the tickets with which hosts fetch images; the same in all processes of the image service. "
                "Empty: one is made at each start, which does for a single process.",
            ),
            cfg.IntOpt("lifetime", default=3600, min=60, help="Seconds in which a ticket can be used."),
        ],
    ),
    (
        "image_database",
        [cfg.StrOpt("connection", help="URL of the image service's database; empty: a file in the state directory.")],
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The image service's options, plain. Limits are None where there is none."""

    data_folder: Path
    store: str = "file"
    size_cap_bytes: int = 1 << 40
    storage_quota_bytes: int | None = None
    property_quota: int | None = 128
    tag_quota: int | None = 128
    member_quota: int | None = 128
    page_default: int = 25
    page_max: int = 1000
    ticket_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    ticket_s: int = 3600
    container_formats: tuple[str, ...] = CONTAINER_FORMATS
    disk_formats: tuple[str, ...] = DISK_FORMATS


def settings(conf: Any, state_directory: Path) -> Settings:
    """Read ``conf`` (an oslo.config instance with :data:`GROUPS`) once; paths default into ``state_directory``."""
    return Settings(
        data_folder=Path(conf.glance_store.filesystem_store_datadir or state_directory / "image" / "data"),
        store=conf.glance_store.default_backend,
        size_cap_bytes=conf.image_size_cap,
        storage_quota_bytes=parse_bytes(conf.user_storage_quota) or None,
        property_quota=_limit(conf.image_property_quota),
        tag_quota=_limit(conf.image_tag_quota),
        member_quota=_limit(conf.image_member_quota),
        page_default=conf.limit_param_default,
        page_max=conf.api_limit_max,
        ticket_key=conf.image_tickets.secret.encode() or secrets.token_bytes(32),
        ticket_s=conf.image_tickets.lifetime,
        container_formats=tuple(conf.image_format.container_formats),
        disk_formats=tuple(conf.image_format.disk_formats),
    )


_UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


def parse_bytes(text: str) -> int:
    """``10GB`` as bytes. Raises ConfigError."""
    found = re.fullmatch(r"\s*(\d+)\s*([KMGT]?B?)\s*", text, re.IGNORECASE)
    unit = found[2].upper() if found else "?"
    if found is None or unit not in _UNITS:
        raise ConfigError(f"user_storage_quota is {text!r}; give bytes, or a number with KB, MB, GB or TB.")
    return int(found[1]) * _UNITS[unit]


def _limit(number: int) -> int | None:
    return number if number >= 0 else None
