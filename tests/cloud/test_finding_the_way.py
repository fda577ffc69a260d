"""How clients find their way: version documents, microversions, request ids, healthchecks, pages, descriptions."""

from __future__ import annotations

import re
from typing import Any

import openstack
import pytest

from tests.cloud.make import SERVICES, RunningCloud

REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
VERBS = {"get", "put", "post", "delete", "patch", "head", "options"}


def test_each_service_tells_its_versions_to_anybody(cloud: RunningCloud) -> None:
    identity = cloud.call("GET", "/identity/", None)
    assert identity.status_code == 300
    (v3,) = identity.json()["versions"]["values"]
    assert (v3["status"], v3["links"][0]["href"]) == ("stable", f"{cloud.url}/identity/v3/")
    assert cloud.get("/identity/v3", None)["version"]["id"] == v3["id"]
    _, compute = cloud.get("/compute/", None)["versions"]
    assert (compute["id"], compute["status"], compute["min_version"]) == ("v2.1", "CURRENT", "2.1")
    assert cloud.get("/compute/v2.1/", None)["version"]["version"] == compute["version"]
    assert compute["links"][0]["href"] == f"{cloud.url}/compute/v2.1/"
    assert cloud.call("GET", "/image/", None).status_code == 300
    images = cloud.get("/image/versions", None)["versions"]
    assert [one["status"] for one in images].count("CURRENT") == 1
    assert {one["links"][0]["href"] for one in images} == {f"{cloud.url}/image/v2/"}
    (network,) = cloud.get("/network/", None)["versions"]
    assert (network["id"], network["links"][0]["href"]) == ("v2.0", f"{cloud.url}/network/v2.0/")
    (placement,) = cloud.get("/placement/", None)["versions"]
    assert (placement["id"], placement["min_version"]) == ("v1.0", "1.0")


def test_version_documents_follow_the_name_that_the_client_used(cloud: RunningCloud) -> None:
    headers = {"Host": "cloud.example.org:8774"}
    _old, compute = cloud.call("GET", "/compute/", None, headers=headers).json()["versions"]
    assert compute["links"][0]["href"] == "http://cloud.example.org:8774/compute/v2.1/"


@pytest.mark.parametrize(("service", "path", "lowest"), [
    ("compute", "/compute/v2.1/flavors", "2.1"),
    ("placement", "/placement/resource_providers", "1.0"),
])  # fmt: skip
def test_microversions_are_negotiated_and_told(cloud: RunningCloud, service: str, path: str, lowest: str) -> None:
    told = cloud.call("GET", path).headers
    assert told["openstack-api-version"] == f"{service} {lowest}"
    assert "openstack-api-version" in told["vary"].lower()
    version = cloud.get(f"/{service}/", None)["versions"][-1]
    newest = version.get("max_version") or version["version"]
    latest = cloud.call("GET", path, version="latest")
    assert latest.headers["openstack-api-version"] == f"{service} {newest}"
    beyond = f"{newest.split('.')[0]}.{int(newest.split('.')[1]) + 1}"
    refused = cloud.call("GET", path, version=beyond)
    assert refused.status_code == 406
    assert newest in refused.json()["errors"][0]["detail"]
    other = cloud.call("GET", path, headers={"OpenStack-API-Version": f"volume 3.70, {service} {newest}"})
    assert other.headers["openstack-api-version"] == f"{service} {newest}"


def test_compute_still_reads_the_old_header(cloud: RunningCloud) -> None:
    reply = cloud.call("GET", "/compute/v2.1/flavors", headers={"X-OpenStack-Nova-API-Version": "2.55"})
    assert reply.headers["x-openstack-nova-api-version"] == "2.55"
    assert reply.headers["openstack-api-version"] == "compute 2.55"


@pytest.mark.parametrize("service", SERVICES)
def test_every_answer_has_a_request_id_also_the_bad_ones(cloud: RunningCloud, service: str) -> None:
    seen = set()
    for path in ("/", "/healthcheck", "/openapi.json", "/nothing/here", "/%00", "/v2.1/servers"):
        reply = cloud.call("GET", f"/{service}{path}", None)
        assert REQUEST_ID.match(reply.headers["x-openstack-request-id"])
        seen.add(reply.headers["x-openstack-request-id"])
    assert len(seen) == 6
    if service == "compute":
        assert reply.headers["x-compute-request-id"] == reply.headers["x-openstack-request-id"]


def log_of(cloud: RunningCloud) -> str:
    cloud.call("GET", "/identity/healthcheck", None)  # a line is written after its answer, before the next one's
    return (cloud.state / "kilonova.log").read_text()


def test_one_request_is_followed_through_the_log(cloud: RunningCloud) -> None:
    outer = "req-12345678-1234-1234-1234-123456789abc"
    reply = cloud.call(
        "POST", "/network/v2.0/networks", "member", headers={"X-OpenStack-Request-ID": outer}, json={"network": {}}
    )
    assert reply.status_code == 201
    cloud.call("DELETE", f"/network/v2.0/networks/{reply.json()['network']['id']}")
    own = reply.headers["x-openstack-request-id"]
    assert own != outer
    lines = [line for line in log_of(cloud).splitlines() if own in line]
    assert any(outer in line and "POST /network/v2.0/networks 201 as" in line for line in lines), lines


