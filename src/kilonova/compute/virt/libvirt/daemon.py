"""A libvirt daemon of our own, which nobody else on the machine sees and which sees nobody else's.

Its configuration, state, logs and sockets lie in the cloud's state directory and are bind-mounted over /etc/libvirt,
/var/lib/libvirt ... in a mount namespace of its own; it and its guests live in the dataplane's network namespace. So
nothing of the machine is touched and two clouds can stand side by side. The guests are its children, under a
subreaper: where PID 1 reaps slowly, each destroy would wait two seconds for a zombie. They outlive the daemon.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

from kilonova.kernel.process import ChildSpec

NAME = "libvirtd"

_MOUNTS = (
    ("etc", "/etc/libvirt"),
    ("lib", "/var/lib/libvirt"),
    ("run", "/run/libvirt"),
    ("log", "/var/log/libvirt"),
    ("cache", "/var/cache/libvirt"),
)

CONSOLES_INSIDE = "/run/libvirt/consoles"
"""Where guests put their console sockets, as QEMU names it: short, as socket names must be."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the daemon keeps what it has: `<state>/libvirt`."""

    root: Path

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def socket(self) -> Path:
        return self.run / "libvirt-sock"

    @property
    def consoles(self) -> Path:
        """CONSOLES_INSIDE, as it is named outside."""
        return self.run / "consoles"

    def log_of(self, name: str) -> Path:
        """What QEMU said while it ran the guest of that name."""
        return self.root / "log" / "qemu" / f"{name}.log"

    def prepare(self) -> None:
        """Make the folders and write the configuration."""
        for folder, _ in _MOUNTS:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711)
        for folder in ("etc/qemu", "etc/secrets", "lib/qemu", "run/qemu", "log/qemu", "cache/qemu"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.consoles.mkdir(exist_ok=True)
        for name, text in self._files().items():
            (self.root / "etc" / name).write_text(text)

    def child(self, *, run_dir: Path, log_path: Path, netns: str | None) -> ChildSpec:
        """How the daemon is run. Its digest covers the configuration: a changed one restarts it."""
        digest = hashlib.sha256(repr(self._files()).encode()).hexdigest()[:16]
        return ChildSpec(
            name=NAME,
            argv=("libvirtd", "--pid-file", "/run/libvirt/libvirtd.pid"),
            run_dir=run_dir,
            log_path=log_path,
            env=(("KILONOVA_CONFIGURATION", digest),),
            netns=netns,
            private_mounts=tuple((self.root / folder, Path(target)) for folder, target in _MOUNTS),
            subreaper=True,
            ready=self.socket,
        )

    def _files(self) -> dict[str, str]:
        return {
            "libvirtd.conf": _lines(
                host_uuid=str(uuid.uuid5(uuid.NAMESPACE_URL, f"file://{self.root}")),
                listen_tls=0,
                listen_tcp=0,
                auth_unix_rw="none",
                unix_sock_rw_perms="0700",
                max_clients=100,
                max_workers=40,
                max_client_requests=40,
                log_outputs="3:stderr",
            ),
            "qemu.conf": _lines(
                user="root",
                group="root",
                dynamic_ownership=0,
                remember_owner=0,
                security_driver="none",
                stdio_handler="file",
                cgroup_controllers=[],  # no shares and quotas; the names of two clouds' groups would meet
                namespaces=[],
                max_core=0,
            ),
        }


def _lines(**options: str | int | list[str]) -> str:
    def text(value: str | int | list[str]) -> str:
        if isinstance(value, list):
            return f"[ {', '.join(text(one) for one in value)} ]"
        return str(value) if isinstance(value, int) else f'"{value}"'

    return "".join(f"{name} = {text(value)}\n" for name, value in options.items())
