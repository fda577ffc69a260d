"""What guests read about themselves."""

from __future__ import annotations

import base64
import json

from kilonova.compute.calls import Address, GuestOrder, Nic, Persona, SubnetFacts
from kilonova.compute.metadata.documents import config_drive_tree, meta_data, network_data, openstack_tree
from kilonova.compute.metadata.lookup import lookup
from kilonova.compute.model.flavors import FlavorSnapshot
from kilonova.compute.model.operations import InjectedFile
from kilonova.compute.model.servers import ImageSnapshot

KEY = "ssh-ed25519 AAAA me@home"


def an_order(*, has_dhcp: bool = True, **persona: object) -> GuestOrder:
    subnet = SubnetFacts(
        id="s1",
        cidr="10.0.0.0/24",
        gateway_ip="10.0.0.1",
        has_dhcp=has_dhcp,
        dns=("9.9.9.9",),
        routes=(("10.9.0.0/16", "10.0.0.9"),),
    )
    facts = {
        "name": "web",
        "hostname": "web",
        "project_id": "p1",
        "zone": "nova",
        "key_name": "mine",
        "public_key": KEY,
        "user_data": base64.b64encode(b"#!/bin/sh\n").decode(),
        "metadata": {"role": "front"},
        "dns_domain": "example.org.",
        **persona,
    }
    return GuestOrder(
        server_id="11111111-2222-4333-8444-555555555555",
        number=10,
        guest_name="instance-0000000a",
        title="web",
        flavor=FlavorSnapshot("1", "tiny", 1, 64, 1),
        image=ImageSnapshot("99999999-0000-4000-8000-000000000000"),
        persona=Persona(**facts),  # type: ignore[arg-type]
        nics=(
            Nic(
                port_id="abcdefab-1111-4111-8111-111111111111",
                network_id="n1",
                mac="fa:16:3e:00:00:01",
                mtu=1442,
                tag="front",
                addresses=(Address(address="10.0.0.5", subnet=subnet),),
            ),
        ),
    )


def test_meta_data_tells_name_keys_and_project():
    document = meta_data(an_order())
    assert document["hostname"] == "web.example.org"
    assert document["public_keys"] == {"mine": KEY}
    assert document["keys"] == [{"type": "ssh", "name": "mine", "data": KEY}]
    assert document["project_id"] == "p1"
    assert document["meta"] == {"role": "front"}
    assert document["devices"][0]["tags"] == ["front"]


def test_an_early_version_does_not_show_later_keys():
    document = meta_data(an_order(), "2012-08-10")
    assert "keys" not in document
    assert "project_id" not in document
    assert "openstack/2012-08-10/network_data.json" not in openstack_tree(an_order())


def test_network_data_with_and_without_dhcp():
    dynamic = network_data(an_order())
    assert dynamic["links"][0] == {
        "id": "tapabcdefab-11",
        "vif_id": "abcdefab-1111-4111-8111-111111111111",
        "type": "ovs",
        "mtu": 1442,
        "ethernet_mac_address": "fa:16:3e:00:00:01",
    }
    assert dynamic["networks"] == [
        {"id": "network0", "link": "tapabcdefab-11", "network_id": "n1", "type": "ipv4_dhcp"}
    ]
    assert dynamic["services"] == [{"type": "dns", "address": "9.9.9.9"}]
    [fixed] = network_data(an_order(has_dhcp=False))["networks"]
    assert (fixed["type"], fixed["ip_address"], fixed["netmask"]) == ("ipv4", "10.0.0.5", "255.255.255.0")
    assert {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"} in fixed["routes"]
    assert {"network": "10.9.0.0", "netmask": "255.255.0.0", "gateway": "10.0.0.9"} in fixed["routes"]


def test_a_config_drive_has_both_forms_files_and_password():
    file = InjectedFile("/etc/motd", base64.b64encode(b"hello").decode())
    tree = config_drive_tree(an_order(files=(file,), admin_password="s3cret"))
    latest = json.loads(tree["openstack/latest/meta_data.json"])
    assert latest["files"] == [{"content_path": "/content/0000", "path": "/etc/motd"}]
    assert latest["admin_pass"] == "s3cret"
    assert tree["openstack/content/0000"] == b"hello"
    assert tree["openstack/latest/user_data"] == b"#!/bin/sh\n"
    assert json.loads(tree["ec2/latest/meta-data.json"])["instance-id"] == "i-0000000a"


def test_paths_lead_to_documents_and_listings():
    order = an_order()

    def text(path: str) -> str | None:
        found = lookup(order, path, "172.24.4.5")
        return None if found is None else found[1].decode()

    assert "openstack" in (text("/") or "").split("\n")
    assert "2018-08-27" in (text("openstack") or "").split("\n")
    assert "meta_data.json" in (text("openstack/latest/") or "").split("\n")
    assert json.loads(text("openstack/latest/meta_data.json") or "")["name"] == "web"
    assert text("latest") == "meta-data/\nuser-data"
    assert "public-keys/" in (text("latest/meta-data/") or "").split("\n")
    assert text("2009-04-04/meta-data/public-keys/") == "0=mine"
    assert text("2009-04-04/meta-data/public-keys/0/") == "openssh-key"
    assert text("2009-04-04/meta-data/public-keys/0/openssh-key") == KEY
    assert text("latest/meta-data/local-ipv4") == "10.0.0.5"
    assert text("latest/meta-data/public-ipv4") == "172.24.4.5"
    assert text("latest/meta-data/placement/availability-zone") == "nova"
    assert text("latest/user-data") == "#!/bin/sh\n"
    for nowhere in ("latest/meta-data/nothing", "openstack/latest/nothing", "1999-01-01", "openstack/1999-01-01"):
        assert text(nowhere) is None
