"""Every URL of the network service."""

from __future__ import annotations

from kilonova.kernel.web import Route
from kilonova.network.api import (
    auto_topology,
    availability,
    hosts,
    networks,
    ports,
    quotas,
    rbac,
    routers,
    security_groups,
    subnets,
    tags,
    versions,
)
from kilonova.network.api.collection import Resource, routes_of

RESOURCES: tuple[Resource, ...] = (
    networks.NETWORKS,
    subnets.SUBNETS,
    subnets.SUBNET_POOLS,
    ports.PORTS,
    routers.ROUTERS,
    routers.FLOATING_IPS,
    security_groups.SECURITY_GROUPS,
    security_groups.RULES,
    rbac.POLICIES,
    hosts.AGENTS,
)

ROUTES: tuple[Route, ...] = (
    *versions.ROUTES,
    *(route for resource in RESOURCES for route in routes_of(resource)),
    *(route for resource in RESOURCES if resource.taggable for route in tags.routes_of(resource)),
    *ports.BINDING_ROUTES,
    *routers.ROUTER_ROUTES,
    *quotas.ROUTES,
    *hosts.ROUTES,
    *availability.ROUTES,
    *auto_topology.ROUTES,
)
