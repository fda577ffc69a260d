"""The HTTP server of the one API port: uvicorn in the cloud's own event loop."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import uvicorn

from kilonova.kernel.web.app import ASGIApp


class PortTaken(RuntimeError):
    """The API port cannot be listened on."""


class ApiServer:
    """Listens at once when made, so that a taken port is told before anything is started."""

    def __init__(self, app: ASGIApp, host: str, port: int):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise PortTaken(
                f"the API cannot listen on {host} port {port}: {error.strerror}; "
                f"choose another with --set DEFAULT.api_port=N"
            ) from error
        self._socket.listen(2048)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            date_header=True,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
            ws="websockets-sansio",
            h11_max_incomplete_event_size=65536,
            proxy_headers=False,
        )
        self._server = _Quiet(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve until :meth:`stop`; returns when requests are answered."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 - uvicorn tells by a flag
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Finish the requests at hand (five seconds at most), then close."""
        self._server.should_exit = True
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task


class _Quiet(uvicorn.Server):
    """Signals are the command line's to handle."""

    def capture_signals(self):  # type: ignore[no-untyped-def]
        from contextlib import nullcontext

        return nullcontext()
