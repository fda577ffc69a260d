"""Images by the stock client: upload from a file in two formats, read back, change, delete."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.cloud.make import Openstack, RunningCloud, StockClient


@pytest.fixture(scope="module")
def raw(client: StockClient) -> Path:
    path = client.folder / "disk.raw"
    path.write_bytes(bytes(range(256)) * 4096)
    return path


def test_the_life_of_a_raw_image(client: StockClient, demo: Openstack, raw: Path) -> None:
    made = demo.fields("image create --file disk.raw --disk-format raw --property os_distro=debian --tag blue plain")
    assert (made["name"], made["disk_format"], made["container_format"]) == ("plain", "raw", "bare")
    shown = demo.fields("image show plain")
    assert (shown["status"], shown["size"], shown["visibility"]) == ("active", 1 << 20, "shared")
    assert shown["checksum"] == hashlib.md5(raw.read_bytes()).hexdigest()
    assert (shown["properties"]["os_distro"], shown["tags"]) == ("debian", ["blue"])
    assert {"ID": shown["id"], "Name": "plain", "Status": "active"} in demo.rows("image list")
    demo("image save --file back.raw plain")
    assert (client.folder / "back.raw").read_bytes() == raw.read_bytes()
    demo("image set --name renamed --min-ram 64 --property hw_disk_bus=virtio --tag green plain")
    changed = demo.fields("image show renamed")
    assert (changed["min_ram"], sorted(changed["tags"])) == (64, ["blue", "green"])
    assert changed["properties"]["hw_disk_bus"] == "virtio"
    demo("image unset --tag blue --property os_distro renamed")
    assert "os_distro" not in demo.fields("image show renamed")["properties"]
    assert demo("image delete renamed") == ""
    assert "No Image" in demo.refused("image show renamed")


def test_a_qcow2_image_tells_its_virtual_size(client: StockClient, demo: Openstack, raw: Path) -> None:
    tool = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(client.folder / "disk.qcow2")]
    try:
        subprocess.run(tool, check=True)
    except FileNotFoundError:
        pytest.skip("qemu-img is not installed")
    demo("image create --file disk.qcow2 --disk-format qcow2 small")
    shown = demo.fields("image show small")
    assert (shown["status"], shown["disk_format"], shown["virtual_size"]) == ("active", "qcow2", 1 << 20)
    demo("image delete small")


def test_an_image_that_lies_about_its_format_is_refused(demo: Openstack, raw: Path) -> None:
    demo.refused("image create --file disk.raw --disk-format qcow2 lie")
    assert "active" not in {row["Status"] for row in demo.rows("image list --name lie")}
    for row in demo.rows("image list --name lie"):
        demo(f"image delete {row['ID']}")


def test_who_sees_which_image(cloud: RunningCloud, admin: Openstack, demo: Openstack, rival: Openstack) -> None:
    made = demo.fields("image create --private mine")
    public = admin.rows("image list --public")
    assert [row["Name"] for row in public] == ["kilonova-tiny"]
    assert [row["Name"] for row in rival.rows("image list")] == ["kilonova-tiny"]
    assert "No Image" in rival.refused(f"image show {made['id']}")
    rival.refused(f"image delete {made['id']}")
    assert "403" in demo.refused("image set --public mine")
    assert made["id"] in {row["ID"] for row in admin.rows("image list --private")}
    demo("image set --shared mine")
    project = cloud.people["rival"].project_id
    demo(f"image add project mine {project}")
    rival(f"image set --accept {made['id']}")
    assert made["id"] in {row["ID"] for row in rival.rows("image list")}
    demo("image delete mine")


def test_a_protected_image_is_kept(demo: Openstack) -> None:
    demo("image create --protected kept")
    assert "403" in demo.refused("image delete kept")
    demo("image set --unprotected kept")
    demo("image delete kept")
