"""The disk: a partition table, a boot partition and an ext4 root, made without mounting.

sector 0     syslinux's boot code and the partition table (GRUB's own costs seconds of each boot under TCG)
1 MiB        partition 1, FAT: syslinux (BIOS), shim and signed GRUB (UEFI, Secure Boot too), one kernel and
             initramfs for both
behind it    partition 2, ext4, which the guest grows to the end of its disk
"""

import os
import shutil
import struct
import uuid
from pathlib import Path

from kilonova.guest_image.guest_tree import FILES, Guest, write
from kilonova.guest_image.host_tools import run

MIB = 1 << 20
SECTORS_PER_MIB = 2048
SHIM = "usr/lib/shim/shimx64.efi.signed"
GRUB = "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
ROOT_FREE_MIB = 16


def make_boot_partition(guest: Guest, tree: Path, kernel: Path, initramfs: Path, out: Path) -> int:
    """Write the FAT partition to `out`; returns its size in MiB."""
    needed_bytes = sum(file.stat().st_size for file in (kernel, initramfs, tree / SHIM, tree / GRUB))
    size_mib = max(20, needed_bytes // MIB + 3)
    with out.open("wb") as image:
        image.truncate(size_mib * MIB)
    run(
        [
            "mformat",
            "-i",
            out,
            "-v",
            "ESP",
            "-N",
            "4B494C4F",
            "-c",
            "8",
            "-T",
            str(size_mib * SECTORS_PER_MIB),
            "-h",
            "16",
            "-s",
            "63",
            "::",
        ]
    )
    run(["mmd", "-i", out, "::/EFI", "::/EFI/BOOT", "::/EFI/debian"])
    for name in ("grub.cfg", "syslinux.cfg"):
        write(out.parent / name, guest.fill(FILES.joinpath("boot", name).read_text()))
    for source, destination in (
        (kernel, "/vmlinuz"),
        (initramfs, "/initrd.img"),
        (out.parent / "grub.cfg", "/EFI/debian/grub.cfg"),
        (out.parent / "syslinux.cfg", "/syslinux.cfg"),
        (tree / SHIM, "/EFI/BOOT/BOOTX64.EFI"),
        (tree / GRUB, "/EFI/BOOT/grubx64.efi"),
    ):
        run(["mcopy", "-i", out, source, f"::{destination}"])
    return size_mib


def make_root_partition(guest: Guest, root: Path, out: Path) -> int:
    """Write the ext4 file system of the folder `root` to `out`; returns its size in MiB."""
    files = (path for path in root.rglob("*") if not path.is_symlink())
    used_bytes = sum(-(-path.lstat().st_size // 4096) * 4096 for path in files)
    size_mib = used_bytes // MIB + ROOT_FREE_MIB
    same = str(uuid.uuid5(uuid.NAMESPACE_DNS, guest.label))
    run(
        [
            "mke2fs",
            "-q",
            "-t",
            "ext4",
            "-L",
            guest.label,
            "-U",
            same,
            "-b",
            "4096",
            "-J",
            "size=4",
            "-m",
            "0",
            "-N",
            "4096",
            "-O",
            "^metadata_csum_seed",
            "-E",
            f"root_owner=0:0,lazy_itable_init=0,resize=16777216,hash_seed={same}",
            "-d",
            root,
            out,
            f"{size_mib}M",
        ]
    )
    # An ordinary user may have built these files; in the guest they are root's.
    owners = []
    if os.getuid() != 0:
        owners = [
            f"sif /{path.relative_to(root)} {field} 0" for path in sorted(root.rglob("*")) for field in ("uid", "gid")
        ]
    owners += [f"sif /home/{guest.user} {field} 1000" for field in ("uid", "gid")]
    run(["debugfs", "-w", "-f", "-", out], stdin="\n".join(owners).encode())
    return size_mib


def join(tree: Path, boot: Path, boot_mib: int, root: Path, root_mib: int, out: Path) -> int:
    """Write the whole raw disk to `out`; returns its size in MiB."""
    first, second = SECTORS_PER_MIB, SECTORS_PER_MIB * (1 + boot_mib)
    code = (tree / "usr/lib/syslinux/mbr/mbr.bin").read_bytes()[:440].ljust(440, b"\0")
    table = partition(0x80, 0xEF, first, boot_mib) + partition(0, 0x83, second, root_mib) + bytes(32)
    size_mib = 1 + boot_mib + root_mib
    with out.open("wb") as disk:
        disk.write(code + b"KILO" + b"\0\0" + table + b"\x55\xaa")
        for image, at_mib in ((boot, 1), (root, 1 + boot_mib)):
            disk.seek(at_mib * MIB)
            with image.open("rb") as content:
                shutil.copyfileobj(content, disk, MIB)
        disk.truncate(size_mib * MIB)
    run([tree / "usr/bin/syslinux", "--install", "-t", str(MIB), out])
    return size_mib


def partition(active: int, kind: int, first_sector: int, size_mib: int) -> bytes:
    """One entry of the partition table; cylinders and heads say "look at the sectors"."""
    return struct.pack(
        "<B3sB3sII", active, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", first_sector, size_mib * SECTORS_PER_MIB
    )
