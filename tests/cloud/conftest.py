"""One cloud for all stories here: brought up and filled by the product's own commands, used by stock clients."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from tests.cloud.make import Openstack, RunningCloud, StockClient, running_cloud, stock_client


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """A cloud after its main job, with four people in it: admin, member and reader of ``demo``, rival in ``rival``."""
    with running_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        _fill(cloud)
        yield cloud


@pytest.fixture(scope="session")
def rough_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """Another one, for stories that leave it in a state that nobody can foresee."""
    with running_cloud(tmp_path_factory.mktemp("rough")) as cloud:
        _fill(cloud)
        yield cloud


def _fill(cloud: RunningCloud) -> None:
    job = cloud.kilonova("demo")
    assert job.returncode == 0, job.stdout + job.stderr
    secrets = json.loads((cloud.state / "secrets.json").read_text())
    cloud.person("admin", "admin", secrets["admin_password"], "admin")
    demo = cloud.person("member", "demo", secrets["demo_password"], "demo")
    roles = {role["name"]: role["id"] for role in cloud.get("/identity/v3/roles")["roles"]}
    rival = cloud.made("/identity/v3/projects", {"project": {"name": "rival"}})["project"]["id"]
    for user, project, role in (("reader", demo.project_id, "reader"), ("rival", rival, "member")):
        body = {"user": {"name": user, "password": "pass-of-" + user}}
        made = cloud.made("/identity/v3/users", body)["user"]["id"]
        path = f"/identity/v3/projects/{project}/users/{made}/roles/{roles[role]}"
        assert cloud.call("PUT", path).status_code == 204
    cloud.person("reader", "reader", "pass-of-reader", "demo")
    cloud.person("rival", "rival", "pass-of-rival", "rival")
    _know_the_rival(cloud)


def _know_the_rival(cloud: RunningCloud) -> None:
    path = cloud.home / "openstack" / "clouds.yaml"
    clouds = yaml.safe_load(path.read_text())
    entry = clouds["clouds"]["kilonova"]
    auth = {**entry["auth"], "username": "rival", "password": "pass-of-rival", "project_name": "rival"}
    clouds["clouds"]["rival"] = {**entry, "auth": auth}
    path.write_text(yaml.safe_dump(clouds))


@pytest.fixture(scope="session")
def client(cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockClient]:
    pytest.importorskip("openstackclient", reason="the stock client is not installed: pip install -e .[client]")
    with stock_client(tmp_path_factory.mktemp("client"), cloud.home) as client:
        yield client


@pytest.fixture(scope="session")
def admin(client: StockClient) -> Openstack:
    """``openstack --os-cloud kilonova-admin``"""
    return Openstack(client, "kilonova-admin")


@pytest.fixture(scope="session")
def demo(client: StockClient) -> Openstack:
    """``openstack --os-cloud kilonova``: the member of project ``demo``."""
    return Openstack(client, "kilonova")


@pytest.fixture(scope="session")
def rival(client: StockClient) -> Openstack:
    """``openstack`` as a member of another project."""
    return Openstack(client, "rival")
