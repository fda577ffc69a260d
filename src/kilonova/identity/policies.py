"""Access rules of identity: upstream's names and defaults, for the personas of system, domain and project.

Upstream's effective default of most rules is the new rule *or* the deprecated one it replaces; the rows here are the
result. Targets are flat: ``target.user.id``, ``target.user.domain_id``, ``target.project.id`` and so on.
"""

from __future__ import annotations

from kilonova.kernel.policy import Rule

ALL_SCOPES = ("system", "domain", "project")
NOT_DOMAIN = ("system", "project")
ADMIN = "rule:admin_required"
SYSTEM_READER = "(role:reader and system_scope:all)"
ADMIN_OR_SYSTEM_READER = f"{ADMIN} or {SYSTEM_READER}"
DOMAIN_READER = "(role:reader and domain_id:%(target.domain_id)s)"
OWNER = "user_id:%(target.user.id)s"
USERS_DOMAIN_READER = "(role:reader and token.domain.id:%(target.user.domain_id)s)"
GROUPS_DOMAIN_READER = "(role:reader and domain_id:%(target.group.domain_id)s)"
PROJECTS_DOMAIN_READER = "(role:reader and domain_id:%(target.project.domain_id)s)"
TARGET_PROJECT = "project_id:%(target.project.id)s"
PROJECT_ADMIN = "(role:admin and project_id:%(target.project.id)s)"
MANAGER_OF_USERS = "(role:manager and token.domain.id:%(target.user.domain_id)s)"
MANAGER_OF_GROUPS = "(role:manager and domain_id:%(target.group.domain_id)s)"
MANAGER_OF_PROJECTS = "(role:manager and domain_id:%(target.project.domain_id)s)"
_ACTOR = "(domain_id:%(target.user.domain_id)s or domain_id:%(target.group.domain_id)s)"
_PLACE = "(domain_id:%(target.project.domain_id)s or domain_id:%(target.domain.id)s)"
_ROLE = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"
_MANAGED = "('manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s)"
GRANT_READER = f"{ADMIN_OR_SYSTEM_READER} or (role:reader and {_ACTOR} and {_PLACE} and {_ROLE})"
GRANT_LISTER = f"{ADMIN_OR_SYSTEM_READER} or (role:reader and {_ACTOR} and {_PLACE})"
GRANT_MANAGER = f"{ADMIN} or (role:manager and {_ACTOR} and {_PLACE} and {_MANAGED})"
READ_PROJECT = f"{ADMIN_OR_SYSTEM_READER} or {PROJECTS_DOMAIN_READER} or {TARGET_PROJECT}"
READ_USER = f"{ADMIN_OR_SYSTEM_READER} or {USERS_DOMAIN_READER} or {OWNER}"
ADMIN_OR_OWNER = f"{ADMIN} or {OWNER}"
SYSTEM_READER_OR_OWNER = f"{SYSTEM_READER} or {OWNER}"
SYSTEM_ADMIN_OR_OWNER = f"(role:admin and system_scope:all) or {OWNER}"
TRUSTOR = "user_id:%(target.trust.trustor_user_id)s"
TRUSTEE = "user_id:%(target.trust.trustee_user_id)s"
CREDENTIAL_OWNER = "user_id:%(target.credential.user_id)s"
LIMIT_READER = (
    f"{ADMIN_OR_SYSTEM_READER} or (domain_id:%(target.limit.domain.id)s and not None:%(target.limit.domain.id)s) or "
    "domain_id:%(target.limit.project.domain_id)s or "
    "(project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)"
)

_BASE = (
    Rule("admin_required", "role:admin or is_admin:1", "administrators"),
    Rule("service_role", "role:service", "other services"),
    Rule("service_or_admin", "rule:admin_required or rule:service_role"),
    Rule("owner", "user_id:%(user_id)s"),
    Rule("admin_or_owner", "rule:admin_required or rule:owner"),
    Rule("token_subject", "user_id:%(target.token.user_id)s", "whose token it is"),
    Rule("admin_or_token_subject", "rule:admin_required or rule:token_subject"),
    Rule("service_admin_or_token_subject", "rule:service_or_admin or rule:token_subject"),
)


def _row(name: str, check: str, summary: str, *operations: str, scopes: tuple[str, ...] = ALL_SCOPES) -> Rule:
    pairs = tuple((o.split(" ", 1)[0], "/v3" + o.split(" ", 1)[1]) for o in operations)
    return Rule(f"identity:{name}", check, summary, pairs, scopes)