def test_nobody_writes_lines_of_their_own_into_the_log(cloud: RunningCloud) -> None:
    cloud.call("POST", "/network/v2.0/x%0aforged%1b%5b31m", None, headers={"X-OpenStack-Request-ID": "x\ty"})
    log = log_of(cloud)
    assert "/x\\x0aforged\\x1b[31m" in log
    assert "\x1b" not in log


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_answers_a_healthcheck(cloud: RunningCloud, service: str) -> None:
    for method in ("GET", "HEAD"):
        reply = cloud.call(method, f"/{service}/healthcheck", None)
        assert reply.status_code == 200
    assert cloud.call("GET", f"/{service}/healthcheck", None).text == "OK"


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_describes_itself_in_openapi(cloud: RunningCloud, service: str) -> None:
    document = cloud.get(f"/{service}/openapi.json", None)
    assert document["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(document["info"])
    shapes = [re.sub(r"{\w+}", "{}", path) for path in document["paths"]]
    assert sorted(shapes) == sorted(set(shapes)), "two paths differ only in the name of a parameter"
    for path, methods in document["paths"].items():
        assert set(methods) <= VERBS
        for method, said in methods.items():
            check_operation(f"{method} {path}", path, said)


def check_operation(name: str, path: str, said: dict[str, Any]) -> None:
    """What OpenAPI 3.1 asks of an operation, and what we promise on top: a summary, and who may."""
    assert said["summary"], name
    assert said["responses"], name
    for status, response in said["responses"].items():
        assert re.match(r"[1-5]\d\d$", status), name
        assert response["description"], name
    in_path = [p["name"] for p in said["parameters"] if p["in"] == "path"]
    assert sorted(in_path) == sorted(re.findall(r"{(\w+)}", path)), name
    assert len({(p["in"], p["name"]) for p in said["parameters"]}) == len(said["parameters"]), name
    assert all("schema" in p for p in said["parameters"]), name
    assert said["security"] == [] or said.get("x-openstack-policy"), name
    for content in said.get("requestBody", {}).get("content", {}).values():
        assert isinstance(content["schema"], dict | bool), name


@pytest.mark.parametrize(("path", "key", "size"), [
    ("/compute/v2.1/flavors", "flavors", 2),
    ("/network/v2.0/security-group-rules", "security_group_rules", 2),
    ("/image/v2/images", "images", 1),
])  # fmt: skip
def test_pages_link_to_the_next_until_all_is_seen(cloud: RunningCloud, path: str, key: str, size: int) -> None:
    if key == "images":
        for number in range(2):
            cloud.made(path, {"name": f"page{number}"})
    everything = [row["id"] for row in cloud.get(path)[key]]
    assert len(everything) > size
    seen: list[str] = []
    following: str | None = f"{path}?limit={size}"
    while following is not None:
        body = cloud.get(following)
        assert len(body[key]) <= size
        seen += [row["id"] for row in body[key]]
        following = link(body, key, cloud.url)
        assert len(seen) <= len(everything)
    assert sorted(seen) == sorted(everything)
    for row in cloud.get("/image/v2/images?status=queued")["images"]:
        cloud.call("DELETE", f"/image/v2/images/{row['id']}")


def link(body: dict[str, Any], key: str, url: str) -> str | None:
    if key == "images":
        return f"/image{body['next']}" if "next" in body and body["next"].startswith("/v2") else body.get("next")
    links = {one["rel"]: one["href"] for one in body.get(f"{key}_links", ())}
    return links["next"].removeprefix(url) if "next" in links else None


def test_a_change_may_be_bound_to_the_revision_that_was_read(cloud: RunningCloud) -> None:
    made = cloud.made("/network/v2.0/networks", {"network": {"name": "first"}}, "member")["network"]
    path = f"/network/v2.0/networks/{made['id']}"
    now = {"If-Match": f"revision_number={made['revision_number']}"}
    body = {"network": {"name": "second"}}
    assert cloud.call("PUT", path, "member", headers=now, json=body).status_code == 200
    late = cloud.call("PUT", path, "member", headers=now, json={"network": {"name": "third"}})
    assert (late.status_code, late.json()["NeutronError"]["type"]) == (412, "RevisionNumberConstraintFailed")
    assert cloud.get(path, "member")["network"]["name"] == "second"
    assert cloud.call("DELETE", path, "member").status_code == 204


@pytest.mark.filterwarnings("ignore::Warning:openstack")
def test_the_sdk_finds_every_service_by_the_catalog(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(cloud.home))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.home / "openstack" / "clouds.yaml"))
    sdk = openstack.connect(cloud="kilonova-admin")
    assert {project.name for project in sdk.identity.projects()} >= {"admin", "demo", "rival"}
    assert {image.name for image in sdk.image.images()} == {"kilonova-tiny"}
    assert {network.name for network in sdk.network.networks()} >= {"public", "private"}
    assert "demo" in {server.name for server in sdk.compute.servers(all_projects=True)}
    assert {provider.name for provider in sdk.placement.resource_providers()} == {"compute1"}
    assert sdk.compute.get_endpoint_data().max_microversion > (2, 90)
    server = sdk.compute.find_server("demo", all_projects=True)
    assert server.status == "ACTIVE"
    assert sdk.network.find_network("private").subnet_ids
    sdk.close()
