"""Every URL of compute as one table. Each path is served with and without the project in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kilonova.compute.api import (
    action_schemas,
    create_server,
    flavor_schemas,
    flavors,
    hypervisor_fields,
    hypervisors,
    keypair_fields,
    keypairs,
    server_schemas,
    servers,
    service_fields,
    services,
    versions,
)
from kilonova.compute.api.actions import admin, power
from kilonova.compute.errors import WrongProject
from kilonova.compute.microversions import v
from kilonova.compute.policies import full_name
from kilonova.kernel.web import Request, Response, Route, StreamResponse
from kilonova.kernel.web.route import Handler


def _r(method: str, path: str, handler: Handler, rule: str, summary: str = "", **more: Any) -> Route:
    return Route(method, path, handler, full_name(rule), summary or (handler.__doc__ or "").strip(), **more)


def _a(action: str, handler: Handler, rule: str, body: Any = None, **more: Any) -> Route:
    """A row for one action on a server."""
    return _r(
        "POST",
        "/servers/{server_id}/action",
        handler,
        rule,
        action=action,
        body=body if body is not None else action_schemas.bare(action),
        checks_target=True,
        status=202,
        **more,
    )


_FLAVOR = "/flavors/{flavor_id}"

FLAVORS = (
    _r("GET", "/flavors", flavors.list_flavors, "flavors", query=flavor_schemas.LIST),
    _r("GET", "/flavors/detail", flavors.list_flavors_in_detail, "flavors", query=flavor_schemas.LIST),
    _r("POST", "/flavors", flavors.create_flavor, "os-flavor-manage:create", body=flavor_schemas.CREATE),
    _r("GET", _FLAVOR, flavors.show_flavor, "flavors"),
    _r("PUT", _FLAVOR, flavors.update_flavor, "os-flavor-manage:update", body=flavor_schemas.UPDATE, since=v(55)),
    _r("DELETE", _FLAVOR, flavors.delete_flavor, "os-flavor-manage:delete", status=202),
    _r("GET", _FLAVOR + "/os-extra_specs", flavors.list_extra_specs, "os-flavor-extra-specs:index"),
    _r(
        "POST",
        _FLAVOR + "/os-extra_specs",
        flavors.create_extra_specs,
        "os-flavor-extra-specs:create",
        body=flavor_schemas.EXTRA_SPECS,
    ),
    _r("GET", _FLAVOR + "/os-extra_specs/{key}", flavors.show_extra_spec, "os-flavor-extra-specs:show"),
    _r(
        "PUT",
        _FLAVOR + "/os-extra_specs/{key}",
        flavors.update_extra_spec,
        "os-flavor-extra-specs:update",
        body=flavor_schemas.EXTRA_SPEC,
    ),
    _r("DELETE", _FLAVOR + "/os-extra_specs/{key}", flavors.delete_extra_spec, "os-flavor-extra-specs:delete"),
    _r("GET", _FLAVOR + "/os-flavor-access", flavors.list_access, "os-flavor-access"),
    _r(
        "POST",
        _FLAVOR + "/action",
        flavors.add_access,
        "os-flavor-access:add_tenant_access",
        action="addTenantAccess",
        body=flavor_schemas.ADD_PROJECT,
    ),
    _r(
        "POST",
        _FLAVOR + "/action",
        flavors.remove_access,
        "os-flavor-access:remove_tenant_access",
        action="removeTenantAccess",
        body=flavor_schemas.REMOVE_PROJECT,
    ),
)

_KEY: dict[str, Any] = {"checks_target": True}

KEYPAIRS = (
    _r("GET", "/os-keypairs", keypairs.list_keypairs, "os-keypairs:index", query=keypair_fields.LIST, **_KEY),
    _r(
        "POST",
        "/os-keypairs",
        keypairs.create_keypair,
        "os-keypairs:create",
        body=keypair_fields.CREATE,
        status=201,
        **_KEY,
    ),
    _r("GET", "/os-keypairs/{name}", keypairs.show_keypair, "os-keypairs:show", query=keypair_fields.ONE, **_KEY),
    _r(
        "DELETE",
        "/os-keypairs/{name}",
        keypairs.delete_keypair,
        "os-keypairs:delete",
        query=keypair_fields.ONE,
        status=204,
        **_KEY,
    ),
)

_SERVER = "/servers/{server_id}"

SERVERS = (
    _r("GET", "/servers", servers.list_servers, "servers:index", query=server_schemas.LIST),
    _r("GET", "/servers/detail", servers.list_servers_in_detail, "servers:detail", query=server_schemas.LIST),
    _r("POST", "/servers", create_server.create_server, "servers:create", body=server_schemas.CREATE, status=202),
    _r("GET", _SERVER, servers.show_server, "servers:show", checks_target=True),
    _r("PUT", _SERVER, servers.update_server, "servers:update", body=server_schemas.UPDATE, checks_target=True),
    _r("DELETE", _SERVER, servers.delete_server, "servers:delete", checks_target=True, status=204),
)

ACTIONS = (
    _a("os-start", power.start, "servers:start"),
    _a("os-stop", power.stop, "servers:stop"),
    _a("reboot", power.reboot, "servers:reboot", action_schemas.REBOOT),
    _a("pause", power.pause, "os-pause-server:pause"),
    _a("unpause", power.unpause, "os-pause-server:unpause"),
    _a("suspend", power.suspend, "os-suspend-server:suspend"),
    _a("resume", power.resume, "os-suspend-server:resume"),
    _a("lock", admin.lock, "os-lock-server:lock", action_schemas.LOCK),
    _a("unlock", admin.unlock, "os-lock-server:unlock"),
    _a("forceDelete", admin.force_delete, "os-deferred-delete:force"),
    _a("os-resetState", admin.reset_state, "os-admin-actions:reset_state", action_schemas.RESET_STATE),
)

HOSTS = (
    _r("GET", "/os-services", services.list_services, "os-services:list", query=service_fields.LIST),
    _r("PUT", "/os-services/enable", services.enable, "os-services:update", body=service_fields.NAMED, until=v(52)),
    _r("PUT", "/os-services/disable", services.disable, "os-services:update", body=service_fields.NAMED, until=v(52)),
    _r(
        "PUT",
        "/os-services/disable-log-reason",
        services.disable_with_reason,
        "os-services:update",
        body=service_fields.NAMED,
        until=v(52),
    ),
    _r(
        "PUT",
        "/os-services/force-down",
        services.force_down,
        "os-services:update",
        body=service_fields.NAMED,
        since=v(11),
        until=v(52),
    ),
    _r(
        "PUT",
        "/os-services/{service_id}",
        services.update_service,
        "os-services:update",
        body=service_fields.UPDATE,
        since=v(53),
    ),
    _r("DELETE", "/os-services/{service_id}", services.delete_service, "os-services:delete", status=204),
    _r("GET", "/os-hypervisors", hypervisors.list_hypervisors, "os-hypervisors:list", query=hypervisor_fields.LIST),
    _r(
        "GET",
        "/os-hypervisors/detail",
        hypervisors.list_hypervisors_in_detail,
        "os-hypervisors:list-detail",
        query=hypervisor_fields.LIST,
    ),
    _r("GET", "/os-hypervisors/statistics", hypervisors.statistics, "os-hypervisors:statistics", until=v(87)),
    _r("GET", "/os-hypervisors/{hypervisor_id}", hypervisors.show_hypervisor, "os-hypervisors:show"),
    _r("GET", "/os-hypervisors/{hypervisor_id}/uptime", hypervisors.uptime, "os-hypervisors:uptime", until=v(87)),
    _r("GET", "/os-hypervisors/{hypervisor_id}/search", hypervisors.search, "os-hypervisors:search", until=v(52)),
    _r(
        "GET",
        "/os-hypervisors/{hypervisor_id}/servers",
        hypervisors.servers_of,
        "os-hypervisors:servers",
        until=v(52),
    ),
)

VERSIONS = (
    Route("GET", "/", versions.list_versions, None, "The versions spoken here", public=True),
    Route("GET", "/v2.1", versions.show_version, None, "This version", public=True),
)


def _in_project(handler: Handler) -> Handler:
    """Refuse a URL that names another project than the token does."""

    async def checked(request: Request[Any]) -> Response | StreamResponse:
        if request.params["project_id"] != request.context.project_id:
            raise WrongProject(url=request.params["project_id"], context=request.context.project_id)
        return await handler(request)

    return checked


def _twice(rows: tuple[Route, ...]) -> tuple[Route, ...]:
    plain = tuple(replace(row, path="/v2.1" + row.path) for row in rows)
    within = tuple(replace(row, path="/v2.1/{project_id}" + row.path, handler=_in_project(row.handler)) for row in rows)
    return plain + within


ROUTES: tuple[Route, ...] = VERSIONS + _twice(FLAVORS + KEYPAIRS + SERVERS + ACTIONS + HOSTS)
