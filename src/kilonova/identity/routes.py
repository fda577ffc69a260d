"""Every URL of identity as one table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kilonova.identity.api import (
    application_credentials,
    catalog,
    credentials,
    domains,
    ec2,
    grants,
    groups,
    limits,
    projects,
    role_assignments,
    roles,
    schemas,
    tokens,
    trusts,
    users,
    versions,
)
from kilonova.kernel.web import Route
from kilonova.kernel.web.route import Handler, Schema

_TEXT: Schema = {"type": "string"}


def _query(*names: str) -> dict[str, Any]:
    """The query of a list: these filters, and the page. Other names are let through, as upstream does."""
    every = [*names, "limit", "marker"]
    return {"properties": {name: {"type": "string", "maxLength": 1024} for name in every}}


def _row(
    method: str, path: str, handler: Handler, policy: str, summary: str, *, status: int = 200, **more: Any
) -> Route:
    more.setdefault("checks_target", True)
    return Route(method, f"/v3{path}", handler, f"identity:{policy}", summary, status=status, **more)


def _plain(*arguments: Any, **more: Any) -> Route:
    """A row whose rule looks at the caller alone."""
    return _row(*arguments, checks_target=False, **more)


def _grant_rows() -> Iterator[Route]:
    """A role for a user or group on a project or domain, on it or on what is below; and on the system."""
    for place in ("projects/{project_id}", "domains/{domain_id}"):
        for actor in ("users/{user_id}", "groups/{group_id}"):
            for before, after in (("", ""), ("/OS-INHERIT", "/inherited_to_projects")):
                every = f"{before}/{place}/{actor}/roles"
                one = f"{every}/{{role_id}}{after}"
                yield _row("GET", every + after, grants.list_grants, "list_grants", "List roles granted")
                yield _row("GET", one, grants.check_grant, "check_grant", "Check a grant", status=204)
                yield _row("PUT", one, grants.create_grant, "create_grant", "Grant a role", status=204)
                yield _row("DELETE", one, grants.revoke_grant, "revoke_grant", "Revoke a role", status=204)
    for word in ("user", "group"):
        every = f"/system/{word}s/{{{word}_id}}/roles"
        one = f"{every}/{{role_id}}"
        yield _row("GET", every, grants.list_grants, f"list_system_grants_for_{word}", "List roles on the system")
        yield _row("GET", one, grants.check_grant, f"check_system_grant_for_{word}", "Check one", status=204)
        yield _row("PUT", one, grants.create_grant, f"create_system_grant_for_{word}", "Grant one", status=204)
        yield _row("DELETE", one, grants.revoke_grant, f"revoke_system_grant_for_{word}", "Revoke one", status=204)


_APP = "/users/{user_id}/application_credentials"
_EC2 = "/users/{user_id}/credentials/OS-EC2"
_RULES = "/users/{user_id}/access_rules"
_TRUSTS = "/OS-TRUST/trusts"
_IMPLIES = "/roles/{prior_role_id}/implies"
_MEMBER = "/groups/{group_id}/users/{user_id}"
_TAGS = "/projects/{project_id}/tags"
_PROJECT_QUERY = _query(
    "name", "domain_id", "parent_id", "enabled", "is_domain", "tags", "tags-any", "not-tags", "not-tags-any"
)

ROUTES: tuple[Route, ...] = (
    Route("GET", "/", versions.list_versions, None, "List versions", public=True, status=300),
    Route("GET", "/v3", versions.show_version, None, "Show the version", public=True),
    Route(
        "POST", "/v3/auth/tokens", tokens.issue, None, "Log in", public=True, body=schemas.AUTH, status=201
    ),
    _row("GET", "/auth/tokens", tokens.show, "validate_token", "Show a token"),
    _row("HEAD", "/auth/tokens", tokens.show, "check_token", "Check a token"),
    _row("DELETE", "/auth/tokens", tokens.revoke, "revoke_token", "Revoke a token", status=204),
    _plain("GET", "/auth/catalog", tokens.show_catalog, "get_auth_catalog", "Show the catalog"),
    _plain("GET", "/auth/projects", tokens.list_projects, "get_auth_projects", "List projects to scope to"),
    _plain("GET", "/auth/domains", tokens.list_domains, "get_auth_domains", "List domains to scope to"),
    _plain("GET", "/auth/system", tokens.show_system, "get_auth_system", "List systems to scope to"),
    _plain("GET", "/OS-REVOKE/events", tokens.list_events, "list_revoke_events", "List revocation events"),
    # users
    _row("GET", "/users", users.list_users, "list_users", "List users", query=_query("name", "domain_id", "enabled")),
    _row("POST", "/users", users.create_user, "create_user", "Create a user", body=schemas.USER_NEW, status=201),
    _row("GET", "/users/{user_id}", users.show_user, "get_user", "Show a user"),
    _row("PATCH", "/users/{user_id}", users.update_user, "update_user", "Change a user", body=schemas.USER_CHANGE),
    _row("DELETE", "/users/{user_id}", users.delete_user, "delete_user", "Delete a user", status=204),
    _row("GET", "/users/{user_id}/groups", users.list_groups, "list_groups_for_user", "List a user's groups"),
    _row("GET", "/users/{user_id}/projects", users.list_projects, "list_user_projects", "List a user's projects"),
    _row("DELETE", "/users/{user_id}/tokens", users.revoke_tokens, "revoke_tokens_for_user", "End all", status=204),
    Route(
        "POST", "/v3/users/{user_id}/password", users.change_password, None, "Change one's password", public=True,
        body=schemas.PASSWORD_CHANGE, status=204,
    ),
    _row("GET", _APP, application_credentials.list_application_credentials, "list_application_credentials",
         "List application credentials", query=_query("name")),
    _row("POST", _APP, application_credentials.create_application_credential, "create_application_credential",
         "Create one", body=schemas.APPLICATION_CREDENTIAL_NEW, status=201),
    _row("GET", _APP + "/{application_credential_id}", application_credentials.show_application_credential,
         "get_application_credential", "Show one"),
    _row("DELETE", _APP + "/{application_credential_id}", application_credentials.delete_application_credential,
         "delete_application_credential", "Delete one", status=204),
    _row("GET", _RULES, application_credentials.list_access_rules, "list_access_rules", "List access rules",
         query=_query("service", "path", "method")),
    _row("GET", _RULES + "/{access_rule_id}", application_credentials.show_access_rule, "get_access_rule", "Show one"),
    _row("DELETE", _RULES + "/{access_rule_id}", application_credentials.delete_access_rule, "delete_access_rule",
         "Delete one", status=204),
    # groups
    _row("GET", "/groups", groups.list_groups, "list_groups", "List groups", query=_query("name", "domain_id")),
    _row("POST", "/groups", groups.create_group, "create_group", "Create a group", body=schemas.GROUP_NEW, status=201),
    _row("GET", "/groups/{group_id}", groups.show_group, "get_group", "Show a group"),
    _row("PATCH", "/groups/{group_id}", groups.update_group, "update_group", "Change one", body=schemas.GROUP_CHANGE),
    _row("DELETE", "/groups/{group_id}", groups.delete_group, "delete_group", "Delete a group", status=204),
    _row("GET", "/groups/{group_id}/users", groups.list_users, "list_users_in_group", "List its users"),
    _row("GET", _MEMBER, groups.check_member, "check_user_in_group", "Check membership", status=204),
    _row("PUT", _MEMBER, groups.add_member, "add_user_to_group", "Add a user", status=204),
    _row("DELETE", _MEMBER, groups.remove_member, "remove_user_from_group", "Remove a user", status=204),
    # projects and domains
    _row("GET", "/projects", projects.list_projects, "list_projects", "List projects", query=_PROJECT_QUERY),
    _row("POST", "/projects", projects.create_project, "create_project", "Create a project",
         body=schemas.PROJECT_NEW, status=201),
    _row("GET", "/projects/{project_id}", projects.show_project, "get_project", "Show a project"),
    _row("PATCH", "/projects/{project_id}", projects.update_project, "update_project", "Change a project",
         body=schemas.PROJECT_CHANGE),
    _row("DELETE", "/projects/{project_id}", projects.delete_project, "delete_project", "Delete one", status=204),
    _row("GET", _TAGS, projects.list_tags, "list_project_tags", "List tags"),
    _row("PUT", _TAGS, projects.replace_tags, "update_project_tags", "Replace tags", body=schemas.TAGS_BODY),
    _row("DELETE", _TAGS, projects.delete_tags, "delete_project_tags", "Remove all tags", status=204),
    _row("GET", _TAGS + "/{value}", projects.check_tag, "get_project_tag", "Check a tag", status=204),
    _row("PUT", _TAGS + "/{value}", projects.add_tag, "create_project_tag", "Add a tag", status=201),
    _row("DELETE", _TAGS + "/{value}", projects.delete_tag, "delete_project_tag", "Remove a tag", status=204),
    _row("GET", "/domains", domains.list_domains, "list_domains", "List domains", query=_query("name", "enabled")),
    _row("POST", "/domains", domains.create_domain, "create_domain", "Create one", body=schemas.DOMAIN_NEW, status=201),
    _row("GET", "/domains/{domain_id}", domains.show_domain, "get_domain", "Show a domain"),
    _row("PATCH", "/domains/{domain_id}", domains.update_domain, "update_domain", "Change a domain",
         body=schemas.DOMAIN_CHANGE),
    _row("DELETE", "/domains/{domain_id}", domains.delete_domain, "delete_domain", "Delete a domain", status=204),
    # roles
    _row("GET", "/roles", roles.list_roles, "list_roles", "List roles", query=_query("name", "domain_id")),
    _row("POST", "/roles", roles.create_role, "create_role", "Create a role", body=schemas.ROLE_NEW, status=201),
    _row("GET", "/roles/{role_id}", roles.show_role, "get_role", "Show a role"),
    _row("PATCH", "/roles/{role_id}", roles.update_role, "update_role", "Change a role", body=schemas.ROLE_CHANGE),
    _row("DELETE", "/roles/{role_id}", roles.delete_role, "delete_role", "Delete a role", status=204),
    _plain("GET", _IMPLIES, roles.list_implied, "list_implied_roles", "List what a role implies"),
    _plain("GET", _IMPLIES + "/{implied_role_id}", roles.show_implication, "get_implied_role", "Show one"),
    _plain("HEAD", _IMPLIES + "/{implied_role_id}", roles.check_implication, "check_implied_role", "Check one",
           status=204),
    _plain("PUT", _IMPLIES + "/{implied_role_id}", roles.create_implication, "create_implied_role", "Add one",
           status=201),
    _plain("DELETE", _IMPLIES + "/{implied_role_id}", roles.delete_implication, "delete_implied_role", "Remove one",
           status=204),
    _plain("GET", "/role_inferences", roles.list_inferences, "list_role_inference_rules", "List all implications"),
    _row("GET", "/role_assignments", role_assignments.list_role_assignments, "list_role_assignments",
         "List role assignments",
         query=_query("user.id", "group.id", "role.id", "scope.project.id", "scope.domain.id", "scope.system",
                      "scope.OS-INHERIT:inherited_to", "effective", "include_names", "include_subtree")),
    *_grant_rows(),
    # catalog
    _plain("GET", "/regions", catalog.list_regions, "list_regions", "List regions", query=_query("parent_region_id")),
    _plain("POST", "/regions", catalog.create_region, "create_region", "Create a region", body=schemas.REGION_NEW,
           status=201),
    _plain("GET", "/regions/{region_id}", catalog.show_region, "get_region", "Show a region"),
    _plain("PUT", "/regions/{region_id}", catalog.create_region, "create_region", "Create a region with this id",
           body=schemas.REGION_NEW, status=201),
    _plain("PATCH", "/regions/{region_id}", catalog.update_region, "update_region", "Change a region",
           body=schemas.REGION_CHANGE),
    _plain("DELETE", "/regions/{region_id}", catalog.delete_region, "delete_region", "Delete a region", status=204),
    _plain("GET", "/services", catalog.list_services, "list_services", "List services", query=_query("type", "name")),
    _plain("POST", "/services", catalog.create_service, "create_service", "Create a service",
           body=schemas.SERVICE_NEW, status=201),
    _plain("GET", "/services/{service_id}", catalog.show_service, "get_service", "Show a service"),
    _plain("PATCH", "/services/{service_id}", catalog.update_service, "update_service", "Change a service",
           body=schemas.SERVICE_CHANGE),
    _plain("DELETE", "/services/{service_id}", catalog.delete_service, "delete_service", "Delete one", status=204),
    _plain("GET", "/endpoints", catalog.list_endpoints, "list_endpoints", "List endpoints",
           query=_query("interface", "service_id", "region_id")),
    _plain("POST", "/endpoints", catalog.create_endpoint, "create_endpoint", "Create an endpoint",
           body=schemas.ENDPOINT_NEW, status=201),
    _plain("GET", "/endpoints/{endpoint_id}", catalog.show_endpoint, "get_endpoint", "Show an endpoint"),
    _plain("PATCH", "/endpoints/{endpoint_id}", catalog.update_endpoint, "update_endpoint", "Change an endpoint",
           body=schemas.ENDPOINT_CHANGE),
    _plain("DELETE", "/endpoints/{endpoint_id}", catalog.delete_endpoint, "delete_endpoint", "Delete one", status=204),
    # credentials
    _row("GET", "/credentials", credentials.list_credentials, "list_credentials", "List credentials",
         query=_query("type", "user_id")),
    _row("POST", "/credentials", credentials.create_credential, "create_credential", "Create a credential",
         body=schemas.CREDENTIAL_NEW, status=201),
    _row("GET", "/credentials/{credential_id}", credentials.show_credential, "get_credential", "Show a credential"),
    _row("PATCH", "/credentials/{credential_id}", credentials.update_credential, "update_credential", "Change one",
         body=schemas.CREDENTIAL_CHANGE),
    _row("DELETE", "/credentials/{credential_id}", credentials.delete_credential, "delete_credential", "Delete one",
         status=204),
    _row("GET", _EC2, ec2.list_keys, "ec2_list_credentials", "List access keys"),
    _row("POST", _EC2, ec2.create_key, "ec2_create_credential", "Make an access key", body=schemas.EC2_NEW, status=201),
    _row("GET", _EC2 + "/{credential_id}", ec2.show_key, "ec2_get_credential", "Show an access key"),
    _row("DELETE", _EC2 + "/{credential_id}", ec2.delete_key, "ec2_delete_credential", "Delete one", status=204),
    # limits
    _plain("GET", "/registered_limits", limits.list_registered, "list_registered_limits", "List registered limits",
           query=_query("service_id", "region_id", "resource_name")),
    _plain("POST", "/registered_limits", limits.create_registered, "create_registered_limit", "Create some",
           body=schemas.REGISTERED_LIMITS_NEW, status=201),
    _plain("GET", "/registered_limits/{registered_limit_id}", limits.show_registered, "get_registered_limit",
           "Show one"),
    _plain("PATCH", "/registered_limits/{registered_limit_id}", limits.update_registered, "update_registered_limit",
           "Change one", body=schemas.REGISTERED_LIMIT_CHANGE),
    _plain("DELETE", "/registered_limits/{registered_limit_id}", limits.delete_registered, "delete_registered_limit",
           "Delete one", status=204),
    _plain("GET", "/limits/model", limits.show_model, "get_limit_model", "Show the enforcement model"),
    _plain("GET", "/limits", limits.list_limits, "list_limits", "List limits",
           query=_query("service_id", "region_id", "resource_name", "project_id", "domain_id")),
    _plain("POST", "/limits", limits.create_limits, "create_limits", "Create some", body=schemas.LIMITS_NEW,
           status=201),
    _row("GET", "/limits/{limit_id}", limits.show_limit, "get_limit", "Show a limit"),
    _row("PATCH", "/limits/{limit_id}", limits.update_limit, "update_limit", "Change one", body=schemas.LIMIT_CHANGE),
    _row("DELETE", "/limits/{limit_id}", limits.delete_limit, "delete_limit", "Delete a limit", status=204),
    # trusts
    _row("GET", _TRUSTS, trusts.list_trusts, "list_trusts", "List trusts",
         query=_query("trustor_user_id", "trustee_user_id")),
    _row("POST", _TRUSTS, trusts.create_trust, "create_trust", "Create a trust", body=schemas.TRUST_NEW, status=201),
    _row("GET", _TRUSTS + "/{trust_id}", trusts.show_trust, "get_trust", "Show a trust"),
    _row("DELETE", _TRUSTS + "/{trust_id}", trusts.delete_trust, "delete_trust", "Delete a trust", status=204),
    _row("GET", _TRUSTS + "/{trust_id}/roles", trusts.list_trust_roles, "list_roles_for_trust", "List its roles"),
    _row("GET", _TRUSTS + "/{trust_id}/roles/{role_id}", trusts.show_trust_role, "get_role_for_trust", "Show one"),
)  # fmt: skip
