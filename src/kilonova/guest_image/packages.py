"""Debian packages: which ones the guest is made of, a verified cache of them, and unpacking.

The cache holds .deb files by their names. Each is used only if its hash equals the one in apt's lists, which
apt has verified by Debian's signature; what is absent or differs is fetched by apt-get, which checks it again.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kilonova.guest_image.host_tools import CannotBuild, run

KERNEL = "linux-image-cloud-amd64"
USERLAND = (
    "busybox-static",
    "dropbear-bin",
    "e2fsprogs",
    "libext2fs2",
    "libcom-err2",
    "libblkid1",
    "libuuid1",
    "libc6",
    "libtomcrypt1",
    "libtommath1",
    "zlib1g",
    "libcrypt1",
    "libgmp10",
)
BOOT = ("syslinux", "syslinux-common", "grub-efi-amd64-signed", "shim-signed", "shim-signed-common")
AGENT = ("qemu-guest-agent", "libglib2.0-0", "libnuma1", "libudev1", "liburing2", "libpcre2-8-0")

REFRESH = "Remedy: apt-get update (as root), then build again."
URI_LINE = re.compile(r"^'[^']+' (?P<file>\S+) (?P<size>\d+) (?P<algorithm>SHA256|SHA512):(?P<hash>[0-9a-f]+)$")


@dataclass(frozen=True, slots=True)
class Package:
    """One .deb as apt's lists describe it."""

    file: str
    size_bytes: int
    algorithm: str
    hash: str

    def is_in(self, cache: Path) -> bool:
        """Whether the cache holds exactly these bytes."""
        deb = cache / self.file
        if not deb.is_file() or deb.stat().st_size != self.size_bytes:
            return False
        with deb.open("rb") as content:
            return hashlib.file_digest(content, self.algorithm).hexdigest() == self.hash


def newest_kernel() -> str:
    """Name of the kernel package that the distribution's cloud kernel stands for today."""
    said = run(["apt-cache", "depends", KERNEL]).decode()
    found = re.search(r"Depends: (linux-image-\S+)", said)
    if not found:
        raise CannotBuild(f"apt knows no package {KERNEL}. {REFRESH}")
    return found.group(1)


def parse_uris(text: str) -> list[Package]:
    """Rows of `apt-get download --print-uris`."""
    rows = (URI_LINE.match(line.strip()) for line in text.splitlines())
    return [Package(row["file"], int(row["size"]), row["algorithm"].lower(), row["hash"]) for row in rows if row]


def fetch(names: Sequence[str], cache: Path, progress: Callable[[str], None]) -> list[Path]:
    """The .deb files of these packages, in their order, verified; downloads only what the cache lacks."""
    try:
        packages = parse_uris(run(["apt-get", "download", "--print-uris", *names]).decode())
    except CannotBuild as unknown:
        raise CannotBuild(f"{unknown}. {REFRESH}") from unknown
    if len(packages) != len(names):
        raise CannotBuild(f"apt names no signed source for some of: {' '.join(names)}. {REFRESH}")
    cache.mkdir(parents=True, exist_ok=True)
    wanted = [(name, package) for name, package in zip(names, packages, strict=True) if not package.is_in(cache)]
    if wanted:
        size_mb = sum(package.size_bytes for _, package in wanted) / 1e6
        progress(f"Downloading {len(wanted)} packages ({size_mb:.0f} MB)")
        for _, package in wanted:
            (cache / package.file).unlink(missing_ok=True)
        try:
            run(["apt-get", "-q", "download", *(name for name, _ in wanted)], cwd=cache)
        except CannotBuild as failed:
            raise CannotBuild(f"{failed}. If a package was not found, apt's lists are old. {REFRESH}") from failed
        if wrong := [package.file for _, package in wanted if not package.is_in(cache)]:
            raise CannotBuild(f"Downloaded, but not what apt's lists say: {' '.join(wrong)}")
    return [cache / package.file for package in packages]


def unpack(debs: Sequence[Path], tree: Path) -> None:
    """Lay all packages' files into one tree."""
    for deb in debs:
        run(["dpkg-deb", "-x", deb, tree])