def _noun(
    one: str,
    many: str,
    path: str,
    read: str,
    write: str,
    list_: str | None = None,
    *,
    read_in: tuple[str, ...] = ALL_SCOPES,
    write_in: tuple[str, ...] = ALL_SCOPES,
) -> tuple[Rule, ...]:
    item = f"{path}/{{{one}_id}}"
    return (
        _row(f"get_{one}", read, f"Show a {one}.", f"GET {item}", scopes=read_in),
        _row(f"list_{many}", list_ or read, f"List {many}.", f"GET {path}", scopes=read_in),
        _row(f"create_{one}", write, f"Create a {one}.", f"POST {path}", scopes=write_in),
        _row(f"update_{one}", write, f"Change a {one}.", f"PATCH {item}", scopes=write_in),
        _row(f"delete_{one}", write, f"Delete a {one}.", f"DELETE {item}", scopes=write_in),
    )


RULES: tuple[Rule, ...] = (
    *_BASE,
    _row("get_auth_catalog", "", "The catalog of the token.", "GET /auth/catalog"),
    _row("get_auth_projects", "", "Projects the caller can scope to.", "GET /auth/projects"),
    _row("get_auth_domains", "", "Domains the caller can scope to.", "GET /auth/domains"),
    _row("get_auth_system", "", "Systems the caller can scope to.", "GET /auth/system"),
    _row("list_projects_for_user", "", "Projects the caller has roles on.", "GET /auth/projects"),
    _row("list_domains_for_user", "", "Domains the caller has roles on.", "GET /auth/domains"),
    _row("validate_token", f"rule:service_admin_or_token_subject or {SYSTEM_READER}", "Show a token.",
         "GET /auth/tokens"),
    _row("check_token", f"rule:admin_or_token_subject or rule:service_role or {SYSTEM_READER}", "Check a token.",
         "HEAD /auth/tokens"),
    _row("revoke_token", "rule:service_admin_or_token_subject", "Revoke a token.", "DELETE /auth/tokens"),
    *_noun("domain", "domains", "/domains",
           f"{ADMIN_OR_SYSTEM_READER} or token.domain.id:%(target.domain.id)s or "
           "token.project.domain.id:%(target.domain.id)s", ADMIN,
           f"{ADMIN_OR_SYSTEM_READER} or (role:reader and token.domain.id:%(target.domain.id)s)",
           write_in=NOT_DOMAIN),
    *_noun("project", "projects", "/projects", READ_PROJECT, f"{ADMIN} or {MANAGER_OF_PROJECTS}",
           f"{ADMIN_OR_SYSTEM_READER} or {DOMAIN_READER}"),
    _row("list_user_projects", f"{ADMIN_OR_SYSTEM_READER} or (role:reader and domain_id:%(target.user.domain_id)s) or "
         f"{OWNER}", "List the projects of a user.", "GET /users/{user_id}/projects"),
    _row("list_project_tags", READ_PROJECT, "List a project's tags.", "GET /projects/{project_id}/tags"),
    _row("get_project_tag", READ_PROJECT, "Check a tag.", "GET /projects/{project_id}/tags/{value}"),
    *(
        _row(name, f"{ADMIN} or {MANAGER_OF_PROJECTS} or {PROJECT_ADMIN}", summary, operation)
        for name, summary, operation in (
            ("update_project_tags", "Replace the tags.", "PUT /projects/{project_id}/tags"),
            ("create_project_tag", "Add a tag.", "PUT /projects/{project_id}/tags/{value}"),
            ("delete_project_tags", "Remove all tags.", "DELETE /projects/{project_id}/tags"),
            ("delete_project_tag", "Remove a tag.", "DELETE /projects/{project_id}/tags/{value}"),
        )
    ),
    *_noun("user", "users", "/users", READ_USER, f"{ADMIN} or {MANAGER_OF_USERS}",
           f"{ADMIN_OR_SYSTEM_READER} or {DOMAIN_READER}"),
    _row("revoke_tokens_for_user", ADMIN_OR_OWNER, "Revoke a user's tokens.", "DELETE /users/{user_id}/tokens"),
    *_noun("group", "groups", "/groups", f"{ADMIN_OR_SYSTEM_READER} or {GROUPS_DOMAIN_READER}",
           f"{ADMIN} or {MANAGER_OF_GROUPS}", f"{ADMIN_OR_SYSTEM_READER} or {DOMAIN_READER}"),
    _row("list_groups_for_user", READ_USER, "List a user's groups.", "GET /users/{user_id}/groups"),
    _row("list_users_in_group", f"{ADMIN_OR_SYSTEM_READER} or {GROUPS_DOMAIN_READER}", "List a group's users.",
         "GET /groups/{group_id}/users"),
    _row("check_user_in_group",
         f"{ADMIN_OR_SYSTEM_READER} or (role:reader and domain_id:%(target.group.domain_id)s and "
         "domain_id:%(target.user.domain_id)s)", "Check membership.", "HEAD /groups/{group_id}/users/{user_id}"),
    _row("add_user_to_group",
         f"{ADMIN} or (role:manager and domain_id:%(target.group.domain_id)s and "
         "domain_id:%(target.user.domain_id)s)", "Add a user to a group.", "PUT /groups/{group_id}/users/{user_id}"),
    _row("remove_user_from_group",
         f"{ADMIN} or (role:manager and domain_id:%(target.group.domain_id)s and "
         "domain_id:%(target.user.domain_id)s)", "Remove a user.", "DELETE /groups/{group_id}/users/{user_id}"),
    *_noun("role", "roles", "/roles",
           f"{ADMIN_OR_SYSTEM_READER} or (role:manager and domain_id:%(target.domain_id)s)", ADMIN,
           write_in=NOT_DOMAIN),
    *_noun("domain_role", "domain_roles", "/roles", ADMIN_OR_SYSTEM_READER, ADMIN,
           read_in=NOT_DOMAIN, write_in=NOT_DOMAIN),
    _row("check_grant", GRANT_READER, "Check a grant.", "HEAD /projects/{project_id}/users/{user_id}/roles/{role_id}"),
    _row("list_grants", GRANT_LISTER, "List grants.", "GET /projects/{project_id}/users/{user_id}/roles"),
    _row("create_grant", GRANT_MANAGER, "Grant a role.", "PUT /projects/{project_id}/users/{user_id}/roles/{role_id}"),
    _row("revoke_grant", GRANT_MANAGER, "Revoke a role.",
         "DELETE /projects/{project_id}/users/{user_id}/roles/{role_id}"),
    *(
        _row(f"{verb}_system_grant{plural}_for_{actor}", check, f"{verb.title()} system roles of a {actor}.",
             f"{method} /system/{actor}s/{{{actor}_id}}/roles{item}", scopes=NOT_DOMAIN)
        for actor in ("user", "group")
        for verb, plural, check, method, item in (
            ("list", "s", ADMIN_OR_SYSTEM_READER, "GET", ""),
            ("check", "", ADMIN_OR_SYSTEM_READER, "GET", "/{role_id}"),
            ("create", "", ADMIN, "PUT", "/{role_id}"),
            ("revoke", "", ADMIN, "DELETE", "/{role_id}"),
        )
    ),
    _row("get_implied_role", ADMIN_OR_SYSTEM_READER, "Show an implication.",
         "GET /roles/{prior_role_id}/implies/{implied_role_id}",
         scopes=NOT_DOMAIN),
    _row("list_implied_roles", ADMIN_OR_SYSTEM_READER, "List implications of a role.",
         "GET /roles/{prior_role_id}/implies",
         scopes=NOT_DOMAIN),
    _row("list_role_inference_rules", ADMIN_OR_SYSTEM_READER, "List all implications.", "GET /role_inferences",
         scopes=NOT_DOMAIN),
    _row("check_implied_role", ADMIN_OR_SYSTEM_READER, "Check an implication.",
         "HEAD /roles/{prior_role_id}/implies/{implied_role_id}",
         scopes=NOT_DOMAIN),
    _row("create_implied_role", ADMIN, "Add an implication.", "PUT /roles/{prior_role_id}/implies/{implied_role_id}",
         scopes=NOT_DOMAIN),
    _row("delete_implied_role", ADMIN, "Remove one.", "DELETE /roles/{prior_role_id}/implies/{implied_role_id}",
         scopes=NOT_DOMAIN),
    _row("list_role_assignments", f"{ADMIN_OR_SYSTEM_READER} or {DOMAIN_READER}", "List role assignments.",
         "GET /role_assignments"),
    _row("list_role_assignments_for_tree",
         f"{ADMIN_OR_SYSTEM_READER} or {PROJECTS_DOMAIN_READER} or {PROJECT_ADMIN}", "List those of a tree.",
         "GET /role_assignments?include_subtree"),
    *_noun("service", "services", "/services", ADMIN_OR_SYSTEM_READER, ADMIN, read_in=NOT_DOMAIN, write_in=NOT_DOMAIN),
    *_noun("endpoint", "endpoints", "/endpoints", ADMIN_OR_SYSTEM_READER, ADMIN,
           read_in=NOT_DOMAIN, write_in=NOT_DOMAIN),
    *_noun("region", "regions", "/regions", "", ADMIN, write_in=NOT_DOMAIN),
    *_noun("credential", "credentials", "/credentials", f"{ADMIN_OR_SYSTEM_READER} or {CREDENTIAL_OWNER}",
           f"{ADMIN} or {CREDENTIAL_OWNER}"),
    *(
        _row(f"ec2_{name}", check, summary, f"{method} /users/{{user_id}}/credentials/OS-EC2{item}", scopes=NOT_DOMAIN)
        for name, check, summary, method, item in (
            ("get_credential", f"{ADMIN_OR_SYSTEM_READER} or {CREDENTIAL_OWNER}", "Show one.", "GET",
             "/{credential_id}"),
            ("list_credentials", f"{ADMIN_OR_SYSTEM_READER} or {OWNER}", "List them.", "GET", ""),
            ("create_credential", ADMIN_OR_OWNER, "Make an access key.", "POST", ""),
            ("delete_credential", f"{ADMIN} or {CREDENTIAL_OWNER}", "Delete one.", "DELETE", "/{credential_id}"),
        )
    ),
    _row("get_application_credential", f"{ADMIN} or {SYSTEM_READER_OR_OWNER}", "Show an application credential.",
         "GET /users/{user_id}/application_credentials/{application_credential_id}",
         scopes=NOT_DOMAIN),
    _row("list_application_credentials", f"{ADMIN} or {SYSTEM_READER_OR_OWNER}", "List application credentials.",
         "GET /users/{user_id}/application_credentials",
         scopes=NOT_DOMAIN),
    _row("create_application_credential", OWNER, "Create an application credential.",
         "POST /users/{user_id}/application_credentials", scopes=("project",)),
    _row("delete_application_credential", ADMIN_OR_OWNER, "Delete an application credential.",
         "DELETE /users/{user_id}/application_credentials/{application_credential_id}",
         scopes=NOT_DOMAIN),
    _row("get_access_rule", SYSTEM_READER_OR_OWNER, "Show an access rule.",
         "GET /users/{user_id}/access_rules/{access_rule_id}",
         scopes=NOT_DOMAIN),
    _row("list_access_rules", SYSTEM_READER_OR_OWNER, "List access rules.", "GET /users/{user_id}/access_rules",
         scopes=NOT_DOMAIN),
    _row("delete_access_rule", SYSTEM_ADMIN_OR_OWNER, "Delete an access rule.",
         "DELETE /users/{user_id}/access_rules/{access_rule_id}",
         scopes=NOT_DOMAIN),
    *_noun("registered_limit", "registered_limits", "/registered_limits", "", ADMIN, write_in=NOT_DOMAIN),
    _row("get_limit_model", "", "The enforcement model.", "GET /limits/model"),
    _row("get_limit", LIMIT_READER, "Show a limit.", "GET /limits/{limit_id}"),
    _row("list_limits", "", "List limits.", "GET /limits"),
    _row("create_limits", ADMIN, "Create limits.", "POST /limits",
         scopes=NOT_DOMAIN),
    _row("update_limit", ADMIN, "Change a limit.", "PATCH /limits/{limit_id}",
         scopes=NOT_DOMAIN),
    _row("delete_limit", ADMIN, "Delete a limit.", "DELETE /limits/{limit_id}",
         scopes=NOT_DOMAIN),
    _row("create_trust", "user_id:%(trust.trustor_user_id)s", "Create a trust.", "POST /OS-TRUST/trusts",
         scopes=("project",)),
    _row("list_trusts", ADMIN_OR_SYSTEM_READER, "List trusts.", "GET /OS-TRUST/trusts",
         scopes=NOT_DOMAIN),
    _row("list_trusts_for_trustor", f"{ADMIN_OR_SYSTEM_READER} or {TRUSTOR}", "List given trusts.",
         "GET /OS-TRUST/trusts?trustor_user_id={trustor_user_id}",
         scopes=NOT_DOMAIN),
    _row("list_trusts_for_trustee", f"{ADMIN_OR_SYSTEM_READER} or {TRUSTEE}", "List received trusts.",
         "GET /OS-TRUST/trusts?trustee_user_id={trustee_user_id}",
         scopes=NOT_DOMAIN),
    _row("get_trust", f"{ADMIN_OR_SYSTEM_READER} or {TRUSTOR} or {TRUSTEE}", "Show a trust.",
         "GET /OS-TRUST/trusts/{trust_id}",
         scopes=NOT_DOMAIN),
    _row("list_roles_for_trust", f"{ADMIN_OR_SYSTEM_READER} or {TRUSTOR} or {TRUSTEE}", "List its roles.",
         "GET /OS-TRUST/trusts/{trust_id}/roles",
         scopes=NOT_DOMAIN),
    _row("get_role_for_trust", f"{ADMIN_OR_SYSTEM_READER} or {TRUSTOR} or {TRUSTEE}", "Show one of its roles.",
         "GET /OS-TRUST/trusts/{trust_id}/roles/{role_id}",
         scopes=NOT_DOMAIN),
    _row("delete_trust", f"{ADMIN} or {TRUSTOR}", "Revoke a trust.", "DELETE /OS-TRUST/trusts/{trust_id}",
         scopes=NOT_DOMAIN),
    _row("list_revoke_events", "rule:service_or_admin", "List revocation events.", "GET /OS-REVOKE/events"),
)  # fmt: skip
