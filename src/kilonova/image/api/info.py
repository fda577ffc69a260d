"""What this service can do: stores, import methods, use of quotas."""

from __future__ import annotations

from kilonova.image.api.data import METHODS
from kilonova.image.api.reading import find, target
from kilonova.image.errors import LastLocation, StoreNotFound
from kilonova.image.service import ImageService
from kilonova.image.store import images, uploads
from kilonova.kernel.web import Request, Response, answer

_MIB = 1 << 20


async def list_stores(request: Request[ImageService]) -> Response:
    """The one store."""
    # Upstream says "true" as a string here; clients expect it.
    return answer({"stores": [{"id": request.service.settings.store, "default": "true"}]})


async def list_stores_in_detail(request: Request[ImageService]) -> Response:
    """The one store, with what it is."""
    service = request.service
    detail = {
        "id": service.settings.store,
        "type": service.blobs.kind,
        "default": "true",
        "weight": 0,
        "properties": {"data_dir": str(service.settings.data_folder)},
    }
    return answer({"stores": [detail]})


async def show_import(request: Request[ImageService]) -> Response:
    """The import methods there are."""
    methods = {"description": "Import methods available here.", "type": "array", "value": list(METHODS)}
    return answer({"import-methods": methods})


async def show_usage(request: Request[ImageService]) -> Response:
    """What the caller's project uses, and its limits; sizes in MiB, -1: no limit."""
    service, owner = request.service, request.context.project_id or ""
    async with service.db.read() as tx:
        used = await images.used_bytes(tx, owner)
        coming = await uploads.reserved_bytes(tx, owner, but="")
        count, uploading = await images.counts(tx, owner)
    quota = service.settings.storage_quota_bytes
    usage = {
        "image_size_total": {"usage": -(-(used + coming) // _MIB), "limit": -1 if quota is None else quota // _MIB},
        "image_stage_total": {"usage": -(-coming // _MIB), "limit": -1},
        "image_count_total": {"usage": count, "limit": -1},
        "image_count_uploading": {"usage": uploading, "limit": -1},
    }
    return answer({"usage": usage})


async def delete_from_store(request: Request[ImageService]) -> Response:
    """There is one store, so its copy of the data is always the last, which goes with the image only."""
    store = request.params["store"]
    if store != request.service.settings.store:
        raise StoreNotFound(store=store, known=request.service.settings.store)
    async with request.service.db.read() as tx:
        seen = await find(request, tx)
    request.allow(target(seen, request))
    raise LastLocation(image_id=seen.image.id)
