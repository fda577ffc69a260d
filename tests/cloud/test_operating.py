"""What an administrator asks of the cloud by the stock client: services, hosts, zones, flavors, quotas, placement."""

from __future__ import annotations

import re
import uuid

from tests.cloud.make import HOST, Openstack, RunningCloud

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$")


def test_compute_services_are_listed(admin: Openstack, demo: Openstack) -> None:
    rows = {row["Binary"]: row for row in admin.rows("compute service list")}
    assert set(rows) == {"nova-scheduler", "nova-conductor", "nova-compute"}
    agent = rows["nova-compute"]
    assert set(agent) == {"ID", "Binary", "Host", "Zone", "Status", "State", "Updated At"}
    assert (agent["Host"], agent["Zone"], agent["Status"], agent["State"]) == (HOST, "nova", "enabled", "up")
    assert rows["nova-conductor"]["Zone"] == "internal"
    assert DATE.match(agent["Updated At"])
    assert "403" in demo.refused("compute service list")


def test_a_service_is_disabled_and_takes_no_servers(admin: Openstack) -> None:
    admin(f"compute service set --disable --disable-reason rest {HOST} nova-compute")
    try:
        (row,) = admin.rows("compute service list --service nova-compute --long")
        assert (row["Status"], row["Disabled Reason"]) == ("disabled", "rest")
        line = "server create --image kilonova-tiny --flavor m1.nano --nic none --wait sleeper"
        assert "disabled" in admin.refused(line).lower() or admin.fields("server show sleeper")["status"] == "ERROR"
        admin("server delete --wait sleeper")
    finally:
        admin(f"compute service set --enable {HOST} nova-compute")
    (row,) = admin.rows("compute service list --service nova-compute")
    assert row["Status"] == "enabled"


def test_hypervisors_are_listed_and_shown(admin: Openstack, demo: Openstack) -> None:
    (row,) = admin.rows("hypervisor list")
    assert (row["Hypervisor Hostname"], row["Hypervisor Type"], row["State"]) == (HOST, "fake", "up")
    shown = admin.fields(f"hypervisor show {HOST}")
    assert (shown["hypervisor_hostname"], shown["state"], shown["status"]) == (HOST, "up", "enabled")
    assert shown["service_host"] == HOST
    (long,) = admin.rows("--os-compute-api-version 2.87 hypervisor list --long")
    assert long["vCPUs"] >= long["vCPUs Used"] >= 1
    assert long["Memory MB"] >= long["Memory MB Used"] >= 256
    assert "403" in demo.refused("hypervisor list")


def test_availability_zones_are_listed(admin: Openstack, demo: Openstack) -> None:
    assert {"Zone Name": "nova", "Zone Status": "available"} in demo.rows("availability zone list --compute")
    rows = admin.rows("availability zone list --compute --long")
    assert {(r["Zone Name"], r["Host Name"], r["Service Name"]) for r in rows} >= {("nova", HOST, "nova-compute")}


def test_usage_limits_and_quotas(cloud: RunningCloud, admin: Openstack, demo: Openstack) -> None:
    usage = demo.fields("usage show")
    assert "demo" in {server["name"] for server in usage["Servers"]}
    assert usage["RAM MB-Hours"] > 0
    assert cloud.people["member"].project_id in {row["Project"] for row in admin.rows("usage list")}
    limits = {row["Name"]: row["Value"] for row in demo.rows("limits show --absolute")}
    assert (limits["max_total_instances"], limits["total_instances_used"]) == (10, 1)
    quotas = {row["Resource"]: row["Limit"] for row in demo.rows("quota show --compute")}
    assert (quotas["instances"], quotas["cores"], quotas["ram"]) == (10, 20, 51200)
    everything = {row["Resource"] for row in admin.rows("quota show demo")}
    assert everything >= {"instances", "cores", "ram", "key-pairs", "networks", "ports", "routers", "floating_ips"}
    admin("quota set --instances 4 demo")
    assert {r["Resource"]: r["Limit"] for r in demo.rows("quota show --compute")}["instances"] == 4
    line = "server create --image kilonova-tiny --flavor m1.nano --nic none --min 9 --max 9 toomany"
    assert "Quota exceeded" in demo.refused(line)
    admin("quota set --instances 10 demo")


