"""Network namespaces: making, entering and removing them, and working on links inside.

Entering is done in a thread of its own that ends with the work, so no other code ever finds itself in a foreign
namespace. pyroute2 is used from nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

T = TypeVar("T")

RUN_DIR = Path("/run/netns")
CLONE_NEWNET = 0x40000000
MS_BIND, MS_REC, MS_SHARED, MNT_DETACH = 0x1000, 0x4000, 1 << 20, 2
SIOCETHTOOL = 0x8946
ETHTOOL_OFFLOADS = {"tx": 0x17, "sg": 0x19, "tso": 0x1F, "gso": 0x24}  # ETHTOOL_STXCSUM, _SSG, _STSO, _SGSO

_libc = ctypes.CDLL(None, use_errno=True)


def path_of(name: str) -> Path:
    return RUN_DIR / name


def exists(name: str) -> bool:
    """A name is a namespace only while something is mounted there; a plain file is a leftover."""
    try:
        return os.stat(path_of(name)).st_dev != os.stat(RUN_DIR).st_dev
    except FileNotFoundError:
        return False


def run_in(name: str | None, work: Callable[[], T]) -> T:
    """Do blocking work inside a namespace (None or "": where we are) and return its result. Sockets made there stay."""
    if not name:
        return work()
    outcome: list[tuple[bool, Any]] = []

    def enter_and_work() -> None:
        try:
            fd = os.open(path_of(name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                _call("setns", _libc.setns(fd, CLONE_NEWNET))
            finally:
                os.close(fd)
            outcome.append((True, work()))
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            outcome.append((False, error))

    thread = threading.Thread(target=enter_and_work, name=f"in namespace {name}")
    thread.start()
    thread.join()
    done, value = outcome[0]
    if not done:
        raise value
    return value  # type: ignore[no-any-return]


async def in_namespace(name: str | None, work: Callable[[], T]) -> T:
    """`run_in` without holding the event loop."""
    return await asyncio.to_thread(run_in, name, work)


def create(name: str) -> None:
    """Have a namespace of that name, with its loopback up."""
    if exists(name):
        return
    _share_run_dir()
    path = path_of(name)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o444))

    def unshare_and_pin() -> None:
        _call("unshare", _libc.unshare(CLONE_NEWNET))
        source = f"/proc/self/task/{threading.get_native_id()}/ns/net".encode()
        _call(f"bind {path}", _libc.mount(source, str(path).encode(), None, MS_BIND, None))
        with IPRoute() as ip:
            ip.link("set", index=ip.link_lookup(ifname="lo")[0], state="up")

    problem: list[BaseException] = []

    def run() -> None:
        try:
            unshare_and_pin()
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            problem.append(error)

    thread = threading.Thread(target=run, name=f"make namespace {name}")
    thread.start()
    thread.join()
    if problem:
        path.unlink(missing_ok=True)
        raise problem[0]


def remove(name: str) -> None:
    """Let the name go; the namespace ends with its last process."""
    path = path_of(name)
    if not path.exists():
        return
    if exists(name):
        _call(f"unmount {path}", _libc.umount2(str(path).encode(), MNT_DETACH))
    path.unlink(missing_ok=True)


def _share_run_dir() -> None:
    """As `ip netns` does it: so that namespaces made later show up in mount namespaces made earlier."""
    RUN_DIR.mkdir(parents=True, exist_ok=True)
    target = str(RUN_DIR).encode()
    if _libc.mount(b"", target, None, MS_SHARED | MS_REC, None) == 0:
        return
    if ctypes.get_errno() != errno.EINVAL:
        _call("share /run/netns", -1)
    _call("bind /run/netns", _libc.mount(target, target, None, MS_BIND | MS_REC, None))
    _call("share /run/netns", _libc.mount(b"", target, None, MS_SHARED | MS_REC, None))


def _call(what: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


# --- links; each function blocks and works in the namespace of the calling thread ---


@contextlib.contextmanager
def _netlink() -> Iterator[Any]:
    """What the kernel refuses comes out as OSError, as with everything else that is asked of it."""
    try:
        with IPRoute() as ip:
            yield ip
    except NetlinkError as error:
        raise OSError(error.code, str(error)) from error


def _index(ip: Any, name: str) -> int:
    found = ip.link_lookup(ifname=name)
    if not found:
        raise OSError(errno.ENODEV, f"there is no link {name} here")
    return int(found[0])


def links() -> list[str]:
    with _netlink() as ip:
        return [link.get_attr("IFLA_IFNAME") for link in ip.get_links()]


def delete_link(name: str) -> None:
    with _netlink() as ip:
        for index in ip.link_lookup(ifname=name):
            with contextlib.suppress(NetlinkError):
                ip.link("del", index=index)


def make_veth(name: str, peer: str, peer_namespace: str) -> None:
    """A pair: `name` here, `peer` in the other namespace. A half that was left over is made anew."""
    with _netlink() as ip:
        if ip.link_lookup(ifname=name):
            if peer in run_in(peer_namespace, links):
                return
            ip.link("del", index=ip.link_lookup(ifname=name)[0])
        fd = os.open(path_of(peer_namespace), os.O_RDONLY | os.O_CLOEXEC)
        try:
            ip.link("add", ifname=name, kind="veth", peer={"ifname": peer, "net_ns_fd": fd})
        finally:
            os.close(fd)


def set_up(
    name: str,
    *,
    mac: str | None = None,
    mtu: int | None = None,
    addresses: Sequence[str] = (),
    offloads: bool = True,
) -> None:
    """Bring a link up with exactly these addresses ("10.0.0.2/24"); `offloads` False turns its checksum offloads
    off.
    """
    with _netlink() as ip:
        index = _index(ip, name)
        if mac is not None:
            ip.link("set", index=index, address=mac)
        if mtu is not None:
            ip.link("set", index=index, mtu=mtu)
        ip.link("set", index=index, state="up")
        there = {
            f"{one.get_attr('IFA_ADDRESS')}/{one['prefixlen']}"
            for one in ip.get_addr(index=index)
            if one["scope"] != 253  # addresses the kernel gave by itself (link-local) stay
        }
        for gone in there - set(addresses):
            address, _, length = gone.partition("/")
            ip.addr("del", index=index, address=address, prefixlen=int(length))
        for new in [one for one in addresses if one not in there]:
            address, _, length = new.partition("/")
            flags = {"flags": 0x02} if ":" in address else {}  # IFA_F_NODAD: it is ours, do not ask first
            ip.addr("add", index=index, address=address, prefixlen=int(length), **flags)
    if not offloads:
        turn_offloads_off(name)


def add_default_route(gateway: str) -> None:
    with _netlink() as ip:
        ip.route("replace", dst="default" if "." in gateway else "::/0", gateway=gateway)


def turn_offloads_off(name: str) -> None:
    """What a userspace switch without TSO needs of a veth: packets with their checksums filled in."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in ETHTOOL_OFFLOADS.values():
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", name.encode(), ctypes.addressof(value)) + b"\0" * 16
            with contextlib.suppress(OSError):  # not every link has every offload
                fcntl.ioctl(control, SIOCETHTOOL, request)
