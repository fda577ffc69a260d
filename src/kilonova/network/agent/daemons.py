"""The daemons of one host as children to keep alive: what each is started with. Pure but for looking at files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kilonova.kernel.process import ChildSpec

OVS_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
OVN_SCHEMAS = Path("/usr/share/ovn")
LONGEST_SOCKET = 107

NAMES = ("ovsdb-server", "ovs-vswitchd", "ovn-northd", "ovn-controller")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the databases, sockets and logs of a host are."""

    base: Path

    @classmethod
    def under(cls, state_dir: Path) -> Paths:
        paths = cls(state_dir / "ovn")
        if len(str(paths.run / "ovs-vswitchd.4194304.ctl")) > LONGEST_SOCKET:
            raise ValueError(f"{paths.run} is too long for unix sockets: choose a shorter state directory")
        return paths

    @property
    def run(self) -> Path:
        return self.base / "run"

    @property
    def log(self) -> Path:
        return self.base / "log"

    @property
    def socket(self) -> Path:
        return self.base / "db.sock"

    @property
    def remote(self) -> str:
        return f"unix:{self.socket}"


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """A database that is served from a file, made from a schema."""

    file: Path
    schema: Path

    def version(self) -> str:
        """The version of the schema that is installed."""
        return str(json.loads(self.schema.read_text())["version"])


def databases(paths: Paths, *, central: bool) -> list[DatabaseFile]:
    """What the one ovsdb-server serves: Open vSwitch's, and with `central` OVN's two."""
    found = [DatabaseFile(paths.base / "ovs.db", OVS_SCHEMA)]
    if central:
        found += [DatabaseFile(paths.base / f"{one}.db", OVN_SCHEMAS / f"ovn-{one}.ovsschema") for one in ("nb", "sb")]
    return found


def ovsdb_server(paths: Paths, netns: str, *, central: bool) -> ChildSpec:
    files = (str(one.file) for one in databases(paths, central=central))
    argv = ("ovsdb-server", f"--remote=punix:{paths.socket}", *_talk(paths, "ovsdb-server"), *files)
    return _child("ovsdb-server", argv, paths, netns, ready=paths.socket)


def vswitchd(paths: Paths, netns: str, *, kernel: bool) -> ChildSpec:
    flags = () if kernel else ("--disable-system",)
    argv = ("ovs-vswitchd", paths.remote, *flags, *_talk(paths, "ovs-vswitchd"))
    return _child("ovs-vswitchd", argv, paths, netns, ready=paths.run / "ovs-vswitchd.ctl")


def northd(paths: Paths, netns: str) -> ChildSpec:
    databases = (f"--ovnnb-db={paths.remote}", f"--ovnsb-db={paths.remote}")
    return _child("ovn-northd", ("ovn-northd", *databases, *_talk(paths, "ovn-northd")), paths, netns)


def controller(paths: Paths, netns: str) -> ChildSpec:
    """It has no --unixctl in 23.03: its control socket has its pid in the name."""
    return _child("ovn-controller", ("ovn-controller", paths.remote, *QUIET), paths, netns)


QUIET = ("-vsyslog:off", "-vfile:off", "-vconsole:info")
"""Their standard error is the log."""


def _talk(paths: Paths, name: str) -> tuple[str, ...]:
    return (f"--unixctl={paths.run / name}.ctl", *QUIET)


def _child(name: str, argv: tuple[str, ...], paths: Paths, netns: str, ready: Path | None = None) -> ChildSpec:
    env = tuple((f"{system}_{what}DIR", str(paths.run)) for system in ("OVS", "OVN") for what in ("RUN", "LOG", "DB"))
    return ChildSpec(
        name=name,
        argv=argv,
        run_dir=paths.run,
        log_path=paths.log / f"{name}.log",
        env=env,
        netns=netns or None,
        ready=ready,
    )
