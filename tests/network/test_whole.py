"""What holds for the service as a whole: its schema, its routes, its rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from kilonova.kernel.db import upgrade
from kilonova.network.app import MIGRATIONS
from kilonova.network.policies import RULES
from kilonova.network.routes import RESOURCES, ROUTES
from kilonova.network.store.tables import metadata
from tests.network.cloud import ADMIN, OTHER, Cloud, make_cloud

URLS = {resource.name: resource.url.removeprefix("/v2.0/") for resource in RESOURCES}


async def one_of_each(cloud: Cloud) -> dict[str, Any]:
    """An object of every kind, owned by the project demo."""
    outside, _ = await cloud.outside()
    network, subnet = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    router = await cloud.make("router", external_gateway_info={"network_id": outside["id"]})
    await cloud.ok("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    group = await cloud.make("security_group", name="web")
    return {
        "network": network,
        "subnet": subnet,
        "subnetpool": await cloud.make("subnetpool", prefixes=["10.9.0.0/16"]),
        "port": port,
        "router": router,
        "floatingip": await cloud.make("floatingip", floating_network_id=outside["id"], port_id=port["id"]),
        "security_group": group,
        "security_group_rule": group["security_group_rules"][0],
        "rbac_policy": await cloud.make(
            "rbac_policy",
            object_type="security_group",
            object_id=group["id"],
            action="access_as_shared",
            target_tenant="third",
        ),
    }


def test_the_migrations_make_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/network.db"
    upgrade(url, MIGRATIONS)
    with create_engine(url).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []


async def test_no_operation_shows_or_changes_another_projects_objects() -> None:
    cloud = make_cloud()
    objects = await one_of_each(cloud)
    checked = 0
    for route in ROUTES:
        owner = next((r for r in RESOURCES if route.path.startswith(r.url + "/{id}")), None)
        if owner is None or owner.name not in objects:
            continue
        path = route.path.removeprefix("/v2.0/")
        for name, value in (("id", objects[owner.name]["id"]), ("host", "one"), ("tag", "t")):
            path = path.replace("{" + name + "}", value)
        reply = await cloud.ask(route.method, path, _body(route, owner.name, objects), token=OTHER)
        assert reply.status == 404, (route.method, path, reply.status, reply.json)
        assert reply.json["NeutronError"]["type"] == owner.missing(id="").type_name
        checked += 1
    assert checked > 60
    for name, one in objects.items():
        listed = (await cloud.ok("GET", URLS[name], token=OTHER)).popitem()[1]
        assert one["id"] not in {row["id"] for row in listed}
        assert (await cloud.ask("GET", f"{URLS[name]}/{one['id']}")).status == 200


def _body(route: Any, noun: str, objects: dict[str, Any]) -> Any:
    if route.method not in ("PUT", "POST") or route.body is None:
        return None
    if "interface" in route.path:
        return {"subnet_id": objects["subnet"]["id"]}
    if "extraroutes" in route.path:
        return {"router": {"routes": []}}
    if route.path.endswith("/tags"):
        return {"tags": []}
    if route.path.endswith("/bindings"):
        return {"binding": {"host": "one"}}
    return {noun: {"target_tenant": "rival"} if noun == "rbac_policy" else {}}


async def test_an_object_of_every_kind_has_the_same_face_in_lists_and_alone() -> None:
    cloud = make_cloud()
    for name, one in (await one_of_each(cloud)).items():
        alone = (await cloud.ok("GET", f"{URLS[name]}/{one['id']}"))[name]
        listed = (await cloud.ok("GET", f"{URLS[name]}?id={one['id']}")).popitem()[1]
        assert listed == [alone]
        assert alone["tenant_id"] == alone["project_id"] == "demo"
        fields = (await cloud.ok("GET", f"{URLS[name]}/{one['id']}?fields=id"))[name]
        assert fields == {"id": one["id"]}


def test_every_rule_that_a_route_names_is_there_and_every_attribute_rule_has_its_attribute() -> None:
    names = {rule.name for rule in RULES}
    assert {route.policy for route in ROUTES if route.policy} <= names
    attributes = {(r.name, a.name) for r in RESOURCES for a in r.attributes}
    for name in names:
        verb_noun, _, attribute = name.partition(":")
        noun = verb_noun.partition("_")[2]
        if attribute and attribute.split(":")[0] in ("shared", "fixed_ips", "binding", "provider", "tags"):
            whole = attribute if attribute.split(":")[0] in ("binding", "provider") else attribute.split(":")[0]
            assert (noun, whole) in attributes, name


async def test_version_documents_and_extensions() -> None:
    cloud = make_cloud()
    root = await cloud.client.get("/", token=None)
    assert root.json["versions"][0]["id"] == "v2.0"
    assert root.json["versions"][0]["links"][0]["href"].endswith("/v2.0/")
    assert (await cloud.client.get("/v2.0/", token=None)).json["resources"]
    assert (await cloud.client.get("/v2.0/networks", token=None)).status == 401
    aliases = {e["alias"] for e in (await cloud.ok("GET", "extensions"))["extensions"]}
    assert {"router", "security-group", "binding", "external-net"} <= aliases
    await cloud.refused(404, "ExtensionNotFound", "GET", "extensions/trunk")
    await cloud.refused(404, "HTTPNotFound", "GET", "shoes")
    described = (await cloud.client.get("/openapi.json", token=None)).json
    assert "/v2.0/networks" in described["paths"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
@pytest.mark.parametrize("noun", sorted(URLS))
async def test_no_body_is_more_than_refused(noun: str, data: st.DataObject) -> None:
    resource = next(r for r in RESOURCES if r.name == noun)
    cloud = make_cloud()
    names = [a.name for a in resource.attributes]
    body = {noun: data.draw(st.dictionaries(st.sampled_from(names), json_values, max_size=4))}
    for method, path in (("POST", URLS[noun]), ("PUT", f"{URLS[noun]}/11111111-2222-3333-4444-555555555555")):
        reply = await cloud.ask(method, path, body, token=ADMIN)
        assert reply.status < 500, reply.json
