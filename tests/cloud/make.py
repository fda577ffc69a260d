"""A cloud of this source tree in a process of its own, the people who use it, and the clients they use."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import httpx

HOST = "compute1"
SERVICES = ("identity", "compute", "image", "network", "placement")

# Starting the client costs more than what it does: one process runs all commands and answers a JSON line for each.
# The client keeps its connection to each service, with its user and version, as long as its process: forgotten here.
_COMMANDS = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from openstackclient.common.clientmanager import ClientManager
from openstackclient.shell import OpenStackShell
for line in open(int(sys.argv[1])):
    words = json.loads(line)
    for kept in [kept for base in ClientManager.__mro__ for kept in vars(base).values()]:
        if hasattr(kept, "_handle"):
            kept._handle = None
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = OpenStackShell().run(words)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


class CommandFailed(AssertionError):
    """The client ended with an error; its text is what the user reads."""


@dataclass
class StockClient:
    """The client's process; its paths are relative to ``folder``."""

    folder: Path
    process: subprocess.Popen[str]
    commands: TextIO

    def run(self, cloud: str, line: str) -> str:
        """What ``openstack LINE`` prints. Raises CommandFailed."""
        assert self.process.stdout is not None
        self.commands.write(json.dumps(["--os-cloud", cloud, *shlex.split(line)]) + "\n")
        self.commands.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise CommandFailed(f"openstack {line}: the client died")
        code, out, err = json.loads(answer)
        if code:
            raise CommandFailed(f"openstack {line}: {err.strip()[-2000:]}")
        return str(out)


@dataclass(frozen=True)
class Openstack:
    """``openstack``, unchanged, as one of the clouds of a clouds.yaml."""

    client: StockClient
    cloud: str

    def __call__(self, line: str) -> str:
        return self.client.run(self.cloud, line)

    def fields(self, line: str) -> dict[str, Any]:
        """The fields of a show or create command."""
        found = json.loads(self(line + " -f json"))
        assert isinstance(found, dict), found
        return found

    def rows(self, line: str) -> list[dict[str, Any]]:
        """The rows of a list command."""
        found = json.loads(self(line + " -f json"))
        assert isinstance(found, list), found
        return found

    def refused(self, line: str) -> str:
        """What the user reads about a command that must fail."""
        try:
            self(line)
        except CommandFailed as failure:
            return str(failure)
        raise AssertionError(f"openstack {line} succeeded")


@contextmanager
def stock_client(folder: Path, home: Path) -> Iterator[StockClient]:
    """``folder``: where its relative paths are; ``home``: the configuration folder with ``openstack/clouds.yaml``."""
    environment = {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONWARNINGS": "ignore",
        "COLUMNS": "400",
    }
    terminal, stdin = os.openpty()  # with another stdin, some commands would take it for the data to upload
    reading, writing = os.pipe()
    with (
        open(writing, "w") as commands,
        subprocess.Popen(
            [sys.executable, "-c", _COMMANDS, str(reading)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment,
            pass_fds=(reading,),
        ) as process,
    ):
        os.close(reading)
        yield StockClient(folder, process, commands)
        commands.close()
        process.wait(20)
    os.close(stdin)
    os.close(terminal)


@dataclass(frozen=True)
class Who:
    """One who calls: a token of the cloud's, or none."""

    name: str
    token: str | None
    project_id: str = ""
    user_id: str = ""


@dataclass
class RunningCloud:
    """A cloud that answers; ``url`` without a path. ``http`` keeps its connections open."""

    url: str
    state: Path
    home: Path
    http: httpx.Client
    people: dict[str, Who] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        who: Who | str | None = "admin",
        *,
        version: str | None = None,
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> httpx.Response:
        """One request. ``path`` starts with the service; ``version``: compute's or placement's microversion."""
        person = self.people[who] if isinstance(who, str) else who
        sent = dict(headers or {})
        if person is not None and person.token is not None:
            sent["X-Auth-Token"] = person.token
        if version is not None:
            sent["OpenStack-API-Version"] = f"{path.lstrip('/').split('/')[0]} {version}"
        return self.http.request(method, self.url + path, headers=sent, **request)

    def get(self, path: str, who: Who | str | None = "admin", **more: Any) -> Any:
        """The body of a GET that must succeed."""
        reply = self.call("GET", path, who, **more)
        assert reply.status_code == 200, f"GET {path}: {reply.status_code} {reply.text[:500]}"
        return reply.json()

    def made(self, path: str, body: Any, who: Who | str | None = "admin", **more: Any) -> Any:
        """The body of a POST that must succeed."""
        reply = self.call("POST", path, who, json=body, **more)
        assert reply.status_code < 300, f"POST {path}: {reply.status_code} {reply.text[:500]}"
        return reply.json()

    def log_in(self, user: str, password: str, project: str | None, **more: Any) -> httpx.Response:
        """The answer to a log-in by password, in the default domain."""
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": {"id": "default"}, "password": password}},
        }
        auth: dict[str, Any] = {"identity": identity, **more}
        if project is not None:
            auth["scope"] = {"project": {"name": project, "domain": {"id": "default"}}}
        return self.call("POST", "/identity/v3/auth/tokens", None, json={"auth": auth})

    def person(self, name: str, user: str, password: str, project: str) -> Who:
        """Log in and be known as ``name``."""
        reply = self.log_in(user, password, project)
        assert reply.status_code == 201, reply.text
        token = reply.json()["token"]
        who = Who(name, reply.headers["X-Subject-Token"], token["project"]["id"], token["user"]["id"])
        self.people[name] = who
        return who

    def kilonova(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``kilonova WORDS`` about this cloud."""
        return kilonova(self.state, self.home, *words)

    def settled(self, server_id: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """The server, by the administrator, when nothing is being done to it any more."""
        end = time.monotonic() + timeout_s
        while True:
            server: dict[str, Any] = self.get(f"/compute/v2.1/servers/{server_id}", version="2.90")["server"]
            if server["OS-EXT-STS:task_state"] is None and server["status"] != "BUILD":
                return server
            assert time.monotonic() < end, f"still {server['status']}, {server['OS-EXT-STS:task_state']}"
            time.sleep(0.05)  # another process works: nothing here could turn its clock

    def gone(self, path: str, timeout_s: float = 20.0) -> None:
        """Wait until what is at ``path`` is there no more."""
        end = time.monotonic() + timeout_s
        while self.call("GET", path).status_code != 404:
            assert time.monotonic() < end, f"{path} is still there"
            time.sleep(0.05)


def kilonova(state: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the product's own command."""
    return subprocess.run(
        [sys.executable, "-m", "kilonova.cli", "--state-dir", str(state), *words],
        env={**os.environ, "XDG_CONFIG_HOME": str(home), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def running_cloud(root: Path) -> Iterator[RunningCloud]:
    """Start a cloud with simulated guests under ``root`` on a free port; end it by its pid."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    state, home = root / "state", root / "home"
    options = {
        "compute.hypervisor": "fake",
        "DEFAULT.api_port": port,
        "DEFAULT.host": HOST,
        "DEFAULT.sqlite_synchronous": "false",
    }
    words = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
    began = kilonova(state, home, *words, "up", "--detach")
    assert began.returncode == 0, began.stderr + began.stdout
    pid = int((state / "kilonova.pid").read_text())
    try:
        with httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=4)) as http:
            yield RunningCloud(f"http://127.0.0.1:{port}", state, home, http)
    finally:
        _end(pid)


def _end(pid: int) -> None:
    end = time.monotonic() + 20
    os.kill(pid, signal.SIGTERM)
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
