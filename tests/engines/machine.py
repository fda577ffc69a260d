"""RabbitMQ, PostgreSQL and MariaDB from Debian's packages, each on a port of its own under a folder of its own.

Nothing of the system is used or touched: no service is started, no file outside the given folder is written. Each
engine is a child process in the foreground, run as the user its package made when we are root (PostgreSQL refuses
root), and stopped by its own process id. Durability is off where an engine lets us: what dies with the run is only the
run's own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STARTS_WITHIN_S, STOPS_WITHIN_S = 120, 30


class CannotStart(Exception):
    """Why an engine cannot run here: its package is missing, or what it said before it died."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine: the address to give to Kilonova and its process, to be killed and started again by tests."""

    name: str
    url: str
    port: int
    process: subprocess.Popen[bytes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(*candidates: str) -> str:
    for candidate in candidates:
        if "*" in candidate:
            found = sorted(Path("/").glob(candidate.lstrip("/")))
            if found:
                return str(found[-1])
        elif path := shutil.which(candidate, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            return path
    raise CannotStart(f"{candidates[0]} is not installed here (scripts/install-deps engines)")


def _user(name: str) -> str | None:
    """The user to run as: the package's when we are root, else ourselves."""
    if os.getuid() != 0:
        return None
    try:
        pwd.getpwnam(name)
    except KeyError:
        raise CannotStart(f"there is no user {name} here (scripts/install-deps engines)") from None
    return name


def _own(folder: Path, user: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if user is not None:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)


def _identity(user: str | None) -> dict[str, object]:
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _once(command: list[str], folder: Path, user: str | None, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN_S,
        **_identity(user),  # type: ignore[call-overload]
    )
    if done.returncode != 0:
        raise CannotStart(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-800:]}")


@contextmanager
def _child(
    name: str, command: list[str], folder: Path, user: str | None, environment: dict[str, str], stop: signal.Signals
) -> Iterator[subprocess.Popen[bytes]]:
    log = folder / f"{name}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True, **_identity(user),  # type: ignore[call-overload]
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(stop)
            try:
                process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOPS_WITHIN_S)


def _wait(what: str, process: subprocess.Popen[bytes], answers: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        if answers():
            return
        time.sleep(0.1)
    said = log.read_text(errors="replace")[-1500:] if log.exists() else ""
    raise CannotStart(f"{what} does not answer (exit status {process.poll()}): {said}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _environment(folder: Path) -> dict[str, str]:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "TMPDIR": str(folder)}


@contextmanager
def postgresql(folder: Path, port: int | None = None) -> Iterator[Engine]:
    """A cluster without durability; ``url`` names its empty database ``postgres``."""
    user, port = _user("postgres"), port or free_port()
    initdb = _program("/usr/lib/postgresql/*/bin/initdb", "initdb")
    server = str(Path(initdb).with_name("postgres"))
    _own(folder, user)
    data, environment = folder / "data", _environment(folder)
    if not data.exists():
        command = [
            initdb,
            "-D",
            str(data),
            "-U",
            "kilonova",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        _once(command, folder, user, environment)
    options = {
        "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off",
        "max_connections": "200", "shared_buffers": "64MB", "unix_socket_directories": str(folder),
        "listen_addresses": "127.0.0.1", "max_wal_size": "256MB",
    }  # fmt: skip
    settings = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
    command = [server, "-D", str(data), "-p", str(port), *settings]
    with _child("postgresql", command, folder, user, environment, signal.SIGINT) as process:
        ready = [str(Path(initdb).with_name("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(port)]
        _wait(
            "PostgreSQL", process, lambda: subprocess.run(ready, timeout=10).returncode == 0, folder / "postgresql.log"
        )
        yield Engine("postgresql", f"postgresql+asyncpg://kilonova@127.0.0.1:{port}/postgres", port, process)


@contextmanager
def mariadb(folder: Path, port: int | None = None) -> Iterator[Engine]:
    """A server without durability; ``url`` names the database ``kilonova``, the user may make others."""
    user, port = _user("mysql"), port or free_port()
    install, server = _program("mariadb-install-db"), _program("mariadbd")
    _own(folder, user)
    data, environment = folder / "data", _environment(folder)
    if not data.exists():
        command = [
            install,
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        _once(command, folder, user, environment)
    first = folder / "first.sql"
    first.write_text(
        "CREATE DATABASE IF NOT EXISTS kilonova CHARACTER SET utf8mb4;\n"
        "CREATE USER IF NOT EXISTS 'kilonova'@'%' IDENTIFIED BY 'kilonova';\n"
        "GRANT ALL ON *.* TO 'kilonova'@'%' WITH GRANT OPTION;\n"
        "CREATE USER IF NOT EXISTS 'kilonova'@'localhost' IDENTIFIED BY 'kilonova';\n"
        "GRANT ALL ON *.* TO 'kilonova'@'localhost' WITH GRANT OPTION;\n"
    )
    command = [
        server, "--no-defaults", f"--datadir={data}", f"--port={port}", f"--socket={folder / 'sock'}",
        "--bind-address=127.0.0.1", f"--pid-file={folder / 'pid'}", f"--init-file={first}", f"--tmpdir={folder}",
        "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync",
        "--innodb-buffer-pool-size=128M", "--innodb-log-file-size=64M", "--max-connections=300", "--skip-name-resolve",
        "--skip-log-bin", "--table-open-cache=4000", "--innodb-file-per-table=0",
    ]  # fmt: skip
    with _child("mariadb", command, folder, user, environment, signal.SIGTERM) as process:
        _wait("MariaDB", process, lambda: _listens(port), folder / "mariadb.log")
        url = f"mysql+asyncmy://kilonova:kilonova@127.0.0.1:{port}/kilonova?charset=utf8mb4"
        yield Engine("mariadb", url, port, process)


@contextmanager
def rabbitmq(folder: Path, port: int | None = None) -> Iterator[Engine]:
    """One node, reachable on loopback only, with a port mapper of its own so that no daemon is left behind."""
    user, port, distribution, mapper = _user("rabbitmq"), port or free_port(), free_port(), free_port()
    server, epmd = _program("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server"), _program("epmd")
    _own(folder, user)
    (folder / "enabled_plugins").write_text("[].\n")
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\n"
        "default_user = kilonova\ndefault_pass = kilonova\n"
        "log.console = true\nlog.console.level = info\nlog.file = false\n"
        "vm_memory_high_watermark.absolute = 512MiB\ndisk_free_limit.absolute = 50MB\n"
    )
    environment = {
        **_environment(folder),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"kilonova-{port}@localhost",
        "RABBITMQ_BASE": str(folder),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "config"),
        "RABBITMQ_DIST_PORT": str(distribution),
        # Idle schedulers sleep instead of spinning: these machines are small and shared.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none "
        "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    with (
        _child(
            "epmd", [epmd, "-port", str(mapper), "-address", "127.0.0.1"], folder, user, environment, signal.SIGTERM
        ),
        _child("rabbitmq", [server], folder, user, environment, signal.SIGTERM) as process,
    ):
        _wait("RabbitMQ", process, lambda: _listens(port), folder / "rabbitmq.log")
        yield Engine("rabbitmq", f"amqp://kilonova:kilonova@127.0.0.1:{port}/", port, process)


START = {"postgresql": postgresql, "mariadb": mariadb, "rabbitmq": rabbitmq}
