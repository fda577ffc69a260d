"""JSON Schemas of bodies and query strings by microversion, as strict as upstream's."""

from __future__ import annotations

from typing import Any

from kilonova.placement.microversions import v

Schema = dict[str, Any]

MAX_INT = 0x7FFFFFFF
MAX_RATIO = 3.40282e38
UUID_KEY = "^[0-9a-fA-F-]{36}$"
NAME = "^[A-Z0-9_]+$"
CUSTOM_NAME = "^CUSTOM_[A-Z0-9_]+$"

UUID: Schema = {"type": "string", "format": "uuid"}
TEXT: Schema = {"type": "string"}
OWNER: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
GENERATION: Schema = {"type": "integer"}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _with(schema: Schema, *required: str, **properties: Schema) -> Schema:
    return {
        **schema,
        "properties": {**schema["properties"], **properties},
        "required": [*schema["required"], *required],
    }


def _keyed(pattern: str, value: Schema, at_least: int = 0) -> Schema:
    return {
        "type": "object",
        "patternProperties": {pattern: value},
        "minProperties": at_least,
        "additionalProperties": False,
    }


# Providers
_PARENT: Schema = {"anyOf": [UUID, {"type": "null"}]}
_PROVIDER = _object(("name",), name={"type": "string", "maxLength": 200})
_NEW_PROVIDER = _with(_PROVIDER, uuid=UUID)
NEW_PROVIDER = (
    (None, v(13), _NEW_PROVIDER),
    (v(14), None, _with(_NEW_PROVIDER, parent_provider_uuid=_PARENT)),
)
PROVIDER = ((None, v(13), _PROVIDER), (v(14), None, _with(_PROVIDER, parent_provider_uuid=_PARENT)))

_LIST_1_0 = _object(name=TEXT, uuid=UUID)
_LIST_1_3 = _with(_LIST_1_0, member_of=TEXT)
_LIST_1_4 = _with(_LIST_1_3, resources=TEXT)
_LIST_1_14 = _with(_LIST_1_4, in_tree=UUID)
_LIST_1_18 = _with(_LIST_1_14, required=TEXT)
PROVIDER_LIST = (
    (None, v(2), _LIST_1_0),
    (v(3), v(3), _LIST_1_3),
    (v(4), v(13), _LIST_1_4),
    (v(14), v(17), _LIST_1_14),
    (v(18), None, _LIST_1_18),
)

# Inventories
_AMOUNT: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_INT}
_OFFER = _object(
    ("total",),
    resource_provider_generation=GENERATION,
    total=_AMOUNT,
    reserved={"type": "integer", "minimum": 0, "maximum": MAX_INT},
    min_unit=_AMOUNT,
    max_unit=_AMOUNT,
    step_size=_AMOUNT,
    allocation_ratio={"type": "number", "maximum": MAX_RATIO},
)
ONE_INVENTORY = _with(_OFFER, "resource_provider_generation")
NEW_INVENTORY = _with(_OFFER, "resource_class", resource_class={"type": "string", "pattern": NAME})
INVENTORIES = _object(
    ("resource_provider_generation", "inventories"),
    resource_provider_generation=GENERATION,
    inventories=_keyed(NAME, _OFFER),
)

