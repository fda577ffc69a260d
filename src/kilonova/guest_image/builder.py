"""The order of work: packages, trees, partitions, disk, qcow2. Everything happens in one temporary folder."""

import gzip
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kilonova.guest_image import cpio, disk, host_tools, packages
from kilonova.guest_image.guest_tree import Guest, make_initramfs, make_root
from kilonova.guest_image.host_tools import run


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """What `build` made. `kernel` and `initramfs` allow a direct kernel boot, the fastest start of all."""

    path: Path
    kernel: Path
    initramfs: Path
    kernel_version: str
    cmdline: str
    size_bytes: int
    virtual_bytes: int
    user: str
    console_password: str


def build(out: Path, cache: Path, progress: Callable[[str], None]) -> BuiltImage:
    """Make the guest image at `out` (qcow2), its kernel and initramfs beside it as OUT.vmlinuz and OUT.initrd.

    `cache` keeps the downloaded packages; `progress` gets one line at each step. Blocking; takes 5 to 20 s.
    `out` appears whole or not at all. Raises CannotBuild, whose message names the remedy.
    """
    host_tools.check()
    guest = Guest()
    kernel_package = packages.newest_kernel()
    kernel_version = kernel_package.removeprefix("linux-image-")
    progress("Looking up Debian packages")
    debs = packages.fetch(
        [kernel_package, *packages.USERLAND, *packages.BOOT, *packages.AGENT], cache.absolute(), progress
    )
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = os.environ.get("TMPDIR", "/var/tmp")
    with tempfile.TemporaryDirectory(prefix="guest-image-", dir=scratch) as folder:
        work = Path(folder)
        tree, root, early = work / "tree", work / "root", work / "initramfs"
        for each in (tree, root, early):
            each.mkdir(mode=0o755)
        progress("Unpacking packages")
        packages.unpack(debs, tree)
        run(["depmod", "-b", tree, kernel_version])
        progress(f"Making the root file system (kernel {kernel_version})")
        make_root(guest, tree, root, kernel_version)
        make_initramfs(guest, tree, early, kernel_version)
        kernel, initramfs = tree / f"boot/vmlinuz-{kernel_version}", work / "initrd.img"
        initramfs.write_bytes(gzip.compress(cpio.pack(early), 9, mtime=0))
        progress("Making the disk")
        boot_mib = disk.make_boot_partition(guest, tree, kernel, initramfs, work / "boot.img")
        root_mib = disk.make_root_partition(guest, root, work / "root.img")
        size_mib = disk.join(tree, work / "boot.img", boot_mib, work / "root.img", root_mib, work / "disk.raw")
        progress("Compressing")
        run(
            [
                "qemu-img",
                "convert",
                "-f",
                "raw",
                "-O",
                "qcow2",
                "-c",
                "-o",
                "compression_type=zlib",
                work / "disk.raw",
                work / "disk.qcow2",
            ]
        )
        stem = out.with_suffix("") if out.suffix == ".qcow2" else out
        built = BuiltImage(
            path=out,
            kernel=Path(f"{stem}.vmlinuz"),
            initramfs=Path(f"{stem}.initrd"),
            kernel_version=kernel_version,
            cmdline=guest.cmdline,
            size_bytes=(work / "disk.qcow2").stat().st_size,
            virtual_bytes=size_mib * disk.MIB,
            user=guest.user,
            console_password=guest.password,
        )
        for made, place in ((kernel, built.kernel), (initramfs, built.initramfs), (work / "disk.qcow2", built.path)):
            _put_in_place(made, place)
    return built


def _put_in_place(made: Path, place: Path) -> None:
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        shutil.copyfile(made, beside)
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
