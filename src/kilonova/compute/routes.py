"""Every URL of compute as one table. Each path is served with and without the project in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kilonova.compute.api import (
    action_schemas,
    addresses,
    aggregates,
    audit_log,
    consoles,
    create_server,
    diagnostics,
    extensions,
    external_events,
    flavor_schemas,
    flavors,
    gone,
    groups,
    hypervisor_fields,
    hypervisors,
    instance_actions,
    interfaces,
    keypair_fields,
    keypairs,
    moves,
    old_hosts,
    quota_fields,
    quotas,
    server_metadata,
    server_schemas,
    server_tags,
    servers,
    service_fields,
    services,
    small_parts,
    usage,
    versions,
    zones,
)
from kilonova.compute.api.actions import admin, networking, not_built, power
from kilonova.compute.api.old import floating_ips as old_floating_ips
from kilonova.compute.api.old import images as old_images
from kilonova.compute.api.old import networks as old_networks
from kilonova.compute.api.old import security_groups as old_groups
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
    _a("os-getConsoleOutput", consoles.get_output, "os-console-output", action_schemas.CONSOLE_OUTPUT),
    _a(
        "os-getVNCConsole",
        consoles.get_vnc_console,
        "os-remote-consoles",
        action_schemas.old_console("os-getVNCConsole", "novnc", "xvpvnc"),
        until=v(5),
    ),
    _a(
        "os-getSerialConsole",
        consoles.get_serial_console,
        "os-remote-consoles",
        action_schemas.old_console("os-getSerialConsole", "serial"),
        until=v(5),
    ),
    _a(
        "os-getSPICEConsole",
        consoles.get_spice_console,
        "os-remote-consoles",
        action_schemas.old_console("os-getSPICEConsole", "spice-html5"),
        until=v(5),
    ),
    _a("addSecurityGroup", networking.add_security_group, "os-security-groups:add", action_schemas.ADD_SECURITY_GROUP),
    _a(
        "removeSecurityGroup",
        networking.remove_security_group,
        "os-security-groups:remove",
        action_schemas.REMOVE_SECURITY_GROUP,
    ),
    _a("addFloatingIp", networking.add_floating_ip, "os-floating-ips:add", action_schemas.ADD_FLOATING_IP, until=v(43)),
    _a(
        "removeFloatingIp",
        networking.remove_floating_ip,
        "os-floating-ips:remove",
        action_schemas.REMOVE_FLOATING_IP,
        until=v(43),
    ),
)

NOT_BUILT = tuple(_a(action, not_built.not_built, rule) for action, rule in not_built.ACTIONS)

BOOT_FROM_VOLUME = tuple(
    replace(row, path=row.path.replace("/servers", "/os-volumes_boot"), until=v(102)) for row in SERVERS
)
"""An old second name of the collection of servers."""

_OF: dict[str, Any] = {"checks_target": True}
_META, _TAGS, _NIC = _SERVER + "/metadata", _SERVER + "/tags", _SERVER + "/os-interface"

PARTS_OF_SERVERS = (
    _r("GET", _META, server_metadata.list_metadata, "server-metadata:index", **_OF),
    _r("POST", _META, server_metadata.add_metadata, "server-metadata:create", body=server_metadata.ALL, **_OF),
    _r("PUT", _META, server_metadata.replace_metadata, "server-metadata:update_all", body=server_metadata.ALL, **_OF),
    _r("GET", _META + "/{key}", server_metadata.show_item, "server-metadata:show", **_OF),
    _r("PUT", _META + "/{key}", server_metadata.set_item, "server-metadata:update", body=server_metadata.ONE, **_OF),
    _r("DELETE", _META + "/{key}", server_metadata.delete_item, "server-metadata:delete", status=204, **_OF),
    _r("GET", _TAGS, server_tags.list_tags, "os-server-tags:index", since=v(26), **_OF),
    _r(
        "PUT",
        _TAGS,
        server_tags.replace_tags,
        "os-server-tags:update_all",
        body=server_tags.ALL,
        since=v(26),
        **_OF,
    ),
    _r("DELETE", _TAGS, server_tags.delete_tags, "os-server-tags:delete_all", since=v(26), status=204, **_OF),
    _r("GET", _TAGS + "/{tag}", server_tags.show_tag, "os-server-tags:show", since=v(26), status=204, **_OF),
    _r("PUT", _TAGS + "/{tag}", server_tags.add_tag, "os-server-tags:update", since=v(26), status=201, **_OF),
    _r("DELETE", _TAGS + "/{tag}", server_tags.delete_tag, "os-server-tags:delete", since=v(26), status=204, **_OF),
    _r("GET", _SERVER + "/ips", addresses.list_addresses, "ips:index", **_OF),
    _r("GET", _SERVER + "/ips/{network}", addresses.show_addresses, "ips:show", **_OF),
    _r(
        "GET",
        _SERVER + "/os-instance-actions",
        instance_actions.list_actions,
        "os-instance-actions:list",
        query=instance_actions.LIST,
        **_OF,
    ),
    _r(
        "GET",
        _SERVER + "/os-instance-actions/{request_id}",
        instance_actions.show_action,
        "os-instance-actions:show",
        **_OF,
    ),
    _r("GET", _NIC, interfaces.list_interfaces, "os-attach-interfaces:list", **_OF),
    _r(
        "POST",
        _NIC,
        interfaces.attach_interface,
        "os-attach-interfaces:create",
        body=interfaces.CREATE,
        body_required=False,
        **_OF,
    ),
    _r("GET", _NIC + "/{port_id}", interfaces.show_interface, "os-attach-interfaces:show", **_OF),
    _r("DELETE", _NIC + "/{port_id}", interfaces.detach_interface, "os-attach-interfaces:delete", status=202, **_OF),
    _r("GET", _SERVER + "/os-security-groups", networking.list_security_groups, "os-security-groups:list", **_OF),
    _r(
        "POST",
        _SERVER + "/remote-consoles",
        consoles.create_console,
        "os-remote-consoles",
        body=consoles.CREATE,
        since=v(6),
        **_OF,
    ),
    _r("GET", _SERVER + "/diagnostics", diagnostics.show_diagnostics, "os-server-diagnostics", **_OF),
    _r("GET", _SERVER + "/os-server-password", small_parts.show_password, "os-server-password:show", **_OF),
    _r(
        "DELETE",
        _SERVER + "/os-server-password",
        small_parts.clear_password,
        "os-server-password:clear",
        status=204,
        **_OF,
    ),
    _r("GET", _SERVER + "/os-volume_attachments", small_parts.list_volumes, "os-volumes-attachments:index", **_OF),
    _r(
        "GET",
        _SERVER + "/os-volume_attachments/{volume_id}",
        small_parts.show_volume,
        "os-volumes-attachments:show",
        **_OF,
    ),
    _r(
        "GET",
        _SERVER + "/topology",
        small_parts.show_topology,
        "compute:server:topology:index",
        since=v(78),
        **_OF,
    ),
    _r(
        "GET",
        _SERVER + "/migrations",
        moves.list_moves_of_server,
        "servers:migrations:index",
        since=v(23),
        **_OF,
    ),
    _r(
        "GET",
        _SERVER + "/migrations/{migration_id}",
        moves.show_move_of_server,
        "servers:migrations:show",
        since=v(23),
        **_OF,
    ),
    _r("GET", "/os-migrations", moves.list_moves, "os-migrations:index", query=moves.LIST),
    _r("GET", "/os-console-auth-tokens/{token}", consoles.show_token, "os-console-auth-tokens"),
    _r(
        "POST",
        "/os-server-external-events",
        external_events.take_events,
        "os-server-external-events:create",
        body=external_events.CREATE,
    ),
)

_AGGREGATE = "/os-aggregates/{aggregate_id}"


def _on_aggregate(action: str, handler: Handler, body: Any) -> Route:
    return _r("POST", _AGGREGATE + "/action", handler, f"os-aggregates:{action}", action=action, body=body)


GROUPINGS = (
    _r("GET", "/os-aggregates", aggregates.list_aggregates, "os-aggregates:index"),
    _r("POST", "/os-aggregates", aggregates.create_aggregate, "os-aggregates:create", body=aggregates.CREATE),
    _r("GET", _AGGREGATE, aggregates.show_aggregate, "os-aggregates:show"),
    _r("PUT", _AGGREGATE, aggregates.update_aggregate, "os-aggregates:update", body=aggregates.UPDATE),
    _r("DELETE", _AGGREGATE, aggregates.delete_aggregate, "os-aggregates:delete"),
    _on_aggregate("add_host", aggregates.add_host, aggregates.ADD_HOST),
    _on_aggregate("remove_host", aggregates.remove_host, aggregates.REMOVE_HOST),
    _on_aggregate("set_metadata", aggregates.set_metadata, aggregates.SET_METADATA),
    _r("GET", "/os-availability-zone", zones.list_zones, "os-availability-zone:list"),
    _r("GET", "/os-availability-zone/detail", zones.list_zones_in_detail, "os-availability-zone:detail"),
    _r("GET", "/os-server-groups", groups.list_groups, "os-server-groups:index", query=groups.LIST),
    _r("POST", "/os-server-groups", groups.create_group, "os-server-groups:create", body=groups.CREATE),
    _r("GET", "/os-server-groups/{group_id}", groups.show_group, "os-server-groups:show", **_OF),
    _r("DELETE", "/os-server-groups/{group_id}", groups.delete_group, "os-server-groups:delete", status=204, **_OF),
)

_QUOTA, _CLASS = "/os-quota-sets/{quota_project_id}", "/os-quota-class-sets/{class_name}"

LIMITS = (
    _r("GET", "/limits", quotas.show_limits, "limits", query=quotas.LIMITS_QUERY),
    _r("GET", _QUOTA, quotas.show_quota, "os-quota-sets:show", query=quotas.QUERY, **_OF),
    _r(
        "PUT",
        _QUOTA,
        quotas.update_quota,
        "os-quota-sets:update",
        query=quotas.QUERY,
        body=quota_fields.UPDATE,
        **_OF,
    ),
    _r("DELETE", _QUOTA, quotas.delete_quota, "os-quota-sets:delete", query=quotas.QUERY, status=202, **_OF),
    _r("GET", _QUOTA + "/detail", quotas.show_quota_in_detail, "os-quota-sets:detail", query=quotas.QUERY, **_OF),
    _r("GET", _QUOTA + "/defaults", quotas.show_defaults, "os-quota-sets:defaults", **_OF),
    _r("GET", _CLASS, quotas.show_class, "os-quota-class-sets:show"),
    _r("PUT", _CLASS, quotas.update_class, "os-quota-class-sets:update", body=quota_fields.UPDATE_CLASS),
    _r("GET", "/os-simple-tenant-usage", usage.list_usage, "os-simple-tenant-usage:list", query=usage.LIST),
    _r(
        "GET",
        "/os-simple-tenant-usage/{usage_project_id}",
        usage.show_usage,
        "os-simple-tenant-usage:show",
        query=usage.LIST,
        **_OF,
    ),
    _r("GET", "/os-instance_usage_audit_log", audit_log.show_last, "os-instance-usage-audit-log:list"),
    _r("GET", "/os-instance_usage_audit_log/{before}", audit_log.show_before, "os-instance-usage-audit-log:show"),
    _r("GET", "/extensions", extensions.list_extensions, "extensions"),
    _r("GET", "/extensions/{alias}", extensions.show_extension, "extensions"),
)

GONE = tuple(_r(method, path, gone.gone, "extensions") for method, path in gone.URLS)

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
    _r("GET", "/os-hosts", old_hosts.list_hosts, "os-hosts:list", until=v(42)),
    _r("GET", "/os-hosts/{host}", old_hosts.show_host, "os-hosts:show", until=v(42)),
    _r("PUT", "/os-hosts/{host}", old_hosts.refuse, "os-hosts:update", body=old_hosts.UPDATE, until=v(42)),
    _r("GET", "/os-hosts/{host}/startup", old_hosts.refuse, "os-hosts:start", until=v(42)),
    _r("GET", "/os-hosts/{host}/shutdown", old_hosts.refuse, "os-hosts:shutdown", until=v(42)),
    _r("GET", "/os-hosts/{host}/reboot", old_hosts.refuse, "os-hosts:reboot", until=v(42)),
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

_IMAGE, _IMAGE_META = "/images/{image_id}", "/images/{image_id}/metadata"
_GROUP, _RULE, _FLOATING = "/os-security-groups/{id}", "/os-security-group-rules/{id}", "/os-floating-ips/{id}"


def _old(method: str, path: str, handler: Handler, rule: str = "extensions", **more: Any) -> Route:
    """A row for what other services do now."""
    return _r(method, path, handler, rule, until=v(38) if path.startswith(_IMAGE_META) else v(35), **more)


PROXIES = (
    _old("GET", "/images", old_images.list_images),
    _old("GET", "/images/detail", old_images.list_images_in_detail),
    _old("GET", _IMAGE, old_images.show_image),
    _old("DELETE", _IMAGE, old_images.delete_image, status=204),
    _old("GET", _IMAGE_META, old_images.list_metadata),
    _old("POST", _IMAGE_META, old_images.add_metadata, body=old_images.ALL),
    _old("PUT", _IMAGE_META, old_images.replace_metadata, body=old_images.ALL),
    _old("GET", _IMAGE_META + "/{key}", old_images.show_item),
    _old("PUT", _IMAGE_META + "/{key}", old_images.set_item, body=old_images.ONE),
    _old("DELETE", _IMAGE_META + "/{key}", old_images.delete_item, status=204),
    _old("GET", "/os-networks", old_networks.list_networks, "os-networks:list"),
    _old("GET", "/os-networks/{id}", old_networks.show_network, "os-networks:show"),
    _old("GET", "/os-tenant-networks", old_networks.list_project_networks, "os-tenant-networks:list"),
    _old("GET", "/os-tenant-networks/{id}", old_networks.show_project_network, "os-tenant-networks:show"),
    _old("GET", "/os-floating-ip-pools", old_floating_ips.list_pools, "os-floating-ip-pools"),
    _old("GET", "/os-floating-ips", old_floating_ips.list_floating_ips, "os-floating-ips:list"),
    _old(
        "POST",
        "/os-floating-ips",
        old_floating_ips.create_floating_ip,
        "os-floating-ips:create",
        body=old_floating_ips.CREATE,
        body_required=False,
    ),
    _old("GET", _FLOATING, old_floating_ips.show_floating_ip, "os-floating-ips:show"),
    _old("DELETE", _FLOATING, old_floating_ips.delete_floating_ip, "os-floating-ips:delete", status=202),
    _old("GET", "/os-security-groups", old_groups.list_groups, "os-security-groups:get", query=old_groups.LIST),
    _old("POST", "/os-security-groups", old_groups.create_group, "os-security-groups:create", body=old_groups.GROUP),
    _old("GET", _GROUP, old_groups.show_group, "os-security-groups:show"),
    _old("PUT", _GROUP, old_groups.update_group, "os-security-groups:update", body=old_groups.GROUP),
    _old("DELETE", _GROUP, old_groups.delete_group, "os-security-groups:delete", status=202),
    _old(
        "POST",
        "/os-security-group-rules",
        old_groups.create_rule,
        "os-security-groups:rule:create",
        body=old_groups.RULE,
    ),
    _old("DELETE", _RULE, old_groups.delete_rule, "os-security-groups:rule:delete", status=202),
)

VERSIONS = (
    Route("GET", "/", versions.list_versions, None, "The versions spoken here", public=True),
    Route("GET", "/v2", versions.show_old_version, None, "The version before microversions", public=True),
    Route("GET", "/v2/", versions.show_old_version, None, "The version before microversions", public=True),
    Route("GET", "/v2.1/", versions.show_version, None, "This version", public=True),
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


ROUTES: tuple[Route, ...] = VERSIONS + _twice(
    FLAVORS
    + KEYPAIRS
    + SERVERS
    + ACTIONS
    + NOT_BUILT
    + BOOT_FROM_VOLUME
    + PARTS_OF_SERVERS
    + HOSTS
    + GROUPINGS
    + LIMITS
    + PROXIES
    + GONE
)
