"""The product's own commands on a cloud with simulated guests."""

from __future__ import annotations

import os

from tests.cloud.make import HOST, RunningCloud


def test_what_is_up_is_found_up(cloud: RunningCloud) -> None:
    again = cloud.kilonova("up", "--detach", "--no-clouds-yaml")
    assert again.returncode == 0
    assert "up already" in again.stdout
    second = cloud.kilonova("demo")
    assert second.returncode == 0, second.stderr
    servers = cloud.get("/compute/v2.1/servers?all_tenants=1&name=^demo$")["servers"]
    assert len(servers) == 1


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
