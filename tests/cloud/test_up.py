"""The product's own commands on a cloud with simulated guests."""

from __future__ import annotations

import os
from pathlib import Path

from tests.cloud.make import HOST, RunningCloud, kilonova


def test_what_is_up_is_found_up(cloud: RunningCloud) -> None:
    again = cloud.kilonova("up", "--detach", "--no-clouds-yaml")
    assert again.returncode == 0
    assert "up already" in again.stdout
    second = cloud.kilonova("demo")
    assert second.returncode == 0, second.stderr
    servers = cloud.get("/compute/v2.1/servers?all_tenants=1&name=^demo$")["servers"]
    assert len(servers) == 1


def test_a_cloud_whose_port_is_anothers_does_not_claim_to_be_up(cloud: RunningCloud, tmp_path: Path) -> None:
    port = cloud.url.rpartition(":")[2]
    options = ("--set", "compute.hypervisor=fake", "--set", f"DEFAULT.api_port={port}")
    second = kilonova(tmp_path / "state", tmp_path / "home", *options, "up", "--detach")
    assert second.returncode != 0, second.stdout
    assert "api_port" in second.stderr
    assert not (tmp_path / "home" / "openstack" / "clouds.yaml").exists()


def test_status_and_doctor_tell_what_is_there(cloud: RunningCloud) -> None:
    status = cloud.kilonova("status").stdout
    for word in (cloud.url, "hypervisor fake", "nova-compute", "nova-conductor", HOST, "demo", "ACTIVE"):
        assert word in status
    doctor = cloud.kilonova("doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert "simulated guests" in doctor.stdout


def test_what_the_cloud_keeps_is_its_owners_alone(cloud: RunningCloud) -> None:
    for path in (cloud.state / "secrets.json", cloud.state / "db", cloud.home / "openstack" / "clouds.yaml"):
        assert os.stat(path).st_mode & 0o077 == 0, path
    log = (cloud.state / "kilonova.log").read_text()
    for person in cloud.people.values():
        assert (person.token or "") not in log
    assert "pass-of-rival" not in log
