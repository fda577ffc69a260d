"""Images as compute had them. Their metadata are the image's own properties."""

from __future__ import annotations

from typing import Any

from kilonova.clients.image import Image, ImageRefused
from kilonova.compute.api.links import bases, limit_of, links, next_link
from kilonova.compute.api.old.refused import as_ours
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import METADATA, as_bool, as_time, closed
from kilonova.kernel.errors import BadRequest, NotFound
from kilonova.kernel.web import Response, answer, no_content

ALL = closed({"metadata": METADATA}, "metadata")
ONE = closed({"meta": {**METADATA, "minProperties": 1, "maxProperties": 1}}, "meta")

_STATUS = {
    "active": ("ACTIVE", 100),
    "queued": ("SAVING", 25),
    "saving": ("SAVING", 50),
    "uploading": ("SAVING", 50),
    "importing": ("SAVING", 50),
    "deleted": ("DELETED", 0),
    "pending_delete": ("DELETED", 0),
    "killed": ("ERROR", 0),
}
"""The image service's word: the old status, and how far it is in percent."""

_FILTERS = {"name": "name", "minRam": "min_ram", "minDisk": "min_disk", "type": "image_type"}
_AUTO_DISK = "auto_disk_config"


def _links(request: ComputeRequest, image_id: str) -> list[dict[str, str]]:
    alternate = f"{request.service.image.http.base_url}/images/{image_id}"
    kind = {"rel": "alternate", "type": "application/vnd.openstack.image", "href": alternate}
    return [*links(bases(request), "images", image_id), kind]


def _shown(request: ComputeRequest, image: Image) -> dict[str, Any]:
    status, progress = _STATUS.get(image.status, ("UNKNOWN", 0))
    shown: dict[str, Any] = {
        "id": image.id,
        "name": image.name,
        "minRam": image.min_ram_mib,
        "minDisk": image.min_disk_gib,
        "metadata": image.properties,
        "created": image.created_at,
        "updated": image.updated_at,
        "status": status,
        "progress": progress,
        "OS-EXT-IMG-SIZE:size": image.size_bytes,
        "links": _links(request, image.id),
    }
    if server_id := image.properties.get("instance_uuid"):
        shown["server"] = {"id": server_id, "links": links(bases(request), "servers", server_id)}
    if _AUTO_DISK in image.properties:
        shown["OS-DCF:diskConfig"] = "AUTO" if as_bool(image.properties[_AUTO_DISK]) else "MANUAL"
    return shown


def _query(request: ComputeRequest, limit: int) -> list[tuple[str, str]]:
    query = [("limit", str(limit))]
    query += [(ours, value) for name, ours in _FILTERS.items() if (value := request.q(name))]
    if marker := request.q("marker"):
        query.append(("marker", marker))
    if wanted := request.q("status"):
        query += [("status", word) for word, (old, _) in _STATUS.items() if old == wanted.upper()][:1]
    if server := request.q("server"):
        query.append(("instance_uuid", server.rstrip("/").split("/")[-1]))
    if since := as_time(request.q("changes-since"), "changes-since"):
        query.append(("updated_at", f"gte:{since:%Y-%m-%dT%H:%M:%SZ}"))
    return query


async def _page(request: ComputeRequest) -> tuple[list[Image], int]:
    limit = limit_of(request)
    try:
        return await request.service.image.find(_query(request, limit), request.context.token or ""), limit
    except ImageRefused as refused:
        raise BadRequest(str(refused)) from None


def _answer_list(request: ComputeRequest, path: str, page: list[Image], limit: int, rows: list[Any]) -> Response:
    body: dict[str, Any] = {"images": rows}
    if request.q("limit") and page and (following := next_link(request, path, page, limit, page[-1].id)):
        body["images_links"] = following
    return answer(body)


async def list_images(request: ComputeRequest) -> Response:
    """GET /images"""
    page, limit = await _page(request)
    rows = [{"id": image.id, "name": image.name, "links": _links(request, image.id)} for image in page]
    return _answer_list(request, "images", page, limit, rows)


async def list_images_in_detail(request: ComputeRequest) -> Response:
    """GET /images/detail"""
    page, limit = await _page(request)
    return _answer_list(request, "images/detail", page, limit, [_shown(request, image) for image in page])


async def _find(request: ComputeRequest) -> Image:
    found = await request.service.image.get(request.params["image_id"], request.context.token or "")
    if found is None:
        raise NotFound("Image not found.")
    return found


async def show_image(request: ComputeRequest) -> Response:
    """GET /images/{id}"""
    return answer({"image": _shown(request, await _find(request))})


async def delete_image(request: ComputeRequest) -> Response:
    """DELETE /images/{id}"""
    image = await _find(request)
    try:
        await request.service.image.delete(image.id, request.context.token or "")
    except ImageRefused as refused:
        raise as_ours(refused) from None
    return no_content()


async def list_metadata(request: ComputeRequest) -> Response:
    """GET /images/{id}/metadata"""
    return answer({"metadata": (await _find(request)).properties})


async def show_item(request: ComputeRequest) -> Response:
    """GET /images/{id}/metadata/{key}"""
    properties, key = (await _find(request)).properties, request.params["key"]
    if key not in properties:
        raise NotFound("Metadata item was not found")
    return answer({"meta": {key: properties[key]}})


async def _change(request: ComputeRequest, image: Image, set_to: dict[str, str], remove: set[str]) -> dict[str, str]:
    try:
        changed = await request.service.image.change_properties(
            image.id, request.context.token or "", set_to=set_to, remove=remove, known=image.properties
        )
    except ImageRefused as refused:
        raise as_ours(refused) from None
    return changed.properties


async def add_metadata(request: ComputeRequest) -> Response:
    """POST /images/{id}/metadata"""
    image = await _find(request)
    return answer({"metadata": await _change(request, image, request.body["metadata"], set())})


async def replace_metadata(request: ComputeRequest) -> Response:
    """PUT /images/{id}/metadata"""
    image, wanted = await _find(request), request.body["metadata"]
    return answer({"metadata": await _change(request, image, wanted, image.properties.keys() - wanted.keys())})


async def set_item(request: ComputeRequest) -> Response:
    """PUT /images/{id}/metadata/{key}"""
    key, meta = request.params["key"], request.body["meta"]
    if key not in meta:
        raise BadRequest("Request body and URI mismatch")
    image = await _find(request)
    await _change(request, image, meta, set())
    return answer({"meta": meta})


async def delete_item(request: ComputeRequest) -> Response:
    """DELETE /images/{id}/metadata/{key}"""
    image, key = await _find(request), request.params["key"]
    if key not in image.properties:
        raise NotFound("Metadata item was not found")
    await _change(request, image, {}, {key})
    return no_content()
