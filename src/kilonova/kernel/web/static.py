"""Files of one folder over HTTP. No listing, no redirect (so none that leads elsewhere), nothing outside the folder."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Iterable
from pathlib import Path

from kilonova.kernel.web.message import Response

_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".woff": "font/woff", ".woff2": "font/woff2"}


class StaticFiles:
    """`index` is what `/` shows. `headers` go with every file."""

    def __init__(self, folder: Path, *, index: str = "index.html", headers: Iterable[tuple[str, str]] = ()):
        self._folder = folder.resolve()
        self._index = index
        self._headers = [("X-Content-Type-Options", "nosniff"), *headers]

    async def get(self, path: str) -> Response | None:
        """The file at a decoded URL path; None when there is no such file."""
        found = await asyncio.to_thread(self._read, path.strip("/") or self._index)
        if found is None:
            return None
        body, kind = found
        return Response(200, body, list(self._headers), kind)

    def _read(self, relative: str) -> tuple[bytes, str] | None:
        if "\0" in relative or "\\" in relative:
            return None
        try:
            file = (self._folder / relative).resolve()
            if not file.is_relative_to(self._folder) or not file.is_file():
                return None
            return file.read_bytes(), _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "text/plain"
        except OSError:
            return None
