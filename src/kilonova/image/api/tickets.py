"""Lending an image: compute asks for a ticket, and hands it to the host that is to fetch the data."""

from __future__ import annotations

from datetime import UTC, datetime

from kilonova.image.api.data import send_data
from kilonova.image.api.reading import find, target
from kilonova.image.errors import ImageNotFound, TicketRefused
from kilonova.image.model.image import ACTIVE
from kilonova.image.model.tickets import admits, issue
from kilonova.image.service import ImageService, current
from kilonova.kernel.clock import iso_seconds
from kilonova.kernel.web import Request, Response, StreamResponse, answer

HEADER = "X-Image-Ticket"


async def issue_ticket(request: Request[ImageService]) -> Response:
    """POST /v2/images/{id}/tickets"""
    service = request.service
    async with service.db.read() as tx:
        seen = await find(request, tx)
    request.allow(target(seen, request))
    end = int(service.clock.now().timestamp()) + service.settings.ticket_s
    body = {
        "ticket": issue(service.settings.ticket_key, seen.image.id, end),
        "expires_at": iso_seconds(datetime.fromtimestamp(end, UTC)),
    }
    return answer(body, 201)


async def download_lent(request: Request[ImageService]) -> Response | StreamResponse:
    """GET /v2/lent/{id}/file: the data, for who holds a ticket; no token is looked at."""
    service, image_id = request.service, request.params["image_id"]
    shown = request.headers.get(HEADER.lower(), "")
    if not admits(service.settings.ticket_key, shown, image_id, service.clock.now().timestamp()):
        raise TicketRefused(header=HEADER)
    async with service.db.read() as tx:
        image = await current(service, tx, image_id)
    if image is None or image.status != ACTIVE:
        raise ImageNotFound(image_id=image_id)
    return await send_data(request, image)
