"""Access rules: upstream's 38 names and defaults."""

from __future__ import annotations

from kilonova.kernel.policy import ADMIN, ADMIN_OR_SERVICE, PROJECT_READER, SERVICE, Rule

_OURS = "rule:admin_or_service_api"
_PROVIDER = "/resource_providers/{uuid}"
_INVENTORIES = f"{_PROVIDER}/inventories"


def _rule(name: str, summary: str, *operations: tuple[str, str], check: str = _OURS) -> Rule:
    return Rule(f"placement:{name}", check, summary, operations)


RULES: tuple[Rule, ...] = (
    Rule("admin_api", ADMIN, "Administrators."),
    Rule("service_api", SERVICE, "Services of the cloud."),
    Rule("admin_or_service_api", ADMIN_OR_SERVICE, "What most of this API asks for."),
    Rule("project_reader_api", PROJECT_READER, "Readers of the project in question."),
    Rule(
        "admin_or_project_reader_or_service_api",
        "role:admin or rule:project_reader_api or role:service",
        "Whoever may read the usage of a project.",
    ),
    _rule("resource_providers:list", "List providers", ("GET", "/resource_providers")),
    _rule("resource_providers:create", "Create a provider", ("POST", "/resource_providers")),
    _rule("resource_providers:show", "Show a provider", ("GET", _PROVIDER)),
    _rule("resource_providers:update", "Rename or move a provider", ("PUT", _PROVIDER)),
    _rule("resource_providers:delete", "Delete a provider", ("DELETE", _PROVIDER)),
    _rule("resource_providers:inventories:list", "List inventories", ("GET", _INVENTORIES)),
    _rule("resource_providers:inventories:create", "Add an inventory", ("POST", _INVENTORIES)),
    _rule("resource_providers:inventories:show", "Show an inventory", ("GET", _INVENTORIES + "/{resource_class}")),
    _rule(
        "resource_providers:inventories:update",
        "Change inventories",
        ("PUT", _INVENTORIES),
        ("PUT", _INVENTORIES + "/{resource_class}"),
    ),
    _rule(
        "resource_providers:inventories:delete",
        "Delete inventories",
        ("DELETE", _INVENTORIES),
        ("DELETE", _INVENTORIES + "/{resource_class}"),
    ),
    _rule("resource_providers:usages", "Usage of a provider", ("GET", f"{_PROVIDER}/usages")),
    _rule("resource_providers:aggregates:list", "Aggregates of a provider", ("GET", f"{_PROVIDER}/aggregates")),
    _rule("resource_providers:aggregates:update", "Set aggregates", ("PUT", f"{_PROVIDER}/aggregates")),
    _rule("resource_providers:traits:list", "Traits of a provider", ("GET", f"{_PROVIDER}/traits")),
    _rule("resource_providers:traits:update", "Set traits", ("PUT", f"{_PROVIDER}/traits")),
    _rule("resource_providers:traits:delete", "Remove traits", ("DELETE", f"{_PROVIDER}/traits")),
    _rule("resource_providers:allocations:list", "Allocations of a provider", ("GET", f"{_PROVIDER}/allocations")),
    _rule("resource_classes:list", "List resource classes", ("GET", "/resource_classes")),
    _rule("resource_classes:create", "Create a resource class", ("POST", "/resource_classes")),
    _rule("resource_classes:show", "Show a resource class", ("GET", "/resource_classes/{name}")),
    _rule("resource_classes:update", "Ensure or rename a class", ("PUT", "/resource_classes/{name}")),
    _rule("resource_classes:delete", "Delete a resource class", ("DELETE", "/resource_classes/{name}")),
    _rule("traits:list", "List traits", ("GET", "/traits")),
    _rule("traits:show", "Whether a trait exists", ("GET", "/traits/{name}")),
    _rule("traits:update", "Ensure a trait", ("PUT", "/traits/{name}")),
    _rule("traits:delete", "Delete a trait", ("DELETE", "/traits/{name}")),
    _rule("allocations:manage", "Write allocations of several consumers", ("POST", "/allocations")),
    _rule("allocations:list", "Allocations of a consumer", ("GET", "/allocations/{consumer_uuid}")),
    _rule("allocations:update", "Write allocations of a consumer", ("PUT", "/allocations/{consumer_uuid}")),
    _rule("allocations:delete", "Delete allocations of a consumer", ("DELETE", "/allocations/{consumer_uuid}")),
    _rule("allocation_candidates:list", "Search candidates", ("GET", "/allocation_candidates")),
    _rule(
        "usages",
        "Usage of a project",
        ("GET", "/usages"),
        check="rule:admin_or_project_reader_or_service_api",
    ),
    _rule(
        "reshaper:reshape",
        "Move inventories and allocations at once",
        ("POST", "/reshaper"),
        check="rule:service_api",
    ),
)
