"""Supervised children: they outlive the supervisor, are adopted, restarted, and ended by pid only."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kilonova.kernel import process
from kilonova.kernel.process import Backoff, ChildFailed, ChildSpec, Supervisor

SLEEPER = (sys.executable, "-I", "-S", "-c", "import time; print('up', flush=True); time.sleep(60)")
STUBBORN = (
    sys.executable, "-I", "-S", "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('ready', 'w'); time.sleep(60)",
)  # fmt: skip


def child(tmp_path: Path, argv: tuple[str, ...] = SLEEPER, **other: object) -> ChildSpec:
    fields = {"name": "daemon", "argv": argv, "run_dir": tmp_path, "log_path": tmp_path / "daemon.log"}
    return ChildSpec(**{**fields, **other})  # type: ignore[arg-type]


@pytest.fixture
async def supervisor(tmp_path: Path):
    one = Supervisor(backoff=Backoff(first_s=0.01, most_s=0.05))
    yield one
    await one.aclose()
    for left in process.running_in(tmp_path):
        await process.stop_process(left, 0.1)


async def until(check, timeout_s: float = 10.0):
    deadline = time.monotonic() + timeout_s
    while not (found := check()):
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)
    return found


async def test_a_child_runs_in_its_own_session_and_its_pid_file_names_it(supervisor, tmp_path):
    state = await supervisor.ensure(child(tmp_path))
    assert state.state == "running"
    assert not state.adopted
    assert os.getsid(state.pid) == state.pid
    written = json.loads((tmp_path / "daemon.pid").read_text())
    assert written["pid"] == state.pid
    assert written["start"] == process.process_start(state.pid)


async def test_the_next_supervisor_adopts_what_still_runs(supervisor, tmp_path):
    first = await supervisor.ensure(child(tmp_path))
    await supervisor.aclose()
    again = await supervisor.ensure(child(tmp_path))
    assert again.pid == first.pid
    assert again.adopted


async def test_a_child_survives_the_kill_of_its_supervisor(supervisor, tmp_path):
    program = (
        "import asyncio, os, signal, pathlib, tests.kernel.test_process as t\n"
        "from kilonova.kernel.process import Supervisor\n"
        f"spec = t.child(pathlib.Path({str(tmp_path)!r}))\n"
        "async def main():\n"
        "    await Supervisor().ensure(spec)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[2]
    ended = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], cwd=root, check=False)
    assert ended.returncode == -signal.SIGKILL
    (orphan,) = process.running_in(tmp_path)
    state = await supervisor.ensure(child(tmp_path))
    assert state.adopted
    assert state.pid == orphan.pid


async def test_a_child_with_another_plan_is_replaced(supervisor, tmp_path):
    first = await supervisor.ensure(child(tmp_path))
    second = await supervisor.ensure(child(tmp_path, env=(("COLOUR", "green"),)))
    assert second.pid != first.pid
    assert process.process_start(first.pid) is None


async def test_a_later_process_with_the_same_pid_is_not_taken_for_ours(supervisor, tmp_path):
    state = await supervisor.ensure(child(tmp_path))
    pid_file = tmp_path / "daemon.pid"
    written = json.loads(pid_file.read_text())
    pid_file.write_text(json.dumps({**written, "start": written["start"] - 1}))
    assert process.running_in(tmp_path) == ()
    await process.stop_process(process.recorded(pid_file))
    assert process.process_start(state.pid) is not None
    pid_file.write_text(json.dumps(written))


async def test_a_dead_child_is_started_again_while_it_is_wanted(supervisor, tmp_path):
    first = await supervisor.ensure(child(tmp_path))
    os.kill(first.pid, signal.SIGKILL)

    def restarted():
        (now,) = supervisor.states()
        return now if now.state == "running" and now.pid not in (None, first.pid) else None

    now = await until(restarted)
    assert now.restarts == 1
    assert now.last_exit == 128 + signal.SIGKILL


async def test_an_adopted_child_is_watched_as_well(supervisor, tmp_path):
    first = await supervisor.ensure(child(tmp_path))
    await supervisor.aclose()
    await supervisor.ensure(child(tmp_path))
    os.kill(first.pid, signal.SIGKILL)
    await until(lambda: supervisor.states()[0].restarts == 1 and supervisor.states()[0].state == "running")


async def test_stop_ends_it_and_it_stays_ended(supervisor, tmp_path):
    state = await supervisor.ensure(child(tmp_path))
    await supervisor.stop("daemon")
    assert process.process_start(state.pid) is None
    assert supervisor.states() == ()
    assert not (tmp_path / "daemon.pid").exists()


async def test_who_ignores_the_request_to_end_is_killed(supervisor, tmp_path):
    state = await supervisor.ensure(child(tmp_path, STUBBORN, cwd=tmp_path, ready=tmp_path / "ready"))
    await supervisor.stop("daemon", timeout_s=0.1)
    assert process.process_start(state.pid) is None


async def test_a_child_that_cannot_start_says_why(supervisor, tmp_path):
    with pytest.raises(ChildFailed, match="No such file"):
        await supervisor.ensure(child(tmp_path, ("/no/such/daemon",)))
    assert supervisor.states() == ()


async def test_a_child_that_ends_before_it_is_ready_says_why(supervisor, tmp_path):
    argv = (sys.executable, "-c", "raise SystemExit('the port is taken')")
    with pytest.raises(ChildFailed, match="the port is taken"):
        await supervisor.ensure(child(tmp_path, argv, ready=tmp_path / "never"))


async def test_ready_waits_for_a_socket_that_accepts(supervisor, tmp_path):
    path = tmp_path / "sock"
    argv = (
        sys.executable, "-c",
        f"import socket, time; s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); time.sleep(0.1); "
        "s.listen(); time.sleep(60)",
    )  # fmt: skip
    await supervisor.ensure(child(tmp_path, argv, ready=path))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


async def test_two_supervisors_at_once_start_one_child(supervisor, tmp_path):
    other = Supervisor()
    one, two = await asyncio.gather(supervisor.ensure(child(tmp_path)), other.ensure(child(tmp_path)))
    assert one.pid == two.pid
    assert sorted((one.adopted, two.adopted)) == [False, True]
    await other.aclose()


async def test_the_environment_of_the_cloud_does_not_leak_into_children(supervisor, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    state = await supervisor.ensure(child(tmp_path, env=(("COLOUR", "green"),)))
    environ = b""
    while not environ:  # none between the fork and the program
        await asyncio.sleep(0.005)
        environ = Path(f"/proc/{state.pid}/environ").read_bytes()
    assert b"COLOUR=green" in environ
    assert b"SECRET" not in environ


def orphan_maker(pid_file: Path) -> tuple[str, ...]:
    """A daemon whose child makes a grandchild and leaves it; the grandchild ends at once."""
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        time.sleep(0.3); os._exit(0)\n"
        f"    open({str(pid_file)!r}, 'w').write(str(pid)); os._exit(0)\n"
        "os.wait(); time.sleep(60)\n"
    )
    return (sys.executable, "-I", "-S", "-c", code)


async def test_a_subreaper_adopts_orphans_and_reaps_them_at_once(supervisor, tmp_path):
    pid_file = tmp_path / "grandchild"
    state = await supervisor.ensure(child(tmp_path, orphan_maker(pid_file), subreaper=True))
    grandchild = int(await until(lambda: pid_file.exists() and pid_file.read_text()))
    parents = {f"PPid:\t{state.pid}"}
    await until(lambda: parents & set(Path(f"/proc/{grandchild}/status").read_text().splitlines()))
    await until(lambda: not Path(f"/proc/{grandchild}").exists())


async def test_the_daemon_under_a_subreaper_ends_with_it(supervisor, tmp_path):
    state = await supervisor.ensure(child(tmp_path, subreaper=True))
    children = Path(f"/proc/{state.pid}/task/{state.pid}/children")
    daemon = int(await until(lambda: children.read_text().strip()))
    await supervisor.stop("daemon")
    await until(lambda: process.process_start(daemon) is None)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root")


@needs_root
async def test_private_mounts_are_seen_by_the_child_alone(supervisor, tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    code = f"import time; open({str(outside / 'mark')!r}, 'w'); time.sleep(60)"
    argv = (sys.executable, "-c", code)
    await supervisor.ensure(child(tmp_path, argv, private_mounts=((inside, outside),), ready=inside / "mark"))
    assert list(outside.iterdir()) == []


@needs_root
async def test_a_child_in_another_network_namespace_keeps_sys_and_its_cgroups(supervisor, tmp_path):
    held = subprocess.Popen(["unshare", "-n", "sleep", "60"])
    try:
        netns = Path(f"/proc/{held.pid}/ns/net")
        mine = os.readlink("/proc/self/ns/net")
        await until(lambda: os.readlink(netns) != mine)
        state = await supervisor.ensure(child(tmp_path, netns=str(netns)))
        await until(lambda: os.readlink(f"/proc/{state.pid}/ns/net") == os.readlink(netns))
        assert os.readlink(f"/proc/{state.pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    finally:
        held.kill()
        held.wait()


async def test_a_missing_network_namespace_is_named(supervisor, tmp_path):
    with pytest.raises(ChildFailed, match="no-such-namespace"):
        await supervisor.ensure(child(tmp_path, netns="no-such-namespace"))
