"""One port for all services: the first segment of a path names the service."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kilonova.kernel.web.app import ASGIApp, Receive, Scope, Send


class Mount:
    """Sends each request to the application mounted under its first segment, with ``root_path`` set to it."""

    def __init__(self, apps: Mapping[str, ASGIApp]):
        self.apps = dict(apps)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path: str = scope["path"]
        name = path.split("/", 2)[1] if path.startswith("/") else ""
        app = self.apps.get(name)
        if app is not None:
            await app({**scope, "root_path": f"/{name}"}, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._front(scope, name, send)

    async def _front(self, scope: Scope, name: str, send: Send) -> None:
        if scope["path"] in ("/", "") or name == "healthcheck":
            status, content = 200, msgspec.json.encode({"services": [f"/{n}" for n in sorted(self.apps)]})
        else:
            known = ", ".join(f"/{n}" for n in sorted(self.apps))
            message = f"There is no service at /{name[:100]}; there are {known}."
            status, content = (
                404,
                msgspec.json.encode({"error": {"code": 404, "title": "Not Found", "message": message}}),
            )
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope.get("method") == "HEAD" else content})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
