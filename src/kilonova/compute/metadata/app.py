"""The metadata service: tells a guest about itself, for whom the network's proxy signed.

The proxy on the guest's host knows which port a request came from; it sends the server's id with an HMAC made with
the secret that both hold. A guest cannot make that signature, so it cannot ask for another's documents.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from kilonova.clients.network import NetworkClient, NetworkFacts
from kilonova.compute.calls import GuestOrder
from kilonova.compute.metadata.lookup import lookup
from kilonova.compute.orders import OrderOptions, fresh_order
from kilonova.compute.store import servers
from kilonova.kernel.clock import Clock
from kilonova.kernel.context import Context
from kilonova.kernel.db import Database
from kilonova.kernel.errors import BadRequest, Forbidden, NotFound
from kilonova.kernel.ids import is_uuid
from kilonova.kernel.policy import Policies
from kilonova.kernel.web import NOVA, Request, Response, Route, ServiceApp
from kilonova.kernel.web.app import ASGIApp, build_app

LOG = logging.getLogger(__name__)

_KEEP_S = 15.0
_MOST_KEPT = 5000


@dataclass(slots=True)
class MetadataParts:
    """``secret``: ``[neutron] metadata_proxy_shared_secret``."""

    db: Database
    network: NetworkClient
    networks: NetworkFacts
    clock: Clock
    secret: str
    options: OrderOptions = field(default_factory=OrderOptions)
    kept: dict[str, tuple[float, GuestOrder, str | None]] = field(default_factory=dict)


def sign(secret: str, server_id: str) -> str:
    """The signature that the proxy puts into ``X-Instance-ID-Signature``."""
    return hmac.new(secret.encode(), server_id.encode(), hashlib.sha256).hexdigest()


async def show(request: Request[MetadataParts]) -> Response:
    """Whatever the guest asks for."""
    parts = request.service
    server_id = _asker(request)
    order, floating_ip = await _known(parts, server_id, request.headers.get("x-tenant-id", ""))
    found = lookup(order, request.params.get("path", ""), floating_ip)
    if found is None:
        raise NotFound
    media_type, content = found
    LOG.debug("server %s reads /%s", server_id, request.params.get("path", ""))
    return Response(200, content, [], media_type)


def _asker(request: Request[MetadataParts]) -> str:
    server_id = request.headers.get("x-instance-id", "")
    signature = request.headers.get("x-instance-id-signature", "")
    if not server_id or not request.headers.get("x-tenant-id"):
        raise BadRequest("X-Instance-ID and X-Tenant-ID headers are missing from the request.")
    if "," in server_id or not is_uuid(server_id):
        raise BadRequest("X-Instance-ID must be the id of one server.")
    if not hmac.compare_digest(sign(request.service.secret, server_id).encode(), signature.encode()):
        LOG.warning("a request for the metadata of %s has a wrong signature", server_id)
        raise Forbidden("Invalid proxy request signature.")
    return server_id


async def _known(parts: MetadataParts, server_id: str, project_id: str) -> tuple[GuestOrder, str | None]:
    now = parts.clock.monotonic()
    kept = parts.kept.get(server_id)
    if kept is None or kept[0] < now:
        async with parts.db.read() as tx:
            server = await servers.get(tx, server_id)
        if server is None:
            raise NotFound
        order = await fresh_order(parts.network, parts.networks, parts.options, server)
        floating = [address for vif in server.vifs for ip in vif.fixed_ips for address in ip.floating]
        if len(parts.kept) >= _MOST_KEPT:
            parts.kept.clear()
        kept = parts.kept[server_id] = (now + _KEEP_S, order, floating[0] if floating else None)
    if kept[1].persona.project_id != project_id:
        raise NotFound
    return kept[1], kept[2]


async def _nobody(_headers: Mapping[str, str]) -> Context:
    return Context()


ROUTES: tuple[Route, ...] = (
    Route("GET", "/", show, None, "What versions there are", public=True),
    Route("GET", "/{path:path}", show, None, "A document, or a listing", public=True),
)


def build_metadata(parts: MetadataParts) -> ASGIApp:
    """The ASGI application. It asks for no token: the signature tells who asks."""
    spec = ServiceApp(
        name="metadata",
        routes=ROUTES,
        dialect=NOVA,
        policies=Policies(()),
        authenticate=_nobody,
        openapi=False,
    )
    return build_app(spec, parts)
