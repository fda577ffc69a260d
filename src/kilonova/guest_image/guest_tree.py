"""What is inside the guest: its root file system and its initramfs, as folders on the host.

The texts live in files/root and files/initramfs as they will lie in the guest; @WORD@ is filled in here.
"""

import os
import re
import shutil
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kilonova.guest_image.host_tools import CannotBuild, run

FILES = Path(__file__).parent / "files"

MODULES = [
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_scsi",
    "virtio_console",
    "virtio_balloon",
    "virtio_rng",
    "sd_mod",
    "sr_mod",
    "ata_piix",
    "ahci",
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_iso8859-1",
    "nls_utf8",
    "button",
    "evdev",
    "8021q",
    "overlay",
    "virtiofs",
    "e1000",
    "e1000e",
    "8139cp",
    "i6300esb",
    "iTCO_wdt",
    "uhci_hcd",
    "ehci_pci",
    "xhci_pci",
    "usb_storage",
    "usbhid",
    "hid_generic",
    "tpm_tis",
    "tpm_crb",
    "dm_crypt",
    "mac_hid",
    "af_packet",
    "squashfs",
    "loop",
]
NOT_LOADED_AT_BOOT = ("virtiofs", "overlay", "dm_crypt", "squashfs", "loop", "8021q")
EARLY_MODULES = ("virtio_pci", "virtio_blk")  # loaded at once
BOOT_MODULES = ("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ata_piix", "ahci", "ext4", "virtio_mmio")

FOLDERS = [
    "bin",
    "sbin",
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "root",
    "mnt",
    "home",
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "etc/dropbear",
    "var/lib",
    "var/log",
    "lib",
    "lib64",
]
PROGRAMS = ("/usr/sbin/dropbear", "/usr/bin/dropbearkey", "/sbin/resize2fs", "/usr/sbin/qemu-ga")
LIBRARY_FOLDERS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
LOADER = "lib64/ld-linux-x86-64.so.2"


@dataclass(frozen=True, slots=True)
class Guest:
    """The words that fill the guest's texts."""

    name: str = "kilo"
    user: str = "kilo"
    password: str = "kilonova"  # for the console; SSH takes keys only
    # Measured under TCG: each of these saves boot time; none changes what a guest can do.
    cmdline: str = (
        "quiet mitigations=off init_on_alloc=0 nokaslr audit=0 apparmor=0 cryptomgr.notests"
        " random.trust_cpu=on rcupdate.rcu_expedited=1 8250.nr_uarts=1 no_timer_check"
    )

    @property
    def label(self) -> str:
        """Label of the root file system, by which the guest finds it."""
        return f"{self.name}-rootfs"

    def fill(self, text: str) -> str:
        words = {
            "NAME": self.name,
            "USER": self.user,
            "PASSWORD": self.password,
            "LABEL": self.label,
            "CMDLINE": self.cmdline,
            "EARLY_MODULES": " ".join(EARLY_MODULES),
            "BOOT_MODULES": " ".join(BOOT_MODULES),
        }
        return re.sub(r"@([A-Z_]+)@", lambda word: words[word[1]], text)


def write(path: Path, data: str | bytes, mode: int = 0o644) -> None:
    """Write one file of the guest, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    path.chmod(mode)


def make_root(guest: Guest, tree: Path, root: Path, kernel_version: str) -> None:
    """Fill `root` with the guest's root file system, out of the unpacked packages in `tree`."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    put_modules(tree, root, kernel_version, MODULES)
    busybox = tree / "bin/busybox"
    write(root / "bin/busybox", busybox.read_bytes(), 0o755)
    for applet in run([busybox, "--list-full"]).decode().split():
        link = root / applet
        link.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(link):
            link.symlink_to("/bin/busybox")
    shutil.copy(tree / LOADER, root / "lib64/")
    for program in PROGRAMS:
        put_program(tree, root, program)
    for source in sorted(FILES.joinpath("root").rglob("*")):
        if source.is_file():
            text = guest.fill(source.read_text())
            destination = root / source.relative_to(FILES / "root")
            destination.unlink(missing_ok=True)  # may be a busybox link
            write(destination, text, 0o755 if text.startswith("#!") else 0o644)
    write(root / "etc/late-modules", "\n".join(m for m in MODULES if m not in NOT_LOADED_AT_BOOT) + "\n")
    # A fixed salt gives nothing away: the console's password is public.
    hashed = run([busybox, "mkpasswd", "-m", "sha512", "-S", "kilonovakilonova", guest.password])
    write(
        root / "etc/shadow",
        f"root:*:19700:0:99999:7:::\n{guest.user}:{hashed.decode().strip()}:19700:0:99999:7:::\n",
        0o600,
    )
    write(root / "usr/bin/sudo", sudo_program(), 0o4755)
    (root / "home" / guest.user).mkdir()


