"""Consoles: the guest's log, and one-time addresses at which its screen or serial line can be opened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from kilonova.compute.api.asking_hosts import ask, placed_server
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import closed
from kilonova.compute.calls import CONSOLE_ENDPOINT, CONSOLE_LOG, OpenConsole, ReadConsole
from kilonova.compute.config import Settings
from kilonova.compute.microversions import v
from kilonova.compute.store import console_tokens
from kilonova.kernel.errors import BadRequest, NotFound
from kilonova.kernel.ids import new_uuid
from kilonova.kernel.web import Response, answer


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of console: its words on the wire, and what the host calls it."""

    protocol: str
    type: str
    at_host: Literal["vnc", "serial"]


NOVNC, SERIAL = Kind("vnc", "novnc", "vnc"), Kind("serial", "serial", "serial")
KINDS = {(kind.protocol, kind.type): kind for kind in (NOVNC, SERIAL)}

_PROTOCOLS = ["vnc", "spice", "rdp", "serial"]
_TYPES = ["novnc", "xvpvnc", "spice-html5", "rdp-html5", "serial"]


def _create(protocols: list[str], types: list[str]) -> dict[str, Any]:
    keys = {"protocol": {"type": "string", "enum": protocols}, "type": {"type": "string", "enum": types}}
    return closed({"remote_console": closed(keys, "protocol", "type")}, "remote_console")


CREATE = (
    (v(6), v(7), _create(_PROTOCOLS, _TYPES)),
    (v(8), v(98), _create([*_PROTOCOLS, "mks"], [*_TYPES, "webmks"])),
    (v(99), None, _create([*_PROTOCOLS, "mks"], [*_TYPES, "webmks", "spice-direct"])),
)


def _url(settings: Settings, kind: Kind, token: str) -> str:
    """Where a browser opens the console. Raises BadRequest when this cloud does not offer its kind.

    noVNC is told the path of the WebSocket at its own host: the folder that its page is in.
    """
    if kind is NOVNC and settings.vnc_enabled:
        folder = urlsplit(settings.novnc_url).path.strip("/").rpartition("/")[0]
        path = f"{folder}/?token={token}" if folder else f"?token={token}"
        return f"{settings.novnc_url}?path={quote(path, safe='')}"
    if kind is SERIAL and settings.serial_enabled:
        return f"{settings.serial_url}?token={token}"
    raise BadRequest(f"Consoles of type {kind.type} are not offered by this cloud.")


async def _open(request: ComputeRequest, kind: Kind) -> str:
    """The address of a new console."""
    service = request.service
    settings, now, token = service.settings, service.clock.now(), new_uuid()
    url = _url(settings, kind, token)
    row = await placed_server(request, "open_console")
    at = await ask(request, row, CONSOLE_ENDPOINT, OpenConsole(server_id=row.id, kind=kind.at_host))
    async with service.db.transaction() as tx:
        await console_tokens.insert_token(
            tx,
            token,
            server_id=row.id,
            console_type=kind.type,
            host=at.host,
            path=at.path,
            url_base=url.split("?")[0],
            now=now,
            expires_at=now + timedelta(seconds=settings.console_token_s),
        )
    return url


async def create_console(request: ComputeRequest) -> Response:
    """POST /servers/{id}/remote-consoles"""
    asked = request.body["remote_console"]
    kind = KINDS.get((asked["protocol"], asked["type"]))
    if kind is None:
        raise BadRequest(f"Consoles of type {asked['type']} are not offered by this cloud.")
    return answer({"remote_console": {**asked, "url": await _open(request, kind)}})


def _old(kind: Kind, action: str) -> Any:
    async def open_console(request: ComputeRequest) -> Response:
        if request.body[action]["type"] != kind.type:
            raise BadRequest(f"Consoles of type {request.body[action]['type']} are not offered by this cloud.")
        return answer({"console": {"type": kind.type, "url": await _open(request, kind)}})

    return open_console


get_vnc_console = _old(NOVNC, "os-getVNCConsole")
get_serial_console = _old(SERIAL, "os-getSerialConsole")


async def get_spice_console(request: ComputeRequest) -> Response:
    """os-getSPICEConsole"""
    await placed_server(request, "open_console")
    raise BadRequest("Consoles of type spice-html5 are not offered by this cloud.")


async def get_output(request: ComputeRequest) -> Response:
    """os-getConsoleOutput"""
    length = request.body["os-getConsoleOutput"].get("length")
    lines = None if length is None or int(length) < 0 else int(length)
    row = await placed_server(request, "console_output")
    text = await ask(request, row, CONSOLE_LOG, ReadConsole(server_id=row.id, last_lines=lines))
    return answer({"output": text.text})


async def show_token(request: ComputeRequest) -> Response:
    """GET /os-console-auth-tokens/{token}"""
    async with request.service.db.read() as tx:
        row = await console_tokens.find(tx, request.params["token"], request.service.clock.now())
    if row is None:
        raise NotFound("The token is unknown or has ended.")
    if request.version < v(31) and row.console_type != "rdp-html5":
        raise BadRequest("Before microversion 2.31 only tokens of RDP consoles are shown.")
    shown: dict[str, Any] = {
        "instance_uuid": row.server_id,
        "host": row.host,
        "port": row.port,
        "internal_access_path": row.internal_access_path,
    }
    if request.version >= v(99):
        shown["tls_port"] = row.tls_port
    return answer({"console": shown})
