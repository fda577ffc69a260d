"""Plugging a guest's interface: a tap in the dataplane's network namespace, and its port on the integration bridge.

The tap comes first, then the row that binds it to the cloud's port; unplugging goes the other way. Both can be
repeated. The tap's alias names guest and port, so what a crash left can be found and removed.

The kernel is asked by netlink in one thread that lives in the dataplane's namespace (a namespace belongs to a thread,
so the event loop's thread must not change its own). Open vSwitch is asked through its database.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from kilonova.compute.virt.driver import Broken, NicSpec, Transient
from kilonova.kernel.ovsdb import Disconnected, Ovs, OvsdbError

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000

ALIAS = "kilonova guest "


class Vifs(Protocol):
    """How the interfaces of guests come to be. Raises Transient (the switch does not answer) or Broken."""

    async def plug(self, guest_uuid: str, nic: NicSpec) -> None: ...

    async def unplug(self, nic: NicSpec) -> None: ...

    async def unplug_all(self, guest_uuid: str) -> None:
        """Remove every interface of a guest, also those nobody remembers."""

    async def close(self) -> None: ...


class OvsVifs:
    """Taps on an Open vSwitch bridge. `netns` as in `/run/netns`, None for the namespace we are in."""

    def __init__(self, ovs_connection: str, netns: str | None):
        self._remote = ovs_connection
        self._ovs: Ovs | None = None
        self._connecting = asyncio.Lock()
        self._links = _Links(netns)

    async def plug(self, guest_uuid: str, nic: NicSpec) -> None:
        await self._links.run(lambda links: links.make_tap(guest_uuid, nic))
        ids = {
            "iface-id": nic.port_id,
            "iface-status": "active",
            "attached-mac": nic.mac,
            "vm-uuid": guest_uuid,
        }
        await self._switch(lambda ovs: ovs.add_port(nic.bridge, nic.tap, ids, mtu=nic.mtu))

    async def unplug(self, nic: NicSpec) -> None:
        await self._switch(lambda ovs: ovs.del_port(nic.tap))
        await self._links.run(lambda links: links.remove(nic.tap))

    async def unplug_all(self, guest_uuid: str, bridge: str = "br-int") -> None:
        rows = await self._switch(lambda ovs: ovs.ports(bridge))
        named = {name for name, row in rows.items() if row["external_ids"].get("vm-uuid") == guest_uuid}
        found = await self._links.run(lambda links: links.of_guest(guest_uuid))
        for tap in sorted(named | set(found)):
            await self._switch(lambda ovs, tap=tap: ovs.del_port(tap))  # type: ignore[misc]
            await self._links.run(lambda links, tap=tap: links.remove(tap))  # type: ignore[misc]

    async def close(self) -> None:
        if self._ovs is not None:
            await self._ovs.aclose()
            self._ovs = None
        self._links.close()

    async def _switch(self, ask: Callable[[Ovs], Any]) -> Any:
        """Ask over the kept connection; a lost one is made again, once."""
        for last in (False, True):
            try:
                return await ask(await self._connected())
            except Disconnected as error:
                self._ovs = None
                if last:
                    raise Transient(f"Open vSwitch does not answer: {error}") from error
            except OvsdbError as error:
                raise Broken(f"Open vSwitch refuses: {error}") from error

    async def _connected(self) -> Ovs:
        async with self._connecting:
            if self._ovs is None:
                self._ovs = await Ovs.connect(self._remote)
            return self._ovs


class _Links:
    """Network devices of one namespace, in a thread that lives there."""

    def __init__(self, netns: str | None):
        self._path = None if netns is None else f"/run/netns/{netns}"
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="links")
        self._entered: int | None = None
        self._netlink: IPRoute | None = None

    async def run(self, ask: Callable[[_Links], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._in_thread, ask)

    def close(self) -> None:
        self._thread.submit(self._hang_up)
        self._thread.shutdown(wait=True)

    # --- in the thread ---

    def make_tap(self, guest_uuid: str, nic: NicSpec) -> None:
        index = self._find(nic.tap)
        if index is None:
            self._create_tap(nic)
            index = self._find(nic.tap)
        alias = f"{ALIAS}{guest_uuid} port {nic.port_id}"
        self._route.link("set", index=index, mtu=nic.mtu, ifalias=alias, state="up")

    def remove(self, name: str) -> None:
        index = self._find(name)
        if index is not None:
            self._route.link("del", index=index)

    def of_guest(self, guest_uuid: str) -> list[str]:
        wanted = f"{ALIAS}{guest_uuid} "
        links = self._route.get_links()
        return [link.get("ifname") for link in links if str(link.get("ifalias") or "").startswith(wanted)]

    def _create_tap(self, nic: NicSpec) -> None:
        flags = _IFF_TAP | _IFF_NO_PI | (_IFF_VNET_HDR if nic.vnet_hdr else 0)
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", nic.tap.encode(), flags))
            fcntl.ioctl(fd, _TUNSETPERSIST, 1)
        finally:
            os.close(fd)

    def _find(self, name: str) -> int | None:
        found = self._route.link_lookup(ifname=name)
        return int(found[0]) if found else None

    @property
    def _route(self) -> IPRoute:
        if self._netlink is None:
            self._netlink = IPRoute()
        return self._netlink

    def _in_thread(self, ask: Callable[[_Links], T]) -> T:
        try:
            self._enter()
            return ask(self)
        except (OSError, NetlinkError) as error:
            raise Broken(f"The kernel refuses a network device in {self._path or 'this namespace'}: {error}") from error

    def _enter(self) -> None:
        """Go to the namespace of that name; again when it has been made anew since."""
        if self._path is None:
            return
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            inode = os.fstat(fd).st_ino
            if inode == self._entered:
                return
            self._hang_up()
            if ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWNET) != 0:
                errno = ctypes.get_errno()
                raise OSError(errno, f"entering {self._path}: {os.strerror(errno)}")
            self._entered = inode
        finally:
            os.close(fd)

    def _hang_up(self) -> None:
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None


class NoVifs:
    """For hosts without a dataplane: guests must have no interfaces."""

    async def plug(self, guest_uuid: str, nic: NicSpec) -> None:
        raise Broken(f"This host has no dataplane to plug {nic.tap} into.")

    async def unplug(self, nic: NicSpec) -> None: ...

    async def unplug_all(self, guest_uuid: str) -> None: ...

    async def close(self) -> None: ...
