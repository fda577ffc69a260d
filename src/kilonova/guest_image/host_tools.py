"""Programs of the host that the builder runs, and the error that names those missing with their remedy."""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

# program -> Debian package that has it
TOOLS = {
    "apt-get": "apt",
    "apt-cache": "apt",
    "dpkg-deb": "dpkg",
    "depmod": "kmod",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "mformat": "mtools",
    "mmd": "mtools",
    "mcopy": "mtools",
    "qemu-img": "qemu-utils",
}

# An ordinary user's PATH on Debian lacks the sbin folders, though their programs serve ordinary users too.
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))


class CannotBuild(Exception):
    """The image cannot be made on this host; the message says what to do."""


def missing_packages() -> list[str]:
    """Debian packages to install before the builder can run, sorted; empty when all is there."""
    return sorted({package for tool, package in TOOLS.items() if not shutil.which(tool, path=SEARCH_PATH)})


def check() -> None:
    """Raise CannotBuild unless this host has every tool and the right processor."""
    if platform.machine() != "x86_64":
        raise CannotBuild(f"The guest image is made for x86_64 on x86_64; this host is {platform.machine()}.")
    if not shutil.which("apt-get", path=SEARCH_PATH):
        raise CannotBuild(
            "The guest image is made of Debian packages by apt-get, which this host lacks: "
            "build it on Debian 12 and copy the file here."
        )
    if missing := missing_packages():
        raise CannotBuild(f"Missing on this host: {', '.join(missing)}. Remedy: apt-get install {' '.join(missing)}")


def run(
    command: Sequence[str | Path], *, cwd: Path | None = None, stdin: bytes | None = None, timeout_s: float = 600
) -> bytes:
    """Run one program and return its standard output; CannotBuild with its last words when it fails."""
    words = [str(word) for word in command]
    environment = {
        "PATH": SEARCH_PATH,
        "LC_ALL": "C",
        "TZ": "UTC",
        "HOME": os.environ.get("HOME", "/"),
        "MTOOLS_SKIP_CHECK": "1",
    } | {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    try:
        done = subprocess.run(
            words, cwd=cwd, input=stdin, capture_output=True, env=environment, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as slow:
        raise CannotBuild(f"{words[0]} did not finish within {timeout_s:.0f} s") from slow
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-3:]
        raise CannotBuild(f"{' '.join(words[:4])} failed ({done.returncode}): {' / '.join(said)}")
    return done.stdout
