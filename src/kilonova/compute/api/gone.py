"""What was part of the API once and is not any more, in any microversion: 410."""

from __future__ import annotations

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.errors import NoSuchResourceAnyMore
from kilonova.kernel.web import Response

URLS: tuple[tuple[str, str], ...] = tuple(
    (method, path)
    for path, methods in (
        ("/os-agents", "GET POST"),
        ("/os-agents/{id}", "PUT DELETE"),
        ("/os-cells", "GET POST"),
        ("/os-cells/capacities", "GET"),
        ("/os-cells/detail", "GET"),
        ("/os-cells/info", "GET"),
        ("/os-cells/sync_instances", "POST"),
        ("/os-cells/{id}", "GET PUT DELETE"),
        ("/os-cells/{id}/capacities", "GET"),
        ("/os-certificates", "POST"),
        ("/os-certificates/{id}", "GET"),
        ("/os-cloudpipe", "GET POST"),
        ("/os-cloudpipe/{id}", "PUT"),
        ("/os-fixed-ips/{id}", "GET"),
        ("/os-fixed-ips/{id}/action", "POST"),
        ("/os-floating-ip-dns", "GET"),
        ("/os-floating-ip-dns/{id}", "PUT DELETE"),
        ("/os-floating-ip-dns/{id}/entries/{entry_id}", "GET PUT DELETE"),
        ("/os-floating-ips-bulk", "GET POST"),
        ("/os-floating-ips-bulk/{id}", "GET PUT"),
        ("/os-fping", "GET"),
        ("/os-fping/{id}", "GET"),
        ("/os-security-group-default-rules", "GET POST"),
        ("/os-security-group-default-rules/{id}", "GET DELETE"),
        ("/os-networks", "POST"),
        ("/os-networks/add", "POST"),
        ("/os-networks/{id}", "DELETE"),
        ("/os-networks/{id}/action", "POST"),
        ("/os-tenant-networks", "POST"),
        ("/os-tenant-networks/{id}", "DELETE"),
        ("/servers/{server_id}/consoles", "GET POST"),
        ("/servers/{server_id}/consoles/{id}", "GET DELETE"),
        ("/servers/{server_id}/os-virtual-interfaces", "GET"),
    )
    for method in methods.split()
)


async def gone(request: ComputeRequest) -> Response:
    """Removed from the API"""
    raise NoSuchResourceAnyMore()
