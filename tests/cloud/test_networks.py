"""The network by the stock client: each thing created, listed, shown, set and deleted."""

from __future__ import annotations

import ipaddress

from tests.cloud.make import Openstack, RunningCloud


def test_the_life_of_a_network_with_a_subnet(cloud: RunningCloud, demo: Openstack) -> None:
    net = demo.fields("network create --description 'for the story' stage")
    assert (net["name"], net["status"], net["admin_state_up"], net["shared"]) == ("stage", "ACTIVE", True, False)
    assert net["project_id"] == cloud.people["member"].project_id
    subnet = demo.fields(
        "subnet create --network stage --subnet-range 192.168.9.0/24 --dns-nameserver 9.9.9.9 "
        "--allocation-pool start=192.168.9.10,end=192.168.9.20 stage-subnet"
    )
    assert (subnet["cidr"], subnet["gateway_ip"], subnet["enable_dhcp"]) == ("192.168.9.0/24", "192.168.9.1", True)
    assert subnet["allocation_pools"] == [{"start": "192.168.9.10", "end": "192.168.9.20"}]
    assert {"ID": net["id"], "Name": "stage", "Subnets": [subnet["id"]]} in demo.rows("network list")
    assert subnet["id"] in {row["ID"] for row in demo.rows("subnet list --network stage")}
    assert demo.fields("network show stage")["subnets"] == [subnet["id"]]
    assert demo.fields("subnet show stage-subnet")["dns_nameservers"] == ["9.9.9.9"]
    demo("subnet set --name renamed stage-subnet")
    demo("network set --name scene stage")
    assert demo("subnet delete renamed") == ""
    assert demo("network delete scene") == ""
    assert "No Network" in demo.refused("network show scene")


def test_the_life_of_a_port(demo: Openstack) -> None:
    demo("network create harbour")
    subnet = demo.fields("subnet create --network harbour --subnet-range 192.168.8.0/24 harbour-subnet")
    port = demo.fields(f"port create --network harbour --fixed-ip subnet={subnet['id']},ip-address=192.168.8.77 quay")
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "192.168.8.77"}]
    assert (port["status"], port["device_owner"]) == ("DOWN", "")
    assert [row["Name"] for row in demo.rows("port list --network harbour")].count("quay") == 1
    demo("port set --name pier --description wood quay")
    assert demo.fields("port show pier")["description"] == "wood"
    assert "409" in demo.refused("network delete harbour")
    assert demo("port delete pier") == ""
    demo("network delete harbour")
    assert "No Subnet" in demo.refused("subnet show harbour-subnet")


def test_the_life_of_a_router_and_a_floating_ip(demo: Openstack) -> None:
    demo("network create inside")
    subnet = demo.fields("subnet create --network inside --subnet-range 192.168.7.0/24 inside-subnet")
    made = demo.fields("router create door")
    assert (made["status"], made["admin_state_up"], made["external_gateway_info"]) == ("ACTIVE", True, None)
    demo("router set --external-gateway public door")
    demo("router add subnet door inside-subnet")
    shown = demo.fields("router show door")
    assert shown["external_gateway_info"]["external_fixed_ips"]
    assert [one["subnet_id"] for one in shown["interfaces_info"]] == [subnet["id"]]
    assert "door" in {row["Name"] for row in demo.rows("router list")}
    port = demo.fields("port create --network inside window")
    fip = demo.fields("floating ip create public")
    address = fip["floating_ip_address"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network("172.24.4.0/24")
    demo(f"floating ip set --port window {address}")
    (row,) = [row for row in demo.rows("floating ip list") if row["Floating IP Address"] == address]
    assert (row["Fixed IP Address"], row["Port"]) == (port["fixed_ips"][0]["ip_address"], port["id"])
    assert demo.fields(f"floating ip show {address}")["router_id"] == made["id"]
    assert "409" in demo.refused("router remove subnet door inside-subnet")
    demo(f"floating ip unset --port {address}")
    assert demo(f"floating ip delete {address}") == ""
    assert "409" in demo.refused("router delete door")
    demo("router remove subnet door inside-subnet")
    demo("router unset --external-gateway door")
    assert demo("router delete door") == ""
    demo("port delete window")
    demo("network delete inside")


def test_the_life_of_a_security_group(demo: Openstack) -> None:
    group = demo.fields("security group create --description walls castle")
    assert len(group["rules"]) == 2
    rule = demo.fields("security group rule create --protocol tcp --dst-port 80:81 --remote-ip 10.0.0.0/8 castle")
    assert (rule["port_range_min"], rule["port_range_max"], rule["direction"]) == (80, 81, "ingress")
    assert (rule["protocol"], rule["ether_type"], rule["remote_ip_prefix"]) == ("tcp", "IPv4", "10.0.0.0/8")
    other = demo.fields("security group rule create --remote-group castle --protocol icmp castle")
    assert other["remote_group_id"] == group["id"]
    listed = demo.rows("security group rule list castle")
    assert {rule["id"], other["id"]} < {row["ID"] for row in listed}
    assert demo.fields(f"security group rule show {rule['id']}")["port_range_min"] == 80
    assert "409" in demo.refused("security group rule create --remote-group castle --protocol icmp castle")
    demo(f"security group rule delete {rule['id']}")
    demo("security group set --name keep castle")
    assert demo.fields("security group show keep")["description"] == "walls"
    assert "castle" not in {row["Name"] for row in demo.rows("security group list")}
    assert demo("security group delete keep") == ""


def test_an_administrator_sees_how_a_network_is_carried(admin: Openstack, demo: Openstack) -> None:
    shown = admin.fields("network show public")
    assert (shown["provider:network_type"], shown["provider:physical_network"]) == ("flat", "public")
    assert shown["router:external"] is True
    assert demo.fields("network show public").get("provider:network_type") is None
    assert {row["Agent Type"] for row in admin.rows("network agent list")} >= set()
    assert admin.rows("extension list --network")


def test_a_project_has_quotas_of_its_network(admin: Openstack) -> None:
    shown = admin.rows("quota show --network demo")
    by_name = {row["Resource"]: row["Limit"] for row in shown}
    assert by_name["networks"] > 0
    admin("quota set --networks 7 demo")
    assert {row["Resource"]: row["Limit"] for row in admin.rows("quota show --network demo")}["networks"] == 7
    admin(f"quota set --networks {by_name['networks']} demo")
