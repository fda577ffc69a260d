"""Supervised child processes: daemons in the foreground that outlive us and are taken up again at the
next start.

A child is started through :mod:`kilonova.kernel.exec_shim` in a session of its own, so neither our end
(kill -9 included) nor a terminal's ends it. It writes a pid file with its pid, the kernel's start time
of that pid and the id of the boot; only a process that matches all three is ours. Liveness is read from
/proc (a zombie is dead), the end is noticed by a pidfd, signals go through the pidfd: never by name,
never to a pid that may have been given away.

Closing a supervisor leaves the children running. What ends them is ``stop``.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import inspect
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kilonova.kernel import exec_shim
from kilonova.kernel.clock import Clock, SystemClock

LOG = logging.getLogger(__name__)

Ready = Path | Callable[[], bool | Awaitable[bool]] | None
"""When a child may be used: a path that exists (a socket: that accepts), a check, or as soon as it runs."""


class ChildFailed(Exception):
    """A child did not start or did not become ready; the message has the last lines of its log."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A daemon to keep alive. ``argv`` must stay in the foreground.

    ``env`` is all it gets beside PATH and LANG. ``netns`` is the name of a network namespace (or an
    absolute path to one). ``private_mounts`` are (source, target) bind mounts that only the child and
    its children see. ``subreaper`` puts a small reaper above it, for daemons whose own children are
    daemons and wait to be reaped.
    """

    name: str
    argv: tuple[str, ...]
    run_dir: Path
    log_path: Path
    env: tuple[tuple[str, str], ...] = ()
    cwd: Path = Path("/")
    netns: str | None = None
    private_mounts: tuple[tuple[Path, Path], ...] = ()
    subreaper: bool = False
    ready: Ready = field(default=None, compare=False)
    ready_timeout_s: float = 15.0

    @property
    def pid_file(self) -> Path:
        return self.run_dir / f"{self.name}.pid"

    @property
    def netns_path(self) -> str | None:
        return self.netns if self.netns is None or self.netns.startswith("/") else f"/run/netns/{self.netns}"

    def digest(self) -> str:
        """Names what would run: a running child with another digest is replaced, not adopted."""
        what = (
            self.argv, self.env, str(self.cwd), self.netns_path, self.subreaper,
            [[str(a), str(b)] for a, b in self.private_mounts],
        )  # fmt: skip
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a pid file says: a process that was started, alive or not."""

    name: str
    pid: int
    start: int
    boot: str
    digest: str

    def alive(self) -> bool:
        """Whether this very process (not a later one with its pid) runs and is no zombie."""
        return self.boot == _boot_id() and process_start(self.pid) == self.start


@dataclass(frozen=True, slots=True)
class ChildState:
    """One line of a status page. ``state``: starting, running, waiting (to be restarted) or stopped."""

    name: str
    state: str
    pid: int | None
    adopted: bool
    restarts: int
    last_exit: int | None
    """Exit status of the last run as the shell counts it, None when unknown (we were not its parent)."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Before a restart: ``first_s``, doubling up to ``most_s``; ``steady_s`` of life forgives the past."""

    first_s: float = 0.2
    most_s: float = 30.0
    steady_s: float = 60.0

    def delay_s(self, failures: int) -> float:
        return min(self.first_s * 2.0 ** min(failures, 30), self.most_s)


