"""Where clients begin: version documents and the list of extensions. Only what works is listed."""

from __future__ import annotations

from kilonova.kernel.web import Request, Response, Route, answer
from kilonova.network import errors
from kilonova.network.service import Network

_UPDATED = "2026-01-01T00:00:00-00:00"

EXTENSIONS: tuple[tuple[str, str, str], ...] = (
    ("agent", "agent", "The hosts that carry networks, as agents."),
    ("allowed-address-pairs", "Allowed Address Pairs", "More addresses that a port may send from."),
    ("auto-allocated-topology", "Auto Allocated Topology Services", "A network for a project that has none."),
    ("availability_zone", "Availability Zone", "The zones that hosts are in."),
    ("binding", "Port Binding", "On which host a port is plugged, and how."),
    ("binding-extended", "Port Bindings Extended", "A port bound to more than one host, for live migration."),
    ("dns-integration", "DNS Integration", "Names of ports that guests can look up."),
    ("dns-domain-ports", "dns_domain for ports", "A domain of a port's own."),
    ("external-net", "Neutron external network", "Networks that routers and floating IPs lead to."),
    ("ext-gw-mode", "Neutron L3 Configurable external gateway mode", "Source NAT of a router can be turned off."),
    ("extra_dhcp_opt", "Neutron Extra DHCP options", "DHCP options of single ports."),
    ("extraroute", "Neutron Extra Route", "Static routes of routers."),
    ("extraroute-atomic", "Atomically add/remove extra routes", "Adding and removing single routes."),
    ("filter-validation", "Filter parameters validation", "Unknown filters are refused."),
    ("fip-port-details", "Floating IP Port Details Extension", "Floating IPs show their port."),
    ("ip_allocation", "IP Allocation", "How a port got its addresses."),
    ("ip-substring-filtering", "IP address substring filtering", "Ports by parts of addresses."),
    ("net-mtu", "Network MTU", "Networks show their MTU."),
    ("net-mtu-writable", "Network MTU (writable)", "The MTU of a network can be changed."),
    ("network-ip-availability", "Network IP Availability", "How many addresses are used."),
    ("pagination", "Pagination support", "Lists in pages."),
    ("port-mac-address-regenerate", "Neutron Port MAC address regenerate", "A null MAC makes a new one."),
    ("port-security", "Port Security", "Anti-spoofing and security groups can be turned off."),
    ("project-id", "project_id field enabled", "project_id beside tenant_id."),
    ("provider", "Provider Network", "Which segment a network is on."),
    ("quotas", "Quota management support", "Limits of projects."),
    ("quota_details", "Quota details management support", "Limits with what is used."),
    ("quota-check-limit", "Quota engine limit check", "Limits below what is used can be refused."),
    ("rbac-policies", "RBAC Policies", "Networks shared with single projects."),
    ("rbac-security-groups", "Add security_group type to network RBAC", "Security groups shared with projects."),
    ("rbac-subnetpool", "Add subnetpool type to network RBAC", "Subnet pools shared with projects."),
    ("revision-if-match", "If-Match constraints based on revision_number", "Changes that expect a revision."),
    ("router", "Neutron L3 Router", "Routers and floating IPs."),
    ("security-group", "security-group", "Which traffic ports let through."),
    ("security-groups-normalized-cidr", "Normalized CIDR field for security group rules", "A rule's prefix, exact."),
    ("security-groups-rules-belongs-to-default-sg", "Rules of default security groups", "Shown on rules."),
    ("security-groups-shared-filtering", "Security group filtering on the shared field", "Groups by sharing."),
    ("shared", "Shared", "Networks for everybody."),
    ("sorting", "Sorting support", "Lists in order."),
    ("standard-attr-description", "standard-attr-description", "Descriptions of all resources."),
    ("standard-attr-revisions", "Resource revision numbers", "Each change counts a resource's revision up."),
    ("standard-attr-tag", "Tag support for resources with standard attribute", "Tags."),
    ("standard-attr-timestamp", "Resource timestamps", "When resources were made and changed."),
    ("stateful-security-group", "Stateful security group", "Groups that do not follow connections."),
    ("subnet_allocation", "Subnet Allocation", "Subnets out of subnet pools."),
    ("subnet-dns-publish-fixed-ip", "Subnet DNS Publish Fixed IP", "Whether a subnet's addresses are public."),
    ("subnet-external-network", "Subnet belongs to an external network", "Subnets show router:external."),
    ("subnet-service-types", "Subnet service types", "Subnets for some kinds of devices."),
    ("tag-creation", "Tag creation", "Tags sent when creating."),
    ("uplink-status-propagation", "Port Uplink Status Propagation", "Shown on ports."),
)  # fmt: skip


def _extension(row: tuple[str, str, str]) -> dict[str, object]:
    alias, name, summary = row
    return {"alias": alias, "name": name, "description": summary, "updated": _UPDATED, "links": []}


async def list_extensions(request: Request[Network]) -> Response:
    """GET the extensions."""
    request.allowed = True
    return answer({"extensions": [_extension(row) for row in EXTENSIONS]})


async def show_extension(request: Request[Network]) -> Response:
    """GET one extension by alias."""
    for row in EXTENSIONS:
        if row[0] == request.params["alias"]:
            return answer({"extension": _extension(row)})
    raise errors.ExtensionNotFound(alias=request.params["alias"])


async def list_versions(request: Request[Network]) -> Response:
    """GET the versions: there is one."""
    href = f"{request.url_prefix}/v2.0/"
    version = {"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": href}]}
    return answer({"versions": [version]})


RESOURCES = (
    "networks", "subnets", "subnetpools", "ports", "routers", "floatingips", "security-groups", "security-group-rules",
    "rbac-policies", "quotas", "agents", "availability_zones", "network-ip-availabilities", "extensions",
)  # fmt: skip


async def show_version(request: Request[Network]) -> Response:
    """GET what this version has."""
    base = f"{request.url_prefix}/v2.0"
    listed = [
        {
            "name": name.rstrip("s") if name != "rbac-policies" else "rbac-policy",
            "collection": name,
            "links": [{"rel": "self", "href": f"{base}/{name}"}],
        }
        for name in RESOURCES
    ]
    return answer({"resources": listed})


ROUTES = (
    Route("GET", "/", list_versions, None, "List versions", public=True),
    Route("GET", "/v2.0", show_version, None, "List the resources of this version", public=True),
    Route("GET", "/v2.0/extensions", list_extensions, "regular_user", "List extensions"),
    Route("GET", "/v2.0/extensions/{alias}", show_extension, "regular_user", "Show an extension"),
)
