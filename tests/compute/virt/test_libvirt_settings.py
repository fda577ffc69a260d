"""Options of the libvirt driver and the configuration of its own daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from kilonova.compute.virt.libvirt.config import GROUPS, settings
from kilonova.compute.virt.libvirt.daemon import Place, unprivileged_user
from kilonova.kernel import config


def read(**overrides: str):
    given = {f"libvirt.{name}": value for name, value in overrides.items()}
    return settings(config.load(groups=GROUPS, overrides=given, environment={}))


def test_the_defaults():
    found = read()
    assert (found.virt_type, found.connection_uri, found.disk_format) == ("auto", "", "qcow2")


@pytest.mark.parametrize(("kind", "wanted"), [("qcow2", "qcow2"), ("raw", "raw"), ("flat", "raw")])
def test_how_disks_are_stored(kind, wanted):
    assert read(images_type=kind).disk_format == wanted


def test_machine_types_are_read_by_architecture():
    assert read(hw_machine_type="x86_64=q35,aarch64=virt").machines == (("x86_64", "q35"), ("aarch64", "virt"))
    with pytest.raises(ValueError, match="architecture=type"):
        read(hw_machine_type="q35")


def test_the_daemon_listens_to_nobody_else(tmp_path: Path):
    place = Place(tmp_path / "libvirt")
    place.prepare()
    daemon = (place.root / "etc/libvirtd.conf").read_text()
    assert "listen_tcp = 0" in daemon
    assert "listen_tls = 0" in daemon
    assert 'unix_sock_rw_perms = "0700"' in daemon
    place.prepare()


def test_two_clouds_have_two_host_uuids(tmp_path: Path):
    texts = []
    for name in ("one", "two"):
        place = Place(tmp_path / name)
        place.prepare()
        texts.append((place.root / "etc/libvirtd.conf").read_text().splitlines()[0])
    assert texts[0].startswith("host_uuid")
    assert texts[0] != texts[1]


def test_a_changed_configuration_restarts_the_daemon(tmp_path: Path):
    def digest(**fields):
        place = Place(tmp_path, **fields)
        return place.child(run_dir=tmp_path, log_path=tmp_path / "log", netns=None).digest()

    assert digest() == digest()
    assert digest() != digest(user="nobody")


def test_guests_do_not_run_as_a_user_who_cannot_reach_their_disks(tmp_path: Path):
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    assert unprivileged_user(hidden, needs_kvm=False) is None
