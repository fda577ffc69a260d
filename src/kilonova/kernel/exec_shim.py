"""What a supervised child runs before it becomes the daemon: namespaces, bind mounts, the pid file.

Run as a script (``python -I -S exec_shim.py PLAN``, PLAN a JSON object): only the standard library, so
it starts in a few milliseconds. Exit statuses of our own, before the daemon runs: 97 another one runs,
98 the plan could not be carried out (the reason is on stderr, that is in the child's log).

The child writes its own pid file, under a POSIX lock that lives as long as the process: so a supervisor
killed between starting a child and noting it down neither loses the child nor starts a second one.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import sys
from typing import Any, NoReturn

ALREADY_RUNS = 97
BAD_PLAN = 98

_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SLAVE = 0x1000, 0x4000, 0x80000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

_libc = ctypes.CDLL(None, use_errno=True)


def _call(what: str, result: int) -> None:
    if result != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{what}: {os.strerror(errno)}")


def _enter_netns(path: str) -> None:
    """Only the network namespace: ``ip netns exec`` would remount /sys, and the cgroups would vanish."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call(f"setns {path}", _libc.setns(fd, _CLONE_NEWNET))
    finally:
        os.close(fd)


def _mount_privately(mounts: list[list[str]]) -> None:
    """A mount namespace of our own. It still receives what the machine mounts and unmounts later
    (slave).
    """
    _call("unshare mounts", _libc.unshare(_CLONE_NEWNS))
    _call("make mounts slave", _libc.mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None))
    for source, target in mounts:
        if not os.path.exists(target):
            os.makedirs(target)
        done = _libc.mount(source.encode(), target.encode(), None, _MS_BIND, None)
        _call(f"bind {source} on {target}", done)


def _lock(pid_file: str) -> None:
    lock = os.open(pid_file + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(lock, True)  # kept over exec; a POSIX lock is not inherited by children
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _say(f"another process holds {pid_file}")
        sys.exit(ALREADY_RUNS)


def _write_pid_file(pid_file: str, fields: dict[str, Any]) -> None:
    with open("/proc/self/stat") as stat:
        start = int(stat.read().rpartition(")")[2].split()[19])
    with open("/proc/sys/kernel/random/boot_id") as boot:
        boot_id = boot.read().strip()
    text = json.dumps({"pid": os.getpid(), "start": start, "boot": boot_id, **fields})
    with open(pid_file + ".new", "w") as out:
        out.write(text)
    os.rename(pid_file + ".new", pid_file)


def _program(name: str) -> str:
    folders = [""] if "/" in name else os.environ.get("PATH", "").split(":")
    for path in (os.path.join(folder, name) for folder in folders):
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(2, f"{name}: No such file or not executable")


def _reap(argv: list[str]) -> NoReturn:
    """Run argv as a child, adopt and reap its orphans at once, as a quick PID 1 would; end as argv ends."""
    _call("subreaper", _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    passed_on = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    child = os.fork()
    if child == 0:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
        _become(argv)
    for number in passed_on:
        signal.signal(number, lambda signum, frame: os.kill(child, signum))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
    while True:
        pid, status = os.wait()
        if pid == child:
            sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def _become(argv: list[str]) -> NoReturn:
    try:
        os.execv(_program(argv[0]), argv)  # noqa: S606 - no shell is what we want
    except OSError as error:
        _say(str(error))
        os._exit(BAD_PLAN)


def _say(text: str) -> None:
    sys.stderr.write(f"exec_shim: {text}\n")
    sys.stderr.flush()


def main() -> NoReturn:
    plan = json.loads(sys.argv[1])
    try:
        _lock(plan["pid_file"])
        if plan["netns"]:
            _enter_netns(plan["netns"])
        if plan["mounts"]:
            _mount_privately(plan["mounts"])
        _program(plan["argv"][0])
        _write_pid_file(plan["pid_file"], {"name": plan["name"], "digest": plan["digest"]})
    except OSError as error:
        _say(str(error))
        sys.exit(BAD_PLAN)
    if plan["subreaper"]:
        _reap(plan["argv"])
    _become(plan["argv"])


if __name__ == "__main__":
    main()
