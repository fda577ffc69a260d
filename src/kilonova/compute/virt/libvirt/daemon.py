"""A libvirt daemon of our own, which nobody else on the machine sees and which sees nobody else's.

Its configuration, state, logs and sockets lie in the cloud's state directory and are bind-mounted over /etc/libvirt,
/var/lib/libvirt ... in a mount namespace of its own; it and its guests live in the dataplane's network namespace. So
nothing of the machine is touched and two clouds can stand side by side. The guests are its children, under a
subreaper: where PID 1 reaps slowly, each destroy would wait two seconds for a zombie. They outlive the daemon.
"""

from __future__ import annotations

import grp
import hashlib
import pwd
import shutil
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path

from kilonova.kernel.process import ChildSpec

NAME = "libvirtd"

QEMU_USER = "libvirt-qemu"
"""As Debian's packages make it."""

KVM = Path("/dev/kvm")

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
    """Where the daemon keeps what it has: `<state>/libvirt`, and the user that its guests run as."""

    root: Path
    user: str = "root"
    hide_kvm: bool = False
    """Let the daemon find no usable /dev/kvm. It looks for features of QEMU anew at each start of a guest, for ten
    seconds, when QEMU could open the device but the guests' user may not.
    """

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
        (self.root / "no-kvm").touch(mode=0)
        self.consoles.mkdir(exist_ok=True)
        shutil.chown(self.consoles, user=self.user)
        for name, text in self._files().items():
            (self.root / "etc" / name).write_text(text)

    def child(self, *, run_dir: Path, log_path: Path, netns: str | None) -> ChildSpec:
        """How the daemon is run. Its digest covers the configuration: a changed one restarts it."""
        mounts = [(self.root / folder, Path(target)) for folder, target in _MOUNTS]
        if self.hide_kvm and KVM.exists():
            mounts.append((self.root / "no-kvm", KVM))
        digest = hashlib.sha256(repr(self._files()).encode()).hexdigest()[:16]
        return ChildSpec(
            name=NAME,
            argv=("libvirtd", "--pid-file", "/run/libvirt/libvirtd.pid"),
            run_dir=run_dir,
            log_path=log_path,
            env=(("KILONOVA_CONFIGURATION", digest),),
            netns=netns,
            private_mounts=tuple(mounts),
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
                user=self.user,
                group=_group_of(self.user),
                dynamic_ownership=1,
                remember_owner=0,
                security_driver="none",
                stdio_handler="file",
                cgroup_controllers=[],  # no shares and quotas; the names of two clouds' groups would meet
                namespaces=[],
                max_core=0,
            ),
        }


def unprivileged_user(directory: Path, *, needs_kvm: bool) -> str | None:
    """A user without rights for guests to run as, if it exists and can get at what guests need."""
    try:
        user = pwd.getpwnam(QEMU_USER)
    except KeyError:
        return None
    if needs_kvm and not _may_use(KVM, user):
        return None
    ways = (directory, *directory.parents)
    return QEMU_USER if all(way.stat().st_mode & stat.S_IXOTH for way in ways) else None


def _may_use(device: Path, user: pwd.struct_passwd) -> bool:
    status = device.stat()
    group_may = status.st_gid == user.pw_gid and status.st_mode & 0o060 == 0o060
    return group_may or status.st_mode & 0o006 == 0o006


def _group_of(user: str) -> str:
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name


def _lines(**options: str | int | list[str]) -> str:
    def text(value: str | int | list[str]) -> str:
        if isinstance(value, list):
            return f"[ {', '.join(text(one) for one in value)} ]"
        return str(value) if isinstance(value, int) else f'"{value}"'

    return "".join(f"{name} = {text(value)}\n" for name, value in options.items())