def process_start(pid: int) -> int | None:
    """The start time of a live process in clock ticks since boot; None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    parts = stat.rpartition(")")[2].split()
    return None if parts[0] in ("Z", "X", "x") else int(parts[19])


def recorded(pid_file: Path) -> Recorded | None:
    """What a pid file says; None when there is none, or it is not one of ours."""
    try:
        data = json.loads(pid_file.read_text())
        return Recorded(**{key: data[key] for key in ("name", "pid", "start", "boot", "digest")})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running_in(run_dir: Path) -> tuple[Recorded, ...]:
    """All live children that were started with this run directory, by this process or an earlier one."""
    found = (recorded(path) for path in sorted(run_dir.glob("*.pid")))
    return tuple(one for one in found if one is not None and one.alive())


async def stop_process(one: Recorded, timeout_s: float = 10.0) -> None:
    """End a process: TERM, and KILL after ``timeout_s``. Returns when it is gone; a dead one is no
    error.
    """
    with _pidfd(one) as fd:
        if fd is None:
            return
        signal.pidfd_send_signal(fd, signal.SIGTERM)
        if await _ended(fd, timeout_s):
            return
        LOG.warning("child %s (pid %d) ignored TERM for %.0f s: killing it", one.name, one.pid, timeout_s)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        if not await _ended(fd, 10.0):
            raise ChildFailed(f"{one.name} (pid {one.pid}) does not end even when killed")


class Supervisor:
    """Keeps children alive. One event loop; ``aclose`` stops watching and leaves them running."""

    def __init__(self, clock: Clock | None = None, backoff: Backoff | None = None):
        self._clock = clock or SystemClock()
        self._backoff = backoff or Backoff()
        self._children: dict[str, _Child] = {}

    async def ensure(self, spec: ChildSpec) -> ChildState:
        """Have this child running and ready: adopt it, start it, or replace one that runs with another
        plan.

        Raises ChildFailed when it ends or is not ready in time; it is then stopped and not wanted any more.
        """
        known = self._children.get(spec.name)
        if known is not None and known.spec.digest() != spec.digest():
            await self.stop(spec.name)
            known = None
        child = known or _Child(spec, self._clock, self._backoff)
        self._children[spec.name] = child
        try:
            await child.bring_up()
        except BaseException:
            self._children.pop(spec.name, None)
            await child.stop(5.0)
            raise
        return child.state()

    async def stop(self, name: str, timeout_s: float = 10.0) -> None:
        """End a child and do not want it any more. An unknown name is no error."""
        child = self._children.pop(name, None)
        if child is not None:
            await child.stop(timeout_s)

    def states(self) -> tuple[ChildState, ...]:
        return tuple(child.state() for child in self._children.values())

    async def aclose(self) -> None:
        """Stop watching; the children run on and can be adopted."""
        for child in self._children.values():
            await child.forget()
        self._children.clear()


class _Child:
    """One wanted child: the process that runs now, and the task that watches it."""

    def __init__(self, spec: ChildSpec, clock: Clock, backoff: Backoff):
        self.spec = spec
        self._clock, self._backoff = clock, backoff
        self._popen: subprocess.Popen[bytes] | None = None
        self._now: Recorded | None = None
        self._watch: asyncio.Task[None] | None = None
        self._word = "starting"
        self._adopted = False
        self._restarts = 0
        self._failures = 0
        self._last_exit: int | None = None
        self._since_s = 0.0

    def state(self) -> ChildState:
        alive = self._now is not None and self._now.alive()
        pid = self._now.pid if alive and self._now is not None else None
        return ChildState(self.spec.name, self._word, pid, self._adopted, self._restarts, self._last_exit)

    async def bring_up(self) -> None:
        if self._now is None or not self._now.alive():
            await self.forget()
            await self._start()
        await self._until_ready()
        self._word = "running"
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._keep_alive(), name=f"watch {self.spec.name}")

    async def stop(self, timeout_s: float) -> None:
        await self.forget()
        now = self._now or recorded(self.spec.pid_file)
        if now is not None:
            await stop_process(now, timeout_s)
        if self._popen is not None:
            self._popen.poll()  # reap: it is ours and has ended
        self.spec.pid_file.unlink(missing_ok=True)
        self._now, self._word = None, "stopped"

    async def forget(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None

    async def _start(self) -> None:
        """Adopt what runs, or start anew; ends with ``self._now`` set to a live process."""
        deadline = self._clock.monotonic() + self.spec.ready_timeout_s
        self._word, self._popen = "starting", None
        while True:
            found = await self._adopt()
            self._adopted = found is not None
            found = found or await self._spawn(deadline)
            if found is not None:
                break
        self._now = found
        self._since_s = self._clock.monotonic()
        how = "adopted" if self._adopted else "started"
        LOG.info("child %s: %s pid %d", self.spec.name, how, found.pid)

    async def _adopt(self) -> Recorded | None:
        before = recorded(self.spec.pid_file)
        if before is None or not before.alive():
            return None
        if before.digest == self.spec.digest():
            return before
        LOG.info("child %s: pid %d runs with another plan, replacing it", self.spec.name, before.pid)
        await stop_process(before)
        return None

    async def _spawn(self, deadline: float) -> Recorded | None:
        """One try. None when another process holds the lock: that one is to be adopted."""
        spec = self.spec
        popen = self._popen = _spawn(spec)
        while True:
            status = popen.poll()
            now = recorded(spec.pid_file)
            if now is not None and now.pid == popen.pid and now.alive():
                return now
            late = self._clock.monotonic() > deadline
            if status == exec_shim.ALREADY_RUNS and not late:
                self._popen = None
                await self._clock.sleep(0.02)
                return None
            if status is not None or late:
                popen.kill()  # a no-op when it has ended
                raise self._failed(f"did not start (exit status {status})")
            await self._clock.sleep(0.005)

    async def _until_ready(self) -> None:
        spec, deadline = self.spec, self._clock.monotonic() + self.spec.ready_timeout_s
        while True:
            if self._now is None or not self._now.alive():
                status = self._popen.poll() if self._popen else None
                raise self._failed(f"ended at its start (exit status {status})")
            if await _is_ready(spec.ready):
                return
            if self._clock.monotonic() > deadline:
                raise self._failed(f"was not ready in {spec.ready_timeout_s:.0f} s")
            await self._clock.sleep(0.01)

    def _failed(self, why: str) -> ChildFailed:
        return ChildFailed(f"{self.spec.name} {why}: {_tail(self.spec.log_path)}")

    async def _keep_alive(self) -> None:
        while True:
            if self._now is not None:
                with _pidfd(self._now) as fd:
                    if fd is not None:
                        await _ended(fd, None)
            self._last_exit = _as_shell(self._popen.wait()) if self._popen is not None else None
            if self._clock.monotonic() - self._since_s >= self._backoff.steady_s:
                self._failures = 0
            delay_s = self._backoff.delay_s(self._failures)
            LOG.error(
                "child %s: ended (status %s), starting it again in %.1f s: %s",
                self.spec.name, self._last_exit, delay_s, _tail(self.spec.log_path),
            )  # fmt: skip
            self._word, self._now, self._popen = "waiting", None, None
            await self._clock.sleep(delay_s)
            self._restarts += 1
            self._failures += 1
            await self._try_again()

    async def _try_again(self) -> None:
        try:
            await self._start()
            await self._until_ready()
            self._word = "running"
        except (ChildFailed, OSError) as error:
            LOG.error("child %s: %s", self.spec.name, error)
            if self._now is not None:
                await stop_process(self._now)


def _spawn(spec: ChildSpec) -> subprocess.Popen[bytes]:
    spec.run_dir.mkdir(parents=True, exist_ok=True)
    spec.log_path.parent.mkdir(parents=True, exist_ok=True)
    plan = {
        "name": spec.name,
        "digest": spec.digest(),
        "pid_file": str(spec.pid_file),
        "netns": spec.netns_path,
        "mounts": [[str(source), str(target)] for source, target in spec.private_mounts],
        "subreaper": spec.subreaper,
        "argv": spec.argv,
    }
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    with spec.log_path.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", exec_shim.__file__, json.dumps(plan)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=spec.cwd, env=env | dict(spec.env), start_new_session=True, close_fds=True,
        )  # fmt: skip


async def _is_ready(ready: Ready) -> bool:
    if ready is None:
        return True
    if isinstance(ready, Path):
        return _accepts(ready) if ready.is_socket() else ready.exists()
    answer = ready()
    return await answer if inspect.isawaitable(answer) else bool(answer)


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        try:
            client.connect(str(path))
        except OSError as error:
            return error.errno == errno.EAGAIN  # its backlog is full, so it listens
        return True


@contextlib.contextmanager
def _pidfd(one: Recorded) -> Iterator[int | None]:
    """A pidfd of this very process, or None when it is gone; checked after opening, so it is not
    another's.
    """
    try:
        fd = os.pidfd_open(one.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield fd if one.alive() else None
    finally:
        os.close(fd)


async def _ended(fd: int, timeout_s: float | None) -> bool:
    """Wait until the process of a pidfd has ended; False when ``timeout_s`` passed first."""
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[None] = loop.create_future()

    def note() -> None:
        loop.remove_reader(fd)
        gone.set_result(None)

    loop.add_reader(fd, note)
    try:
        async with asyncio.timeout(timeout_s):
            await gone
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
    return True


def _as_shell(status: int) -> int:
    return status if status >= 0 else 128 - status


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _tail(log_path: Path, lines: int = 5) -> str:
    try:
        with log_path.open("rb") as log:
            log.seek(max(0, log_path.stat().st_size - 4096))
            text = log.read().decode(errors="replace").strip()
    except OSError:
        return "it has no log"
    return " | ".join(text.splitlines()[-lines:]) or "its log is empty"
