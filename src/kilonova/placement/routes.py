"""Every URL of Placement, as one table."""

from __future__ import annotations

from typing import Any

from kilonova.kernel.web import Route
from kilonova.kernel.web.route import Handler
from kilonova.placement.api import (
    aggregates,
    allocation_candidates,
    allocations,
    inventories,
    reshaper,
    resource_classes,
    resource_providers,
    root,
    schemas,
    traits,
    usages,
)
from kilonova.placement.microversions import v
from kilonova.placement.policies import RULES

_SUMMARIES = {rule.name: rule.summary for rule in RULES}

CLASSES, PROVIDERS = "/resource_classes", "/resource_providers"
PROVIDER = f"{PROVIDERS}/{{uuid}}"
INVENTORIES = f"{PROVIDER}/inventories"
INVENTORY = f"{INVENTORIES}/{{resource_class}}"


def _row(method: str, path: str, handler: Handler, rule: str, **more: Any) -> Route:
    name = f"placement:{rule}"
    return Route(method, path, handler, name, _SUMMARIES[name], **more)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/", root.show_versions, None, "The version and its microversions", public=True),
    _row("GET", CLASSES, resource_classes.list_classes, "resource_classes:list", since=v(2)),
    _row(
        "POST", CLASSES, resource_classes.create_class, "resource_classes:create",
        since=v(2), body=schemas.NEW_CLASS, status=201,
    ),
    _row("GET", CLASSES + "/{name}", resource_classes.show_class, "resource_classes:show", since=v(2)),
    _row(
        "PUT", CLASSES + "/{name}", resource_classes.rename_class, "resource_classes:update",
        since=v(2), until=v(6), body=schemas.NEW_CLASS,
    ),
    _row("PUT", CLASSES + "/{name}", resource_classes.ensure_class, "resource_classes:update", since=v(7), status=201),
    _row(
        "DELETE", CLASSES + "/{name}", resource_classes.delete_class, "resource_classes:delete",
        since=v(2), status=204,
    ),
    _row(
        "GET", PROVIDERS, resource_providers.list_providers, "resource_providers:list", query=schemas.PROVIDER_LIST
    ),
    _row(
        "POST", PROVIDERS, resource_providers.create_provider, "resource_providers:create", body=schemas.NEW_PROVIDER
    ),
    _row("GET", PROVIDER, resource_providers.show_provider, "resource_providers:show"),
    _row("PUT", PROVIDER, resource_providers.update_provider, "resource_providers:update", body=schemas.PROVIDER),
    _row("DELETE", PROVIDER, resource_providers.delete_provider, "resource_providers:delete", status=204),
    _row("GET", INVENTORIES, inventories.list_inventories, "resource_providers:inventories:list"),
    _row(
        "POST", INVENTORIES, inventories.create_inventory, "resource_providers:inventories:create",
        body=schemas.NEW_INVENTORY, status=201,
    ),
    _row(
        "PUT", INVENTORIES, inventories.replace_inventories, "resource_providers:inventories:update",
        body=schemas.INVENTORIES,
    ),
    _row(
        "DELETE", INVENTORIES, inventories.refuse_delete_inventories, "resource_providers:inventories:delete",
        until=v(4), status=405,
    ),
    _row(
        "DELETE", INVENTORIES, inventories.delete_inventories, "resource_providers:inventories:delete",
        since=v(5), status=204,
    ),
    _row("GET", INVENTORY, inventories.show_inventory, "resource_providers:inventories:show"),
    _row(
        "PUT", INVENTORY, inventories.update_inventory, "resource_providers:inventories:update",
        body=schemas.ONE_INVENTORY,
    ),
    _row("DELETE", INVENTORY, inventories.delete_inventory, "resource_providers:inventories:delete", status=204),
    _row("GET", PROVIDER + "/usages", usages.show_provider_usages, "resource_providers:usages"),
    _row(
        "GET", PROVIDER + "/aggregates", aggregates.list_aggregates, "resource_providers:aggregates:list", since=v(1)
    ),
    _row(
        "PUT", PROVIDER + "/aggregates", aggregates.set_aggregates, "resource_providers:aggregates:update",
        since=v(1), body=schemas.AGGREGATES,
    ),
    _row(
        "GET", PROVIDER + "/allocations", allocations.list_provider_allocations,
        "resource_providers:allocations:list",
    ),
    _row("GET", PROVIDER + "/traits", traits.list_provider_traits, "resource_providers:traits:list", since=v(6)),
    _row(
        "PUT", PROVIDER + "/traits", traits.set_provider_traits, "resource_providers:traits:update",
        since=v(6), body=schemas.TRAITS_OF_PROVIDER,
    ),
    _row(
        "DELETE", PROVIDER + "/traits", traits.delete_provider_traits, "resource_providers:traits:delete",
        since=v(6), status=204,
    ),
    _row(
        "POST", "/allocations", allocations.set_allocations_of_many, "allocations:manage",
        since=v(13), body=schemas.ALLOCATIONS_OF_MANY, status=204,
    ),
    _row("GET", "/allocations/{consumer_uuid}", allocations.show_allocations, "allocations:list"),
    _row(
        "PUT", "/allocations/{consumer_uuid}", allocations.set_allocations, "allocations:update",
        body=schemas.ALLOCATIONS, status=204,
    ),
    _row("DELETE", "/allocations/{consumer_uuid}", allocations.delete_allocations, "allocations:delete", status=204),
    _row(
        "GET", "/allocation_candidates", allocation_candidates.list_candidates, "allocation_candidates:list",
        since=v(10), query=schemas.CANDIDATES,
    ),
    _row("GET", "/traits", traits.list_traits, "traits:list", since=v(6), query=schemas.TRAIT_LIST),
    _row("GET", "/traits/{name}", traits.show_trait, "traits:show", since=v(6), status=204),
    _row("PUT", "/traits/{name}", traits.ensure_trait, "traits:update", since=v(6), status=201),
    _row("DELETE", "/traits/{name}", traits.delete_trait, "traits:delete", since=v(6), status=204),
    _row("GET", "/usages", usages.show_usages, "usages", since=v(9), query=schemas.USAGES, checks_target=True),
    _row("POST", "/reshaper", reshaper.reshape, "reshaper:reshape", since=v(30), body=schemas.RESHAPE, status=204),
)  # fmt: skip
