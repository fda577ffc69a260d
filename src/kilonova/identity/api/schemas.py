"""What bodies must look like (JSON Schema 2020-12). Members beyond the known ones are kept as ``extra``."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

ID: Schema = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[a-zA-Z0-9-]+$"}
ID_OR_NULL: Schema = {"anyOf": [ID, {"type": "null"}]}
TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
BOOLEAN: Schema = {"type": "boolean"}
OPTIONS: Schema = {"type": "object"}
MOMENT_OR_NULL: Schema = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}


def name(longest: int = 255) -> Schema:
    """A name with at least one character that is not a space."""
    return {"type": "string", "minLength": 1, "maxLength": longest, "pattern": r"\S"}


def wrapped(word: str, properties: Schema, required: tuple[str, ...] = (), *, closed: bool = False) -> Schema:
    """``{word: {...}}``."""
    inner: Schema = {"type": "object", "properties": properties, "required": list(required)}
    if closed:
        inner["additionalProperties"] = False
    if not required:
        inner["minProperties"] = 1
    return {"type": "object", "properties": {word: inner}, "required": [word]}


TAG: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^,/]*$"}
TAGS: Schema = {"type": "array", "items": TAG, "maxItems": 80, "uniqueItems": True}
IMMUTABLE: Schema = {
    "type": "object",
    "properties": {"immutable": {"type": ["boolean", "null"]}},
    "additionalProperties": False,
}
_DOMAIN_REF: Schema = {"type": "object", "properties": {"id": TEXT, "name": TEXT}}
_USER_REF: Schema = {
    "type": "object",
    "properties": {"id": TEXT, "name": TEXT, "domain": _DOMAIN_REF, "password": TEXT},
    "anyOf": [{"required": ["id"]}, {"required": ["name", "domain"]}],
}

AUTH: Schema = {
    "type": "object",
    "required": ["auth"],
    "properties": {
        "auth": {
            "type": "object",
            "required": ["identity"],
            "properties": {
                "identity": {
                    "type": "object",
                    "required": ["methods"],
                    "properties": {
                        "methods": {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 8},
                        "password": {
                            "type": "object",
                            "required": ["user"],
                            "properties": {"user": {**_USER_REF, "required": ["password"]}},
                        },
                        "token": {"type": "object", "required": ["id"], "properties": {"id": TEXT}},
                        "application_credential": {
                            "type": "object",
                            "required": ["secret"],
                            "properties": {"id": TEXT, "name": TEXT, "secret": TEXT, "user": _USER_REF},
                            "anyOf": [{"required": ["id"]}, {"required": ["name", "user"]}],
                        },
                    },
                },
                "scope": {
                    "anyOf": [
                        {"const": "unscoped"},
                        {
                            "type": "object",
                            "properties": {
                                "project": {
                                    "type": "object",
                                    "properties": {"id": TEXT, "name": TEXT, "domain": _DOMAIN_REF},
                                    "anyOf": [{"required": ["id"]}, {"required": ["name"]}],
                                },
                                "domain": {**_DOMAIN_REF, "minProperties": 1},
                                "system": {"type": "object"},
                                "OS-TRUST:trust": {"type": "object", "properties": {"id": TEXT}, "required": ["id"]},
                                "unscoped": {"type": "object"},
                            },
                        },
                    ]
                },
            },
        }
    },
}

_USER: Schema = {
    "name": name(),
    "domain_id": ID,
    "default_project_id": ID_OR_NULL,
    "password": TEXT_OR_NULL,
    "enabled": BOOLEAN,
    "description": TEXT_OR_NULL,
    "email": TEXT_OR_NULL,
    "options": OPTIONS,
}
USER_NEW = wrapped("user", _USER, ("name",))
USER_CHANGE = wrapped("user", _USER)
PASSWORD_CHANGE = wrapped("user", {"original_password": TEXT, "password": TEXT}, ("original_password", "password"))
_PROJECT: Schema = {
    "name": name(64),
    "domain_id": ID_OR_NULL,
    "parent_id": ID_OR_NULL,
    "enabled": BOOLEAN,
    "description": TEXT_OR_NULL,
    "is_domain": BOOLEAN,
    "tags": TAGS,
    "options": IMMUTABLE,
}
PROJECT_NEW = wrapped("project", _PROJECT, ("name",))
PROJECT_CHANGE = wrapped("project", _PROJECT)
_DOMAIN: Schema = {
    "name": name(64),
    "enabled": BOOLEAN,
    "description": TEXT_OR_NULL,
    "tags": TAGS,
    "options": IMMUTABLE,
    "explicit_domain_id": ID,
}
DOMAIN_NEW = wrapped("domain", _DOMAIN, ("name",))
DOMAIN_CHANGE = wrapped("domain", _DOMAIN)
TAGS_BODY: Schema = {
    "type": "object",
    "properties": {"tags": TAGS},
    "required": ["tags"],
    "additionalProperties": False,
}
_GROUP: Schema = {"name": name(64), "domain_id": ID, "description": TEXT_OR_NULL}
GROUP_NEW = wrapped("group", _GROUP, ("name",))
GROUP_CHANGE = wrapped("group", _GROUP)
_ROLE: Schema = {"name": name(), "domain_id": ID_OR_NULL, "description": TEXT_OR_NULL, "options": IMMUTABLE}
ROLE_NEW = wrapped("role", _ROLE, ("name",))
ROLE_CHANGE = wrapped("role", _ROLE)
_REGION_ID: Schema = {"type": ["string", "null"], "minLength": 1, "maxLength": 255}
_REGION: Schema = {"id": _REGION_ID, "description": TEXT_OR_NULL, "parent_region_id": _REGION_ID}
REGION_NEW: Schema = {
    "type": "object",
    "properties": {"region": {"type": "object", "properties": _REGION}},
    "required": ["region"],
}
REGION_CHANGE = wrapped("region", _REGION)
_SERVICE: Schema = {"type": name(), "name": TEXT_OR_NULL, "description": TEXT_OR_NULL, "enabled": BOOLEAN}
SERVICE_NEW = wrapped("service", _SERVICE, ("type",))
SERVICE_CHANGE = wrapped("service", _SERVICE)
_ENDPOINT: Schema = {
    "interface": {"enum": ["public", "internal", "admin"]},
    "service_id": ID,
    "url": {"type": "string", "minLength": 1, "maxLength": 2048},
    "region_id": _REGION_ID,
    "region": _REGION_ID,
    "enabled": BOOLEAN,
    "name": TEXT_OR_NULL,
    "description": TEXT_OR_NULL,
}
ENDPOINT_NEW = wrapped("endpoint", _ENDPOINT, ("interface", "service_id", "url"))
ENDPOINT_CHANGE = wrapped("endpoint", _ENDPOINT)
_CREDENTIAL: Schema = {
    "type": name(),
    "blob": {"type": "string", "maxLength": 65536},
    "user_id": ID,
    "project_id": ID_OR_NULL,
}
CREDENTIAL_NEW = wrapped("credential", _CREDENTIAL, ("type", "blob"))
CREDENTIAL_CHANGE = wrapped("credential", _CREDENTIAL)
EC2_NEW: Schema = {"type": "object", "properties": {"tenant_id": ID}, "required": ["tenant_id"]}
_ROLES: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"id": ID, "name": name()},
        "anyOf": [{"required": ["id"]}, {"required": ["name"]}],
    },
}
APPLICATION_CREDENTIAL_NEW = wrapped(
    "application_credential",
    {
        "name": name(),
        "description": TEXT_OR_NULL,
        "secret": {"type": ["string", "null"], "minLength": 1, "maxLength": 4096},
        "expires_at": MOMENT_OR_NULL,
        "roles": _ROLES,
        "unrestricted": BOOLEAN,
        "access_rules": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": ID,
                    "service": {**TEXT, "maxLength": 64},
                    "path": {"type": "string", "maxLength": 128, "pattern": "^/"},
                    "method": {"type": "string", "pattern": "^(GET|HEAD|POST|PUT|PATCH|DELETE)$"},
                },
                "anyOf": [{"required": ["id"]}, {"required": ["service", "path", "method"]}],
                "additionalProperties": False,
            },
        },
    },
    ("name",),
)
_AMOUNT: Schema = {"type": "integer", "minimum": -1, "maximum": 0x7FFFFFFF}
_REGISTERED: Schema = {
    "service_id": ID,
    "region_id": _REGION_ID,
    "resource_name": name(),
    "default_limit": _AMOUNT,
    "description": TEXT_OR_NULL,
}


def _list_of(word: str, properties: Schema, required: tuple[str, ...]) -> Schema:
    one = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return {
        "type": "object",
        "properties": {word: {"type": "array", "items": one, "minItems": 1, "maxItems": 1000}},
        "required": [word],
    }


REGISTERED_LIMITS_NEW = _list_of("registered_limits", _REGISTERED, ("service_id", "resource_name", "default_limit"))
REGISTERED_LIMIT_CHANGE = wrapped("registered_limit", _REGISTERED, closed=True)
_LIMIT: Schema = {
    "project_id": ID_OR_NULL,
    "domain_id": ID_OR_NULL,
    "service_id": ID,
    "region_id": _REGION_ID,
    "resource_name": name(),
    "resource_limit": _AMOUNT,
    "description": TEXT_OR_NULL,
}
LIMITS_NEW = _list_of("limits", _LIMIT, ("service_id", "resource_name", "resource_limit"))
LIMIT_CHANGE = wrapped("limit", {"resource_limit": _AMOUNT, "description": TEXT_OR_NULL}, closed=True)
TRUST_NEW = wrapped(
    "trust",
    {
        "trustor_user_id": ID,
        "trustee_user_id": ID,
        "impersonation": BOOLEAN,
        "project_id": ID_OR_NULL,
        "remaining_uses": {"type": ["integer", "null"], "minimum": 1, "maximum": 0x7FFFFFFF},
        "expires_at": MOMENT_OR_NULL,
        "allow_redelegation": BOOLEAN,
        "redelegation_count": {"type": ["integer", "null"], "minimum": 0, "maximum": 100},
        "roles": _ROLES,
    },
    ("trustor_user_id", "trustee_user_id", "impersonation"),
)
