"""The small guest image, made from Debian's packages: `kilonova image build OUT.qcow2`.

Kernel, busybox, an SSH server, resize2fs and the QEMU guest agent; a first-boot script that takes keys,
hostname and user data from a config drive or from 169.254.169.254. What the guest runs lives as plain files in
files/; the rest of this folder unpacks packages and lays out the disk. Nothing is mounted, no root is needed.

User data is run if it is a script (`#!`). Of #cloud-config a small part is understood: hostname, fqdn, password,
ssh_pwauth, ssh_authorized_keys, write_files (path, content, permissions, append) and runcmd; the guest names
on its console what it skips. Login: user `kilo`; over SSH by key only, at the console with password `kilonova`.
"""

from kilonova.guest_image.builder import BuiltImage, build
from kilonova.guest_image.host_tools import CannotBuild

__all__ = ["BuiltImage", "CannotBuild", "build"]
