"""An ASGI application on a listening socket that somebody else made, such as one opened inside a namespace."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState


async def serve_socket(
    app: Any, listening: socket.socket, *, most_connections: int, websockets: bool = False
) -> asyncio.Server:
    """Serve `app` from now on; close the answer to end. More connections than `most_connections` get a 503."""
    config = uvicorn.Config(
        app, http="httptools", ws="websockets-sansio" if websockets else "none", lifespan="off",
        access_log=False, log_config=None, server_header=False, timeout_keep_alive=15,
        limit_concurrency=most_connections,
    )  # fmt: skip
    config.load()
    state = ServerState()
    return await asyncio.get_running_loop().create_server(
        lambda: HttpToolsProtocol(config=config, server_state=state, app_state={}), sock=listening
    )
