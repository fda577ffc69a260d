"""The main job of ``make up``: from an empty cloud to a server that answers over SSH through its floating IP.

Every step finds what is there before it makes anything, so a second run says so in a moment. Works through the public
API alone, as any user could.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from kilonova.cli.cloud_api import CloudApi
from kilonova.cli.reach import ssh_command

IMAGE, SERVER, DEMO = "kilonova-tiny", "demo", "demo"
FLAVORS = (("m1.nano", 96, 1, 1), ("m1.tiny", 256, 1, 1), ("m1.small", 1024, 1, 10), ("m1.medium", 2048, 2, 20))
PROVIDER_CIDR, PROVIDER_GATEWAY = "172.24.4.0/24", "172.24.4.1"

Say = Callable[[str], None]


class MainJobFailed(RuntimeError):
    """The cloud is up, but the job did not get through; the sentence says where and what the cloud said."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the job leaves: the server, its addresses, whether a command ran in it, and how long all took in seconds."""

    server_id: str
    fixed_ip: str
    floating_ip: str
    console_url: str | None
    command_output: str | None
    seconds: float


@dataclass(slots=True)
class MainJob:
    """``admin``: the API as administrator; the demo user is made here. ``real``: guests run code, so SSH is tried."""

    admin: CloudApi
    auth_url: str
    demo_password: str
    state_dir: Path
    image_file: Path
    image_format: str
    real: bool
    outside_netns: str | None
    say: Say
    boot_timeout_s: float = 240.0
    demo: CloudApi = field(init=False)

    async def run(self) -> Outcome:
        """Do the job. Raises MainJobFailed or ApiError."""
        began = time.monotonic()
        await self._step("project and user demo", self._demo_project())
        self.demo = await CloudApi.connect(self.auth_url, user=DEMO, password=self.demo_password, project=DEMO)
        try:
            return await self._as_demo(began)
        finally:
            await self.demo.close()

    async def _as_demo(self, began: float) -> Outcome:
        image = await self._step("image", self._image())
        await self._step("flavors", self._flavors())
        public = await self._step("provider network", self._provider_network())
        private = await self._step("tenant network and router", self._tenant_network(public))
        await self._step("security group: SSH and ping", self._open_ports())
        await self._step("keypair", self._keypair())
        server = await self._step("server", self._server(image, private))
        floating_ip = await self._step("floating IP", self._floating_ip(server, public))
        output = await self._step("a shell command over SSH", self._ssh(floating_ip)) if self.real else None
        fixed = next(a["addr"] for a in server["addresses"]["private"] if a["OS-EXT-IPS:type"] == "fixed")
        console = await self._console(server)
        return Outcome(server["id"], fixed, floating_ip, console, output, time.monotonic() - began)

    async def _step(self, name: str, work: Awaitable[Any]) -> Any:
        began = time.monotonic()
        result = await work
        self.say(f"  {name} ({time.monotonic() - began:.1f} s)")
        return result

    async def _demo_project(self) -> None:
        project = await self.admin.ensure("identity:/projects", "projects", "project", {"name": DEMO})
        body = {"name": DEMO, "password": self.demo_password, "default_project_id": project["id"]}
        user = await self.admin.ensure("identity:/users", "users", "user", body)
        role = await self.admin.find("identity:/roles", "roles", name="member")
        if role is None:
            raise MainJobFailed("the cloud has no role member; was it bootstrapped?")
        await self.admin.call("PUT", f"identity:/projects/{project['id']}/users/{user['id']}/roles/{role['id']}")

    async def _image(self) -> dict[str, Any]:
        found = await self.admin.find(f"image:/v2/images?name={IMAGE}", "images", status="active")
        if found is not None:
            return found
        body = {
            "name": IMAGE,
            "visibility": "public",
            "disk_format": self.image_format,
            "container_format": "bare",
            "min_ram": 96,
            "min_disk": 1,
        }
        image: dict[str, Any] = await self.admin.call("POST", "image:/v2/images", json=body)
        await self.admin.call(
            "PUT",
            f"image:/v2/images/{image['id']}/file",
            content=_chunks(self.image_file),
            headers={"Content-Type": "application/octet-stream"},
            timeout_s=600,
        )
        return image

    async def _flavors(self) -> None:
        for name, ram, vcpus, disk in FLAVORS:
            body = {"name": name, "ram": ram, "vcpus": vcpus, "disk": disk}
            await self.admin.ensure("compute:/flavors", "flavors", "flavor", body)

    async def _provider_network(self) -> dict[str, Any]:
        network = await self.admin.ensure(
            "network:/v2.0/networks",
            "networks",
            "network",
            {
                "name": "public",
                "router:external": True,
                "is_default": True,
                "provider:network_type": "flat",
                "provider:physical_network": "public",
            },
        )
        await self.admin.ensure(
            f"network:/v2.0/subnets?network_id={network['id']}",
            "subnets",
            "subnet",
            {
                "name": "public-subnet",
                "network_id": network["id"],
                "ip_version": 4,
                "cidr": PROVIDER_CIDR,
                "gateway_ip": PROVIDER_GATEWAY,
                "enable_dhcp": False,
            },
        )
        return network

    async def _tenant_network(self, public: dict[str, Any]) -> dict[str, Any]:
        network = await self.demo.ensure("network:/v2.0/networks", "networks", "network", {"name": "private"})
        subnet = await self.demo.ensure(
            f"network:/v2.0/subnets?network_id={network['id']}",
            "subnets",
            "subnet",
            {"name": "private-subnet", "network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"},
        )
        router = await self.demo.ensure(
            "network:/v2.0/routers",
            "routers",
            "router",
            {"name": "router", "external_gateway_info": {"network_id": public["id"]}},
        )
        path = f"network:/v2.0/ports?device_id={router['id']}&network_id={network['id']}"
        if not (await self.demo.call("GET", path))["ports"]:
            path = f"network:/v2.0/routers/{router['id']}/add_router_interface"
            await self.demo.call("PUT", path, json={"subnet_id": subnet["id"]})
        return network

    async def _open_ports(self) -> None:
        project = await self.demo.call("GET", "network:/v2.0/security-groups?name=default")
        group = project["security_groups"][0]["id"]
        wanted = (
            {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
            {"protocol": "icmp", "port_range_min": None, "port_range_max": None},
        )
        where = f"network:/v2.0/security-group-rules?security_group_id={group}"
        for rule in wanted:
            body = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4", **rule}
            await self.demo.ensure(where, "security_group_rules", "security_group_rule", body, **rule)

    async def _keypair(self) -> None:
        key = private_key(self.state_dir)
        if not key.exists():
            _make_key(key)
        public = key.with_suffix(".pub").read_text().strip()
        found = await self.demo.call("GET", f"compute:/os-keypairs/{DEMO}", missing_ok=True)
        if found is not None and found["keypair"]["public_key"].strip() != public:
            await self.demo.call("DELETE", f"compute:/os-keypairs/{DEMO}")
            found = None
        if found is None:
            body = {"keypair": {"name": DEMO, "public_key": public, "type": "ssh"}}
            await self.demo.call("POST", "compute:/os-keypairs", json=body)

    async def _server(self, image: dict[str, Any], private: dict[str, Any]) -> dict[str, Any]:
        server = await self.demo.find(f"compute:/servers/detail?name=^{SERVER}$", "servers")
        if server is None:
            flavor = await self.demo.find("compute:/flavors", "flavors", name="m1.tiny")
            body = {
                "name": SERVER,
                "imageRef": image["id"],
                "flavorRef": flavor["id"] if flavor else "",
                "networks": [{"uuid": private["id"]}],
                "key_name": DEMO,
            }
            server = (await self.demo.call("POST", "compute:/servers", json={"server": body}))["server"]
        elif server["status"] == "SHUTOFF":
            await self.demo.call("POST", f"compute:/servers/{server['id']}/action", json={"os-start": None})
        return await self._active(server["id"])

    async def _active(self, server_id: str) -> dict[str, Any]:
        end = time.monotonic() + self.boot_timeout_s
        while True:
            server: dict[str, Any] = (await self.demo.call("GET", f"compute:/servers/{server_id}"))["server"]
            if server["status"] == "ACTIVE":
                return server
            if server["status"] == "ERROR":
                fault = server.get("fault", {}).get("message", "no fault recorded")
                raise MainJobFailed(f"server {server_id} is in ERROR: {fault} (see: kilonova why {server_id})")
            if time.monotonic() > end:
                raise MainJobFailed(f"server {server_id} is still {server['status']} after {self.boot_timeout_s:.0f} s")
            await asyncio.sleep(0.2)

    async def _floating_ip(self, server: dict[str, Any], public: dict[str, Any]) -> str:
        ports = (await self.demo.call("GET", f"network:/v2.0/ports?device_id={server['id']}"))["ports"]
        where = f"network:/v2.0/floatingips?port_id={ports[0]['id']}"
        found = (await self.demo.call("GET", where))["floatingips"]
        if not found:
            body = {"floatingip": {"floating_network_id": public["id"], "port_id": ports[0]["id"]}}
            found = [(await self.demo.call("POST", "network:/v2.0/floatingips", json=body))["floatingip"]]
        return str(found[0]["floating_ip_address"])

    async def _ssh(self, address: str) -> str:
        command = ssh_command(address, private_key(self.state_dir), self.outside_netns, ["uname -a; uptime"])
        end = time.monotonic() + self.boot_timeout_s
        while True:
            result = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
            )
            if result.returncode == 0:
                return result.stdout.strip()
            if time.monotonic() > end:
                raise MainJobFailed(
                    f"no shell over SSH at {address} within {self.boot_timeout_s:.0f} s: {result.stderr.strip()}"
                )
            await asyncio.sleep(0.3)

    async def _console(self, server: dict[str, Any]) -> str | None:
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        if not self.real:
            return None
        made = await self.demo.call("POST", f"compute:/servers/{server['id']}/remote-consoles", json=body)
        return str(made["remote_console"]["url"])


def private_key(state_dir: Path) -> Path:
    """The key that the demo server lets in."""
    return state_dir / "demo" / "id_ed25519"


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    path.with_suffix(".pub").write_bytes(public + b" kilonova demo\n")
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, 1 << 18):
            yield piece
