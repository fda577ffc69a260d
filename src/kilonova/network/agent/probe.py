"""What this machine can do for networking: which datapath, which binaries. Changes nothing."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

from pyroute2.netlink import genlmsg
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic import GenericNetlinkSocket


def has_kernel_datapath() -> bool:
    """Whether the kernel offers Open vSwitch's datapath. Asking makes it load the module where it has one.

    Takes about a millisecond; in a thread of its own, because pyroute2 brings an event loop with it.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(_ask_for_datapath).result()


def _ask_for_datapath() -> bool:
    try:
        with GenericNetlinkSocket() as sock:
            sock.bind("ovs_datapath", genlmsg)
    except (NetlinkError, OSError):
        return False
    return True


def missing_binaries(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None)
