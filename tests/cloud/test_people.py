"""Identity by the stock client: tokens, the catalog, and the life of projects, users, roles and domains."""

from __future__ import annotations

from tests.cloud.make import Openstack, RunningCloud


def test_a_token_is_issued_for_the_project_of_the_user(cloud: RunningCloud, demo: Openstack) -> None:
    token = demo.fields("token issue")
    assert set(token) == {"expires", "id", "project_id", "user_id"}
    member = cloud.people["member"]
    assert (token["project_id"], token["user_id"]) == (member.project_id, member.user_id)


def test_the_catalog_names_every_service_with_its_endpoints(cloud: RunningCloud, demo: Openstack) -> None:
    catalog = demo.rows("catalog list")
    names = {row["Type"]: row["Name"] for row in catalog}
    assert names == {
        "identity": "keystone",
        "compute": "nova",
        "image": "glance",
        "network": "neutron",
        "placement": "placement",
    }
    for row in catalog:
        assert {one["interface"] for one in row["Endpoints"]} == {"public", "internal", "admin"}
        for one in row["Endpoints"]:
            assert one["region"] == "RegionOne"
            assert one["url"].startswith(f"{cloud.url}/{row['Type']}")
    assert demo.fields("catalog show compute")["type"] == "compute"


def test_the_life_of_a_project(admin: Openstack) -> None:
    made = admin.fields("project create --description 'of the stories' stories")
    assert (made["name"], made["enabled"], made["domain_id"]) == ("stories", True, "default")
    assert {"ID": made["id"], "Name": "stories"} in admin.rows("project list")
    assert admin.fields("project show stories")["description"] == "of the stories"
    assert admin("project delete stories") == ""
    assert "No Project" in admin.refused("project show stories")


def test_the_life_of_a_user_and_a_role(admin: Openstack) -> None:
    user = admin.fields("user create --password secret --email ann@example.org ann")
    assert (user["name"], user["enabled"], user["domain_id"]) == ("ann", True, "default")
    assert "ann" in {row["Name"] for row in admin.rows("user list")}
    role = admin.fields("role create teller")
    assert {"ID": role["id"], "Name": "teller"} in admin.rows("role list")
    assert admin("role add --user ann --project demo teller") == ""
    (assigned,) = admin.rows("role assignment list --user ann --names")
    assert (assigned["Role"], assigned["User"], assigned["Project"]) == ("teller", "ann@Default", "demo@Default")
    assert admin("role remove --user ann --project demo teller") == ""
    assert admin.rows("role assignment list --user ann") == []
    assert admin.fields("role show teller")["name"] == "teller"
    assert admin.fields("user show ann")["email"] == "ann@example.org"
    assert admin("user delete ann") == ""
    assert admin("role delete teller") == ""
    assert "No User" in admin.refused("user show ann")


def test_the_life_of_a_domain(admin: Openstack) -> None:
    made = admin.fields("domain create --description 'far away' acme")
    assert "acme" in {row["Name"] for row in admin.rows("domain list")}
    assert admin.fields("domain show acme")["id"] == made["id"]
    assert "403" in admin.refused("domain delete acme")
    admin("domain set --disable acme")
    assert admin("domain delete acme") == ""
    assert {row["Name"] for row in admin.rows("domain list")} == {"Default"}


def test_a_member_administers_nobody(demo: Openstack) -> None:
    for line in ("user list", "project create mine", "role create mine", "domain create mine"):
        assert "403" in demo.refused(line)