def make_initramfs(guest: Guest, tree: Path, folder: Path, kernel_version: str) -> None:
    """Fill `folder` with the initramfs: busybox, the modules a root disk may need, and /init."""
    put_modules(tree, folder, kernel_version, BOOT_MODULES)
    write(folder / "bin/busybox", (tree / "bin/busybox").read_bytes(), 0o755)
    write(folder / "init", guest.fill(FILES.joinpath("initramfs/init").read_text()), 0o755)


def put_modules(tree: Path, destination: Path, kernel_version: str, names: Iterable[str]) -> None:
    """Copy kernel modules with all they depend on. Stripped ones lose their signature and fail Secure Boot."""
    source, target = (folder / "lib/modules" / kernel_version for folder in (tree, destination))
    needs: dict[str, list[str]] = {}
    for line in (source / "modules.dep").read_text().splitlines():
        file, _, others = line.partition(":")
        needs[_module_name(file)] = [file, *others.split()]
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        for file in needs.get(name.replace("-", "_"), ()):  # absent: built in, or not in the cloud kernel
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / file, target / file)
    for file in ("modules.order", "modules.builtin"):
        shutil.copy(source / file, target)
    run(["depmod", "-b", destination, kernel_version])
    for index in target.glob("modules.*"):
        if index.name not in ("modules.dep", "modules.alias"):
            index.unlink()


def _module_name(file: str) -> str:
    return re.sub(r"\.ko.*", "", os.path.basename(file)).replace("-", "_")


def put_program(tree: Path, root: Path, program: str) -> None:
    """Copy a program and the libraries that the packages' own loader says it wants."""
    source, destination = tree / program.lstrip("/"), root / program.lstrip("/")
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.unlink(missing_ok=True)
    shutil.copy(source, destination)
    destination.chmod(0o755)
    where = ":".join(str(tree / folder) for folder in LIBRARY_FOLDERS)
    listed = run([tree / LOADER, "--inhibit-cache", "--library-path", where, "--list", source])
    for line in listed.decode().splitlines():
        name, arrow, found = line.strip().partition(" => ")
        if not arrow:
            continue
        library = Path(found.split(" (")[0])
        if not library.is_relative_to(tree):
            raise CannotBuild(f"No package in packages.py has {name}, which {program} wants")
        if not (root / "lib" / name).exists() and not name.startswith("ld-linux"):
            shutil.copy(library.resolve(), root / "lib" / name)


def sudo_program() -> bytes:
    """A static setuid program of some 170 bytes: become root, run /sbin/sudo-run with the same arguments.

    Whoever can log in to this guest is its owner, so it asks for nothing; a real sudo would double the image.
    """
    path = b"/sbin/sudo-run\0"
    before = bytes.fromhex(
        "31ff31f631d2"
        "b877000000"
        "0f05"
        "b875000000"
        "0f05"  # setresgid, setresuid (0, 0, 0)
        "488b0c24"
        "488d742408"
        "488d54ce08"
    )  # argc; rsi = argv; rdx = envp
    after = bytes.fromhex("b83b0000000f05bf7f000000b83c0000000f05")  # execve; exit(127)
    body = before + b"\x48\x8d\x3d" + struct.pack("<i", len(after)) + after + path  # lea rdi, [rip + path]
    base, header = 0x400000, 120
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    elf = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + header, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, header + len(body), header + len(body), 4096)
    return identity + elf + segment + body
