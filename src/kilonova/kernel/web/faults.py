"""How each service words its errors on the wire: one dialect a service, as upstream's clients read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from http import HTTPStatus

from kilonova.kernel.errors import Error
from kilonova.kernel.microversion import NO_VERSION, Version, VersionOutOfRange
from kilonova.kernel.web.message import encode


@dataclass(frozen=True, slots=True)
class Fault:
    """An error on its way out."""

    error: Error
    status: int
    request_id: str
    accept: str = ""
    version: Version = NO_VERSION

    @property
    def title(self) -> str:
        """The standard phrase of the status."""
        return HTTPStatus(self.status).phrase


Dialect = Callable[[Fault], tuple[bytes, str]]

_JSON = "application/json"

_NOVA_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def _keystone(fault: Fault) -> tuple[bytes, str]:
    inner = {"code": fault.status, "message": fault.error.message, "title": fault.title}
    return encode({"error": inner}), _JSON


def _nova(fault: Fault) -> tuple[bytes, str]:
    if fault.status == 401:
        return _keystone(fault)
    if fault.status == 406:
        entry = {
            "status": 406,
            "request_id": fault.request_id,
            "code": "",
            "title": fault.title,
            "detail": fault.error.message,
            "links": [],
        }
        return encode({"errors": [entry]}), _JSON
    name = _NOVA_NAMES.get(fault.status, "computeFault")
    return encode({name: {"code": fault.status, "message": fault.error.message}}), _JSON


_NEUTRON_NAMES = {
    400: "HTTPBadRequest",
    403: "PolicyNotAuthorized",
    404: "HTTPNotFound",
    405: "HTTPMethodNotAllowed",
    409: "HTTPConflict",
    413: "HTTPRequestEntityTooLarge",
    415: "HTTPUnsupportedMediaType",
    500: "HTTPInternalServerError",
    503: "HTTPServiceUnavailable",
}


def _neutron(fault: Fault) -> tuple[bytes, str]:
    if fault.status == 401:
        return _keystone(fault)
    detail = str(fault.error.facts.get("detail", ""))
    name = fault.error.type_name
    if type(fault.error).__module__.startswith("kilonova.kernel."):
        name = _NEUTRON_NAMES.get(fault.status, name)
    return encode({"NeutronError": {"type": name, "message": fault.error.message, "detail": detail}}), _JSON


def _glance(fault: Fault) -> tuple[bytes, str]:
    if fault.status == 401:
        return _keystone(fault)
    heading = f"{fault.status} {fault.title}"
    accept = fault.accept
    if "json" in accept and "html" not in accept:
        return encode({"message": fault.error.message, "code": heading, "title": fault.title}), _JSON
    if accept and "*/*" not in accept and "html" not in accept:
        return f"{heading}\n\n{fault.error.message}\n".encode(), "text/plain; charset=UTF-8"
    text = (
        f"<html>\n <head>\n  <title>{heading}</title>\n </head>\n <body>\n  <h1>{heading}</h1>\n"
        f"  {escape(fault.error.message)}<br /><br />\n </body>\n</html>"
    )
    return text.encode(), "text/html; charset=UTF-8"


def _placement(fault: Fault) -> tuple[bytes, str]:
    if fault.status == 401:
        return _keystone(fault)
    entry: dict[str, object] = {
        "status": fault.status,
        "title": fault.title,
        "detail": fault.error.message,
        "request_id": fault.request_id,
    }
    if fault.version >= (1, 23):
        entry["code"] = fault.error.code or "placement.undefined_code"
    if isinstance(fault.error, VersionOutOfRange):
        entry |= {f"{end}_version": str(fault.error.facts[end]) for end in ("max", "min")}
    return encode({"errors": [entry]}), _JSON


KEYSTONE: Dialect = _keystone
NOVA: Dialect = _nova
CINDER: Dialect = _nova
NEUTRON: Dialect = _neutron
GLANCE: Dialect = _glance
PLACEMENT: Dialect = _placement
