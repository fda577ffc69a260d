"""One cloud with three guests for the stories here; skipped, with the reason, where no real guest can run."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.real.make import GATEWAY, Guest, RealCloud, missing, until
from tests.cloud.real.outside import Heard, web_outside

# timeout, because Debian's static busybox dies of `wget -T`
SCRIPT = """#!/bin/sh
echo ran >> /var/lib/ran
mkdir -p /srv && echo page > /srv/index.html
httpd -p 8080 -h /srv
httpd -p 8081 -h /srv
until timeout 3 wget -q -O - {url}; do sleep 1; done
"""


@pytest.fixture(scope="session")
def guest_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guest image, built once; its packages are kept where ``kilonova image build`` keeps them."""
    if reason := missing():
        pytest.skip(reason)
    from kilonova.guest_image import build
    from kilonova.guest_image.command import DEFAULT_CACHE

    out: Path = tmp_path_factory.mktemp("image") / "guest.qcow2"
    build(out, DEFAULT_CACHE.expanduser(), lambda line: None)
    return out


@contextmanager
def a_place(name: str, image: Path) -> Iterator[RealCloud]:
    """Where a cloud may be brought up; taken down with all that is left there, whatever happened."""
    root = Path(tempfile.mkdtemp(prefix=f"kn{name}", dir="/var/tmp"))
    root.chmod(0o755)  # guests run as a user without rights, who has to get at their disks
    cloud = RealCloud(root, f"kn{os.getpid()}{name}")
    kept = cloud.state / "guest-image" / "kilonova-tiny.qcow2"
    kept.parent.mkdir(parents=True)
    shutil.copy(image, kept)
    try:
        yield cloud
    finally:
        if cloud.state.exists():
            cloud.down("--data")
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def cloud(guest_image: Path) -> Iterator[RealCloud]:
    """A cloud after its main job."""
    with a_place("a", guest_image) as cloud:
        cloud.up()
        cloud.demo()
        yield cloud


@pytest.fixture(scope="session")
def user(cloud: RealCloud) -> Iterator[Any]:
    """The demo user."""
    with cloud.connect() as connection:
        yield connection


@pytest.fixture(scope="session")
def admin(cloud: RealCloud) -> Iterator[Any]:
    with cloud.connect("kilonova-admin") as connection:
        yield connection


@pytest.fixture(scope="session")
def outside_web(cloud: RealCloud) -> Iterator[Heard]:
    with web_outside(cloud) as heard:
        yield heard


@dataclass(frozen=True)
class Guests:
    """``demo``: of the main job. ``web``: runs its user data, fenced by a group of its own. ``still``: told who it is
    by a config drive alone, on a network without DHCP."""

    demo: Guest
    web: Guest
    still: Guest


@pytest.fixture(scope="session")
def guests(cloud: RealCloud, user: Any, admin: Any, outside_web: Heard) -> Guests:
    """All three answer over SSH. They boot at the same time."""
    flavor = admin.compute.create_flavor(name="two-gib", ram=128, vcpus=1, disk=2).id
    image = user.image.find_image("kilonova-tiny", ignore_missing=False).id
    wanted = {"image_id": image, "flavor_id": flavor, "key_name": "demo"}
    web = user.compute.create_server(
        name="web",
        networks=[{"uuid": user.network.find_network("private").id}],
        security_groups=[{"name": _web_group(user)}],
        user_data=base64.b64encode(SCRIPT.format(url=outside_web.url("web-is-up")).encode()).decode(),
        metadata={"role": "front"},
        **wanted,
    )
    still = user.compute.create_server(name="still", networks=[{"uuid": _quiet(user)}], config_drive=True, **wanted)
    for one in (web, still):
        user.compute.wait_for_server(one, interval=0.5, wait=60)
    _give_floating_ip(user, still.id)
    until(lambda: "web-is-up" in outside_web.calls, "a call from web's user data", 120)
    _give_floating_ip(user, web.id)
    return Guests(*(cloud.guest(user, name).up() for name in ("demo", "web", "still")))


def _web_group(user: Any) -> str:
    group = user.network.create_security_group(name="web")
    for rule in ({"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}, {"protocol": "icmp"}):
        user.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", ethertype="IPv4", **rule
        )
    return "web"


def _quiet(user: Any) -> str:
    network = user.network.create_network(name="quiet")
    subnet = user.network.create_subnet(
        network_id=network.id, ip_version=4, cidr="10.9.0.0/24", enable_dhcp=False, dns_nameservers=[GATEWAY]
    )
    user.network.add_interface_to_router(user.network.find_router("router"), subnet=subnet.id)
    return str(network.id)


def _give_floating_ip(user: Any, server_id: str) -> None:
    port, *_ = user.network.ports(device_id=server_id)
    user.network.create_ip(floating_network_id=user.network.find_network("public").id, port_id=port.id)
