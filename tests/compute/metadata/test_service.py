"""The metadata service: the signature decides whose documents are shown."""

from __future__ import annotations

from kilonova.compute.metadata.app import MetadataParts, build_metadata, sign
from kilonova.kernel.testing import TestClient
from tests.compute.workflows.world import World


async def a_service() -> tuple[World, TestClient, str]:
    world = await World().up()
    server_id = await world.built(public_key="ssh-ed25519 AAAA", key_name="mine")
    parts = MetadataParts(world.db, world.parts.network, world.parts.networks, world.clock, "secret")
    return world, TestClient(build_metadata(parts)), server_id


def signed(server_id: str, project: str = "demo", secret: str = "secret") -> dict[str, str]:
    return {
        "X-Instance-ID": server_id,
        "X-Tenant-ID": project,
        "X-Instance-ID-Signature": sign(secret, server_id),
        "X-Forwarded-For": "10.0.0.4",
    }


async def test_a_guest_reads_its_documents():
    _world, client, server_id = await a_service()
    answer = await client.get("/openstack/latest/meta_data.json", token=None, headers=signed(server_id))
    assert (answer.status, answer.json["uuid"]) == (200, server_id)
    assert answer.json["public_keys"] == {"mine": "ssh-ed25519 AAAA"}
    answer = await client.get("/openstack/latest/network_data.json", token=None, headers=signed(server_id))
    assert answer.json["links"][0]["mtu"] == 1442
    listing = await client.get("/", token=None, headers=signed(server_id))
    assert b"openstack" in listing.body


async def test_without_a_signature_nothing_is_told():
    _world, client, server_id = await a_service()
    assert (await client.get("/latest/meta-data/", token=None)).status == 400
    wrong = signed(server_id, secret="guessed")
    assert (await client.get("/latest/meta-data/", token=None, headers=wrong)).status == 403
    other = signed(server_id, project="someone")
    assert (await client.get("/latest/meta-data/", token=None, headers=other)).status == 404
    nobody = signed("99999999-9999-4999-8999-999999999999")
    assert (await client.get("/latest/meta-data/", token=None, headers=nobody)).status == 404
    junk = signed("../../etc")
    assert (await client.get("/latest/meta-data/", token=None, headers=junk)).status == 400


async def test_what_is_not_there_is_not_found():
    _world, client, server_id = await a_service()
    assert (await client.get("/latest/user-data", token=None, headers=signed(server_id))).status == 404
    assert (await client.get("/latest/nothing", token=None, headers=signed(server_id))).status == 404
