"""What a service's app.py gives to whoever runs it: an ASGI application and what goes on beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from kilonova.kernel.web.app import ASGIApp


@dataclass(slots=True)
class Service:
    """A built service.

    ``background``: coroutines functions that run while the service runs (sweeps); each owns its errors.
    ``close``: called once at the end, after the background has been cancelled. ``parts``: the service's own dataclass.
    """

    name: str
    app: ASGIApp
    parts: Any
    background: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    close: Callable[[], Awaitable[None]] | None = None
