"""Tasks: the records of imports, of one image for who sees it, of all for administrators."""

from __future__ import annotations

from kilonova.image.api.fields import SHORT_TASK, TASK
from kilonova.image.api.reading import find, target
from kilonova.image.errors import TaskNotFound
from kilonova.image.model.listing import limit_of, link
from kilonova.image.service import ImageService
from kilonova.image.store import tasks
from kilonova.kernel.errors import BadRequest
from kilonova.kernel.web import Request, Response, answer


async def list_tasks_of_image(request: Request[ImageService]) -> Response:
    """The imports of one image."""
    async with request.service.db.read() as tx:
        seen = await find(request, tx)
        found = await tasks.of_image(tx, seen.image.id)
    request.allow(target(seen, request))
    return answer({"tasks": TASK.render_all(found)})


async def list_tasks(request: Request[ImageService]) -> Response:
    """The imports of all images, the newest first."""
    settings = request.service.settings
    limit = min(limit_of(request.query, settings.page_default), settings.page_max)
    marker = request.q("marker")
    async with request.service.db.read() as tx:
        after = None if marker is None else await tasks.get(tx, marker)
        if marker is not None and after is None:
            raise BadRequest(f"The marker {marker} names no task.")
        found = await tasks.page(tx, limit, after)
    page = {
        "tasks": SHORT_TASK.render_all(found),
        "first": link("/v2/tasks", request.query, None),
        "schema": "/v2/schemas/tasks",
    }
    if found and len(found) == limit:
        page["next"] = link("/v2/tasks", request.query, found[-1].id)
    return answer(page)


async def show_task(request: Request[ImageService]) -> Response:
    """One import."""
    task_id = request.params["task_id"]
    async with request.service.db.read() as tx:
        task = await tasks.get(tx, task_id)
    if task is None:
        raise TaskNotFound(task_id=task_id)
    return answer(TASK.render(task))
