"""The list of extensions: a thing of the past that old clients still read to learn what is there."""

from __future__ import annotations

from kilonova.compute.api.parts import ComputeRequest
from kilonova.kernel.errors import NotFound
from kilonova.kernel.web import Response, answer

_ALIASES: tuple[tuple[str, str], ...] = (
    ("NMN", "Multinic"),
    ("OS-DCF", "DiskConfig"),
    ("OS-EXT-AZ", "ExtendedAvailabilityZone"),
    ("OS-EXT-IPS", "ExtendedIps"),
    ("OS-EXT-IPS-MAC", "ExtendedIpsMac"),
    ("OS-EXT-SRV-ATTR", "ExtendedServerAttributes"),
    ("OS-EXT-STS", "ExtendedStatus"),
    ("OS-FLV-DISABLED", "FlavorDisabled"),
    ("OS-FLV-EXT-DATA", "FlavorExtraData"),
    ("OS-SCH-HNT", "SchedulerHints"),
    ("OS-SRV-USG", "ServerUsage"),
    ("os-admin-actions", "AdminActions"),
    ("os-aggregates", "Aggregates"),
    ("os-attach-interfaces", "AttachInterfaces"),
    ("os-availability-zone", "AvailabilityZone"),
    ("os-config-drive", "ConfigDrive"),
    ("os-console-output", "ConsoleOutput"),
    ("os-consoles", "Consoles"),
    ("os-create-server-ext", "Createserverext"),
    ("os-flavor-access", "FlavorAccess"),
    ("os-flavor-extra-specs", "FlavorExtraSpecs"),
    ("os-flavor-manage", "FlavorManage"),
    ("os-flavor-rxtx", "FlavorRxtx"),
    ("os-flavor-swap", "FlavorSwap"),
    ("os-floating-ip-pools", "FloatingIpPools"),
    ("os-floating-ips", "FloatingIps"),
    ("os-hosts", "Hosts"),
    ("os-hypervisors", "Hypervisors"),
    ("os-instance_usage_audit_log", "OSInstanceUsageAuditLog"),
    ("os-networks", "Networks"),
    ("os-tenant-networks", "OSTenantNetworks"),
    ("os-instance-actions", "InstanceActions"),
    ("os-keypairs", "Keypairs"),
    ("os-lock-server", "LockServer"),
    ("os-multiple-create", "MultipleCreate"),
    ("os-pause-server", "PauseServer"),
    ("os-personality", "Personality"),
    ("os-quota-class-sets", "QuotaClasses"),
    ("os-quota-sets", "Quotas"),
    ("os-remote-consoles", "RemoteConsoles"),
    ("os-security-groups", "SecurityGroups"),
    ("os-server-diagnostics", "ServerDiagnostics"),
    ("os-server-external-events", "ServerExternalEvents"),
    ("os-server-groups", "ServerGroups"),
    ("os-services", "Services"),
    ("os-simple-tenant-usage", "SimpleTenantUsage"),
    ("os-suspend-server", "SuspendServer"),
    ("os-used-limits", "UsedLimits"),
    ("os-user-data", "UserData"),
)
_ROWS = {
    alias: {
        "alias": alias,
        "name": name,
        "description": f"Part of the API since its beginning: {name}.",
        "links": [],
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "updated": "2014-12-03T00:00:00Z",
    }
    for alias, name in _ALIASES
}


async def list_extensions(request: ComputeRequest) -> Response:
    """GET /extensions"""
    return answer({"extensions": list(_ROWS.values())})


async def show_extension(request: ComputeRequest) -> Response:
    """GET /extensions/{alias}"""
    alias = request.params["alias"]
    if alias not in _ROWS:
        raise NotFound(f"There is no extension {alias}.")
    return answer({"extension": _ROWS[alias]})
