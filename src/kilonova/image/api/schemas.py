"""The JSON Schemas that upstream's clients read: image, images, member, members."""

from __future__ import annotations

from typing import Any

from kilonova.image.api.fields import IMAGE, MEMBER, SHORT_TASK, TASK
from kilonova.image.config import Settings
from kilonova.image.model.image import MEMBER_STATUSES, STATUSES, VISIBILITIES
from kilonova.image.service import ImageService
from kilonova.kernel.web import FieldTable, Request, Response, answer

_UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
_READ = {"readOnly": True}

# name -> what the schema says beyond the type of the field, and a few words for who reads it
_IMAGE: dict[str, tuple[str, dict[str, Any]]] = {
    "id": ("Identifier of the image", {"pattern": _UUID}),
    "name": ("Name for people to read", {"maxLength": 255}),
    "status": ("State of the image", {"enum": list(STATUSES), **_READ}),
    "visibility": ("Who sees the image", {"enum": list(VISIBILITIES)}),
    "protected": ("Whether the image cannot be deleted", {}),
    "os_hidden": ("Whether lists leave the image out", {}),
    "checksum": ("MD5 of the data, in hexadecimal", {"maxLength": 32, **_READ}),
    "os_hash_algo": ("Algorithm of os_hash_value", {"maxLength": 64, **_READ}),
    "os_hash_value": ("Hash of the data, in hexadecimal", {"maxLength": 128, **_READ}),
    "owner": ("Project that owns the image", {"maxLength": 255}),
    "size": ("Size of the data in bytes", _READ),
    "virtual_size": ("Size in bytes of the disk that the data is", _READ),
    "min_ram": ("MiB of memory that the image needs", {}),
    "min_disk": ("GiB of disk that the image needs", {}),
    "created_at": ("When the image was made", _READ),
    "updated_at": ("When the image was last changed", _READ),
    "self": ("Path of the image", _READ),
    "file": ("Path of the data", _READ),
    "schema": ("Path of this schema", _READ),
    "tags": ("Words to find the image by", {"items": {"type": "string", "maxLength": 255}}),
}

# Properties that clients and hypervisors know by these names; not part of every image.
_WELL_KNOWN: dict[str, dict[str, Any]] = {
    "architecture": {"description": "Processor architecture, for example x86_64", "type": "string"},
    "kernel_id": {"description": "Image of the kernel to boot with", "type": ["string", "null"], "pattern": _UUID},
    "ramdisk_id": {"description": "Image of the initramfs to boot with", "type": ["string", "null"], "pattern": _UUID},
    "instance_uuid": {"description": "Server that the image is a snapshot of", "type": "string"},
    "os_distro": {"description": "Distribution of the operating system", "type": "string"},
    "os_version": {"description": "Version of the operating system", "type": "string"},
    "stores": {"description": "Stores that hold the data", "type": "string", **_READ},
}


def image_schema(settings: Settings) -> dict[str, Any]:
    """The schema of one image."""
    rows: dict[str, dict[str, Any]] = {}
    for field in IMAGE.fields:
        words, more = _IMAGE.get(field.name, ("", {}))
        rows[field.name] = {"description": words, **(field.schema or {}), **more}
    rows["container_format"] = _formats("Wrapping of the disk", settings.container_formats)
    rows["disk_format"] = _formats("Format of the disk", settings.disk_formats)
    rows.update({name: {**row, "is_base": False} for name, row in _WELL_KNOWN.items()})
    return {
        "name": "image",
        "properties": rows,
        "additionalProperties": {"type": "string"},
        "links": [
            {"rel": "self", "href": "{self}"},
            {"rel": "enclosure", "href": "{file}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


def member_schema() -> dict[str, Any]:
    """The schema of one member."""
    rows = {field.name: dict(field.schema) for field in MEMBER.fields}
    rows["status"]["enum"] = list(MEMBER_STATUSES)
    rows["schema"].update(_READ)
    return {"name": "member", "properties": rows}


def task_schema(fields: FieldTable) -> dict[str, Any]:
    """The schema of one task."""
    return {"name": "task", "properties": {field.name: dict(field.schema) for field in fields.fields}}


def list_schema(name: str, one: dict[str, Any]) -> dict[str, Any]:
    """The schema of a page of ``one``."""
    text = {"type": "string"}
    links = [{"rel": rel, "href": f"{{{rel}}}"} for rel in ("first", "next")]
    return {
        "name": name,
        "properties": {name: {"type": "array", "items": one}, "first": text, "next": text, "schema": text},
        "links": [*links, {"rel": "describedby", "href": "{schema}"}],
    }


def _formats(words: str, known: tuple[str, ...]) -> dict[str, Any]:
    return {"description": words, "type": ["string", "null"], "enum": [None, *known]}


async def show_image_schema(request: Request[ImageService]) -> Response:
    """Schema of an image."""
    return answer(image_schema(request.service.settings))


async def show_images_schema(request: Request[ImageService]) -> Response:
    """Schema of a page of images."""
    return answer(list_schema("images", image_schema(request.service.settings)))


async def show_member_schema(request: Request[ImageService]) -> Response:
    """Schema of a member."""
    return answer(member_schema())


async def show_members_schema(request: Request[ImageService]) -> Response:
    """Schema of a list of members."""
    return answer(list_schema("members", member_schema()))


async def show_task_schema(request: Request[ImageService]) -> Response:
    """Schema of a task."""
    return answer(task_schema(TASK))


async def show_tasks_schema(request: Request[ImageService]) -> Response:
    """Schema of a page of tasks."""
    return answer(list_schema("tasks", task_schema(SHORT_TASK)))