# Aggregates and traits of a provider
_UUIDS: Schema = {"type": "array", "items": UUID, "uniqueItems": True}
AGGREGATES = (
    (None, v(18), _UUIDS),
    (
        v(19),
        None,
        _object(
            ("aggregates", "resource_provider_generation"),
            aggregates=_UUIDS,
            resource_provider_generation=GENERATION,
        ),
    ),
)
TRAITS_OF_PROVIDER = _object(
    ("traits", "resource_provider_generation"),
    traits={"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255}},
    resource_provider_generation=GENERATION,
)
TRAIT_LIST = _object(name=TEXT, associated=TEXT)

# Resource classes
NEW_CLASS = _object(("name",), name={"type": "string", "pattern": CUSTOM_NAME, "maxLength": 255})

# Allocations
_RESOURCES = _keyed(NAME, {"type": "integer", "minimum": 1}, 1)
_ALLOCATIONS_1_0 = _object(
    ("allocations",),
    allocations={
        "type": "array",
        "minItems": 1,
        "items": _object(
            ("resource_provider", "resources"),
            resource_provider=_object(("uuid",), uuid=UUID),
            resources=_RESOURCES,
        ),
    },
)
_ALLOCATIONS_1_8 = _with(_ALLOCATIONS_1_0, "project_id", "user_id", project_id=OWNER, user_id=OWNER)
_BY_PROVIDER = _object(("resources",), generation=GENERATION, resources=_RESOURCES)
_ALLOCATIONS_1_12 = _with(_ALLOCATIONS_1_8, allocations=_keyed(UUID_KEY, _BY_PROVIDER, 1))
_EMPTY_ALLOWED = _with(_ALLOCATIONS_1_12, allocations=_keyed(UUID_KEY, _BY_PROVIDER))
_ALLOCATIONS_1_28 = _with(_EMPTY_ALLOWED, "consumer_generation", consumer_generation={"type": ["integer", "null"]})
# Upstream's schema lets any other key into mappings; the value of these is not looked at.
_MAPPINGS: Schema = {
    "type": "object",
    "patternProperties": {"[a-zA-Z0-9_-]{1,64}": {"type": "array", "minItems": 1, "items": UUID}},
}
_ALLOCATIONS_1_34 = _with(_ALLOCATIONS_1_28, mappings=_MAPPINGS)
_ALLOCATIONS_1_38 = _with(
    _ALLOCATIONS_1_34,
    "consumer_type",
    consumer_type={"type": "string", "pattern": NAME, "minLength": 1, "maxLength": 255},
)
ALLOCATIONS = (
    (None, v(7), _ALLOCATIONS_1_0),
    (v(8), v(11), _ALLOCATIONS_1_8),
    (v(12), v(27), _ALLOCATIONS_1_12),
    (v(28), v(33), _ALLOCATIONS_1_28),
    (v(34), v(37), _ALLOCATIONS_1_34),
    (v(38), None, _ALLOCATIONS_1_38),
)
ALLOCATIONS_OF_MANY = (
    (v(13), v(27), _keyed(UUID_KEY, _EMPTY_ALLOWED, 1)),
    (v(28), v(33), _keyed(UUID_KEY, _ALLOCATIONS_1_28, 1)),
    (v(34), v(37), _keyed(UUID_KEY, _ALLOCATIONS_1_34, 1)),
    (v(38), None, _keyed(UUID_KEY, _ALLOCATIONS_1_38, 1)),
)


def _reshape(allocations: Schema) -> Schema:
    return _object(
        ("inventories", "allocations"),
        inventories=_keyed(UUID_KEY, INVENTORIES, 1),
        allocations=_keyed(UUID_KEY, allocations),
    )


RESHAPE = (
    (v(30), v(33), _reshape(_ALLOCATIONS_1_28)),
    (v(34), v(37), _reshape(_ALLOCATIONS_1_34)),
    (v(38), None, _reshape(_ALLOCATIONS_1_38)),
)

# Usages
_USAGES = _object(("project_id",), project_id=OWNER, user_id=OWNER)
USAGES = (
    (v(9), v(37), _USAGES),
    (
        v(38),
        None,
        _with(
            _USAGES,
            consumer_type={
                "type": "string",
                "pattern": "^[A-Z0-9_]+$|^all$|^unknown$",
                "minLength": 1,
                "maxLength": 255,
            },
        ),
    ),
)

# Allocation candidates
_NUMBER = "[1-9][0-9]*"
_WORD = "[a-zA-Z0-9_-]{1,64}"
_LIMIT: Schema = {"type": "string", "pattern": "^[1-9][0-9]*$"}
_POLICY: Schema = {"type": "string", "enum": ["none", "isolate"]}


def _groups(suffix: str, *words: str, **properties: Schema) -> Schema:
    # Values of a query string come as lists; for patterns that is said here, for names the checker says it.
    texts = {"type": "array", "items": TEXT}
    return {
        **_object(limit=_LIMIT, group_policy=_POLICY, **properties),
        "patternProperties": {f"^{word}({suffix})?$": texts for word in words},
    }


_CANDIDATES_1_10 = _object(("resources",), resources=TEXT)
_CANDIDATES_1_16 = _with(_CANDIDATES_1_10, limit=_LIMIT)
_CANDIDATES_1_17 = _with(_CANDIDATES_1_16, required=TEXT)
_FOUR = ("resources", "required", "member_of", "in_tree")
CANDIDATES = (
    (v(10), v(15), _CANDIDATES_1_10),
    (v(16), v(16), _CANDIDATES_1_16),
    (v(17), v(20), _CANDIDATES_1_17),
    (v(21), v(24), _with(_CANDIDATES_1_17, member_of=TEXT)),
    (v(25), v(30), _groups(_NUMBER, *_FOUR[:3])),
    (v(31), v(32), _groups(_NUMBER, *_FOUR)),
    (v(33), v(34), _groups(_WORD, *_FOUR)),
    (v(35), v(35), _groups(_WORD, *_FOUR, root_required=TEXT)),
    (v(36), None, _groups(_WORD, *_FOUR, root_required=TEXT, same_subtree=TEXT)),
)
