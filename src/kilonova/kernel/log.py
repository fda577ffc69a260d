"""Logs for the operator at 3 a.m.: one line a state change, with the request id, to standard error or a file."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from kilonova.kernel.context import current


class _WithRequest(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        context = current()
        record.request = context.trace_id if context is not None else "-"
        return True


_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


class _OneLine(logging.Formatter):
    """A message is one line whatever names and paths users chose; only our own tracebacks have more."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record).translate(_CONTROL)


def set_up(*, level: str = "INFO", file: Path | None = None) -> None:
    """Send all logs of this process to ``file`` or standard error. Called once, by the command line."""
    handler: logging.Handler = logging.FileHandler(file) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s [%(request)s] %(message)s"))
    handler.addFilter(_WithRequest())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "uvicorn.access", "ovsdbapp", "asyncio", "oslo_policy", "stevedore", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # uvicorn tells each WebSocket's whole address, and a console's has its token in it
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
