"""Two connections to a libvirt daemon, used from threads, made again when they are lost.

Questions go over one and changes over the other, so a question does not wait behind a long change and an abort does
not queue behind what it is to abort. libvirt's errors become ours here, in one table.

libvirt's event loop belongs to the process, not to a connection: it runs in one thread from the first use on, and
hands what it hears to the asyncio loop that asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import libvirt

from kilonova.compute.virt.driver import Broken, DriverError, NotAble, Transient, WrongState

LOG = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[Any], T]
"""Blocking work with a `virConnect`. It looks at the world first, for it may be run twice."""

_LOST = {libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE}

_ERRORS: dict[int, type[DriverError]] = {
    libvirt.VIR_ERR_OPERATION_INVALID: WrongState,
    libvirt.VIR_ERR_OPERATION_TIMEOUT: Transient,
    libvirt.VIR_ERR_RESOURCE_BUSY: Transient,
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: Transient,
    libvirt.VIR_ERR_NO_SUPPORT: NotAble,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: NotAble,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED: NotAble,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED: NotAble,
}

_event_thread = threading.Lock()
_event_loop_runs = False


class Connection:
    """`uri` may change between connects (the daemon may have moved), so it is asked for each time."""

    def __init__(self, uri: Callable[[], str], on_connect: Callable[[Any], None], workers: int = 8):
        self._uri = uri
        self._on_connect = on_connect
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="libvirt")
        self._connections: dict[str, Any] = {}
        self._locks = {"ask": threading.Lock(), "change": threading.Lock()}

    async def ask(self, work: Work[T]) -> T:
        """Run a question in a thread. Raises what `_ERRORS` says; Transient when the daemon does not answer."""
        return await self._run("ask", work)

    async def change(self, work: Work[T]) -> T:
        """Run something that changes a guest. The same as `ask`, over the other connection."""
        return await self._run("change", work)

    async def close(self) -> None:
        await self._in_thread(self._drop_all)
        self._pool.shutdown(wait=False)

    async def _run(self, purpose: str, work: Work[T]) -> T:
        return await self._in_thread(lambda: self._work(purpose, work))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    # --- in a thread ---

    def _work(self, purpose: str, work: Work[T]) -> T:
        for last in (False, True):
            connection = self._connected(purpose)
            try:
                return work(connection)
            except libvirt.libvirtError as error:
                if not _is_lost(connection, error):
                    raise translated(error) from error
                self._drop(purpose, connection)
                if last:
                    raise Transient(f"libvirt does not answer: {error}") from error
        raise AssertionError("not reached")

    def _connected(self, purpose: str) -> Any:
        with self._locks[purpose]:
            known = self._connections.get(purpose)
            if known is not None:
                return known
            _run_event_loop()
            try:
                made = libvirt.open(self._uri())
                with contextlib.suppress(libvirt.libvirtError):
                    made.setKeepAlive(5, 3)
            except (libvirt.libvirtError, OSError) as error:
                raise Transient(f"libvirt cannot be reached: {error}") from error
            if purpose == "ask":
                self._on_connect(made)
            self._connections[purpose] = made
            return made

    def _drop(self, purpose: str, connection: Any) -> None:
        with self._locks[purpose]:
            if self._connections.get(purpose) is connection:
                LOG.warning("libvirt: the connection to %s is lost", purpose)
                del self._connections[purpose]
        with contextlib.suppress(libvirt.libvirtError):
            connection.close()

    def _drop_all(self) -> None:
        for purpose in ("ask", "change"):
            with self._locks[purpose]:
                known = self._connections.pop(purpose, None)
            if known is not None:
                with contextlib.suppress(libvirt.libvirtError):
                    known.close()


def translated(error: Any) -> DriverError:
    """A libvirtError as one of ours, with libvirt's own sentence."""
    return _ERRORS.get(error.get_error_code(), Broken)(str(error))


def _is_lost(connection: Any, error: Any) -> bool:
    if error.get_error_domain() in _LOST:
        return True
    try:
        return not connection.isAlive()
    except libvirt.libvirtError:
        return True


def _run_event_loop() -> None:
    global _event_loop_runs
    with _event_thread:
        if _event_loop_runs:
            return
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_events_for_ever, name="libvirt events", daemon=True).start()
        _event_loop_runs = True


def _events_for_ever() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError as error:
            LOG.error("libvirt: its event loop failed: %s", error)
