"""HTTP for services: rows of routes in, an ASGI application out. Handlers see Request and give Response."""

from kilonova.kernel.web.app import ServiceApp, build_app
from kilonova.kernel.web.faults import CINDER, GLANCE, KEYSTONE, NEUTRON, NOVA, PLACEMENT, Dialect, Fault
from kilonova.kernel.web.fields import Field, FieldTable
from kilonova.kernel.web.message import (
    Request,
    Response,
    StreamResponse,
    accepted,
    answer,
    created,
    no_content,
)
from kilonova.kernel.web.route import Route

__all__ = [
    "CINDER",
    "GLANCE",
    "KEYSTONE",
    "NEUTRON",
    "NOVA",
    "PLACEMENT",
    "Dialect",
    "Fault",
    "Field",
    "FieldTable",
    "Request",
    "Response",
    "Route",
    "ServiceApp",
    "StreamResponse",
    "accepted",
    "answer",
    "build_app",
    "created",
    "no_content",
]