def test_an_aggregate_as_the_transcript_shows_it(admin: Openstack) -> None:
    made = admin.fields("aggregate create --zone nova aggr_cli")
    assert DATE.match(made.pop("created_at"))
    number = made.pop("id")
    assert isinstance(number, int)
    assert uuid.UUID(made.pop("uuid"))
    assert made.pop("hosts") in (None, [])  # the answer to a create says nothing of hosts and properties
    assert made.pop("properties") in (None, {})
    assert made == {
        "availability_zone": "nova",
        "deleted_at": None,
        "is_deleted": False,
        "name": "aggr_cli",
        "updated_at": None,
    }
    assert admin.fields(f"aggregate add host aggr_cli {HOST}")["hosts"] == [HOST]
    shown = admin.fields("aggregate show aggr_cli")
    assert (shown["hosts"], shown["id"], shown["availability_zone"]) == ([HOST], number, "nova")
    assert shown["properties"] == {}
    (row,) = [row for row in admin.rows("aggregate list") if row["ID"] == number]
    assert (row["Name"], row["Availability Zone"]) == ("aggr_cli", "nova")
    assert "400" in admin.refused("aggregate delete aggr_cli")
    removed = admin.fields(f"aggregate remove host aggr_cli {HOST}")
    assert (removed["hosts"], removed["properties"]) == ([], {"availability_zone": "nova"})
    assert admin("aggregate delete aggr_cli") == ""
    assert admin.rows("aggregate list") == []


def test_a_private_flavor_as_the_transcript_shows_it(admin: Openstack, demo: Openstack, rival: Openstack) -> None:
    made = admin.fields("flavor create --vcpu 1 --ram 128 --disk 1 --private --project demo flavor_cli")
    flavor_id = made["id"]
    assert uuid.UUID(flavor_id)
    assert {k: made[k] for k in made if k not in ("id", "description")} == {
        "OS-FLV-DISABLED:disabled": False,
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "disk": 1,
        "name": "flavor_cli",
        "os-flavor-access:is_public": False,
        "properties": {},
        "ram": 128,
        "rxtx_factor": 1.0,
        "swap": 0,
        "vcpus": 1,
    }
    row = {
        "ID": flavor_id, "Name": "flavor_cli", "RAM": 128, "Disk": 1, "Ephemeral": 0, "VCPUs": 1, "Is Public": False,
    }  # fmt: skip
    assert row in admin.rows("flavor list --all")
    assert row not in admin.rows("flavor list")
    assert row in demo.rows("flavor list")
    assert "flavor_cli" not in {r["Name"] for r in rival.rows("flavor list")}
    assert admin.fields("flavor show flavor_cli")["access_project_ids"]
    admin("flavor set --property hw:cpu_policy=shared flavor_cli")
    assert admin.fields("flavor show flavor_cli")["properties"] == {"hw:cpu_policy": "shared"}
    admin("flavor unset --property hw:cpu_policy flavor_cli")
    assert admin("flavor delete flavor_cli") == ""
    assert "No Flavor" in admin.refused("flavor show flavor_cli")
    assert "403" in demo.refused("flavor create --ram 64 --disk 1 --vcpus 1 mine")


def test_resource_providers_by_osc_placement(cloud: RunningCloud, admin: Openstack, demo: Openstack) -> None:
    version = "--os-placement-api-version 1.39"
    (row,) = admin.rows(f"{version} resource provider list")
    assert row["name"] == HOST
    provider = row["uuid"]
    assert admin.fields(f"{version} resource provider show {provider}")["generation"] > 0
    inventory = {r["resource_class"]: r for r in admin.rows(f"{version} resource provider inventory list {provider}")}
    assert {"VCPU", "MEMORY_MB", "DISK_GB"} <= set(inventory)
    usage = {r["resource_class"]: r["usage"] for r in admin.rows(f"{version} resource provider usage show {provider}")}
    assert usage["MEMORY_MB"] >= 256
    server_id = demo.fields("server show demo")["id"]
    (allocation,) = admin.rows(f"{version} resource provider allocation show {server_id}")
    assert allocation["resource_provider"] == provider
    assert allocation["resources"] == {"VCPU": 1, "MEMORY_MB": 256, "DISK_GB": 1}
    candidates = admin.rows(f"{version} allocation candidate list --resource VCPU=1 --resource MEMORY_MB=64")
    assert {c["resource provider"] for c in candidates} == {provider}
    assert "VCPU" in {r["name"] for r in admin.rows(f"{version} resource class list")}
    assert admin.rows(f"{version} trait list --name startswith:HW_CPU_X86")
    admin.rows(f"{version} resource provider trait list {provider}")
    admin.rows(f"{version} resource provider aggregate list {provider}")
    made = admin.fields(f"{version} resource provider create shelf")
    admin(f"{version} resource class create CUSTOM_BOOK")
    admin(f"{version} resource provider inventory set {made['uuid']} --resource CUSTOM_BOOK=10")
    assert admin.fields(f"{version} resource provider inventory show {made['uuid']} CUSTOM_BOOK")["total"] == 10
    admin(f"{version} resource provider inventory delete {made['uuid']}")
    admin(f"{version} resource provider delete {made['uuid']}")
    admin(f"{version} resource class delete CUSTOM_BOOK")
    assert "403" in demo.refused(f"{version} resource provider list")
