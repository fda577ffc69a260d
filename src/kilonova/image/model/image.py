"""What an image is, who sees it, and which changes of state there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

QUEUED = "queued"  # a row without data
SAVING = "saving"  # data is coming
UPLOADING = "uploading"  # data is coming to be imported, or has come
ACTIVE = "active"
DEACTIVATED = "deactivated"  # only administrators may read the data
DELETED = "deleted"

# Every word that upstream's clients may filter by.
STATUSES = (
    QUEUED, SAVING, ACTIVE, "killed", DELETED, UPLOADING, "importing", "pending_delete", DEACTIVATED,
)  # fmt: skip

PUBLIC, COMMUNITY, SHARED, PRIVATE = "public", "community", "shared", "private"
VISIBILITIES = (COMMUNITY, PUBLIC, PRIVATE, SHARED)

PENDING, ACCEPTED, REJECTED = "pending", "accepted", "rejected"
MEMBER_STATUSES = (PENDING, ACCEPTED, REJECTED)

HASH_ALGORITHM = "sha512"


@dataclass(frozen=True, slots=True)
class Image:
    """One image. ``owner``: a project. ``blob_id`` names its data; ``generation`` counts its changes."""

    id: str
    owner: str | None
    created_at: datetime
    updated_at: datetime
    name: str | None = None
    status: str = QUEUED
    visibility: str = SHARED
    protected: bool = False
    hidden: bool = False
    container_format: str | None = None
    disk_format: str | None = None
    min_disk_gib: int = 0
    min_ram_mib: int = 0
    size_bytes: int | None = None
    virtual_size_bytes: int | None = None
    checksum: str | None = None
    hash_value: str | None = None
    blob_id: str | None = None
    generation: int = 0
    properties: Mapping[str, str | None] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @property
    def has_data(self) -> bool:
        """Whether its data can be read."""
        return self.status in (ACTIVE, DEACTIVATED)


@dataclass(frozen=True, slots=True)
class Member:
    """A project that an image is shared with; ``status``: what that project thinks of it."""

    image_id: str
    project_id: str
    status: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: a project, and whether as an administrator."""

    project_id: str | None
    is_admin: bool


def may_see(image: Image, viewer: Viewer, *, is_member: bool) -> bool:
    """Whether the image exists for the viewer. Members count only while the image is shared."""
    if viewer.is_admin or image.owner is None or image.visibility in (PUBLIC, COMMUNITY):
        return True
    if viewer.project_id is None:
        return False
    return image.owner == viewer.project_id or (is_member and image.visibility == SHARED)
