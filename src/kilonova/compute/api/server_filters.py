"""The query string of a list of servers: which servers, in what order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import as_time, query_bool
from kilonova.compute.errors import BadValue
from kilonova.compute.microversions import users_filter_more, v
from kilonova.compute.model.states import STATUS
from kilonova.compute.policies import PREFIX
from kilonova.compute.store.servers import SORTABLE, Filters
from kilonova.kernel.db.patterns import check_pattern
from kilonova.kernel.errors import Forbidden

Convert = Callable[[str], Any]

_WORDS = frozenset(STATUS.values())


def _number(text: str) -> int:
    if not text.lstrip("-").isdecimal():
        raise BadValue(field="filter", value=text, why="It must be a whole number.")
    return int(text)


def _flag(text: str) -> bool:
    return query_bool(text, "filter")


def _moment(text: str) -> Any:
    return as_time(text, "filter")


_EQUAL: dict[str, tuple[str, Convert]] = {
    "image": ("image_ref", str),
    "image_ref": ("image_ref", str),
    "flavor": ("instance_type_id", str),
    "host": ("host", str),
    "node": ("node", str),
    "user_id": ("user_id", str),
    "uuid": ("uuid", str),
    "vm_state": ("vm_state", str),
    "task_state": ("task_state", str),
    "power_state": ("power_state", _number),
    "progress": ("progress", _number),
    "launch_index": ("launch_index", _number),
    "key_name": ("key_name", str),
    "availability_zone": ("availability_zone", str),
    "config_drive": ("config_drive", _flag),
    "auto_disk_config": ("auto_disk_config", str),
    "access_ip_v4": ("access_ip_v4", str),
    "access_ip_v6": ("access_ip_v6", str),
    "root_device_name": ("root_device_name", str),
    "locked_by": ("locked_by", str),
    "created_at": ("created_at", _moment),
    "launched_at": ("launched_at", _moment),
    "terminated_at": ("terminated_at", _moment),
}
_PATTERNS = {
    "name": "display_name",
    "display_name": "display_name",
    "hostname": "hostname",
    "description": "display_description",
    "display_description": "display_description",
}
_FOR_USERS = frozenset(("reservation_id", "name", "status", "image", "flavor", "ip", "changes-since", "all_tenants"))
_FOR_USERS_SINCE_83 = frozenset(
    (
        "availability_zone",
        "config_drive",
        "key_name",
        "created_at",
        "launched_at",
        "terminated_at",
        "power_state",
        "task_state",
        "vm_state",
        "progress",
        "user_id",
    )
)


def _allowed(request: ComputeRequest) -> Callable[[str], bool]:
    """Which keys this caller may filter by; others are passed over in silence, as upstream does."""
    if request.may(PREFIX + "servers:allow_all_filters"):
        return lambda key: True
    keys = set(_FOR_USERS)
    if request.version >= v(5):
        keys.add("ip6")
    if request.version >= v(26):
        keys.update(("tags", "tags-any", "not-tags", "not-tags-any"))
    if request.version >= v(66):
        keys.add("changes-before")
    if request.version >= v(73):
        keys.add("locked")
    if users_filter_more(request.version):
        keys.update(_FOR_USERS_SINCE_83)
    return keys.__contains__


def filters_of(request: ComputeRequest, all_rule: str) -> Filters | None:
    """What the query asks for; None when nothing can match. Raises BadValue, Forbidden."""
    may_use = _allowed(request)

    def given(key: str) -> str | None:
        return request.q(key) if may_use(key) else None

    project_id: str | None = request.context.project_id or ""
    if "all_tenants" in request.query and query_bool(request.q("all_tenants"), "all_tenants", default=True):
        request.allow(request.own_target(), all_rule)
        project_id = given("project_id") or given("tenant_id")
    equal: dict[str, tuple[Any, ...]] = {}
    for key, (column, convert) in _EQUAL.items():
        values = request.query.get(key) if may_use(key) else None
        if values:
            equal[column] = tuple(convert(value) for value in values)
    if "task_state" in equal and "None" in equal["task_state"]:
        equal["task_state"] = (*equal["task_state"], None)
    patterns = {}
    for key, column in _PATTERNS.items():
        pattern = given(key)
        if pattern:
            check_pattern(pattern, key)
            patterns[column] = pattern
    since, before = _times(given)
    deleted, statuses = _living(request, given, since is not None)
    if statuses is None:
        return None
    return Filters(
        project_id=project_id,
        deleted=deleted,
        statuses=statuses,
        equal=equal,
        patterns=patterns,
        address=given("ip"),
        address6=given("ip6"),
        changed_since=since,
        changed_before=before,
        tags_all=_tags(given("tags")),
        tags_any=_tags(given("tags-any")),
        tags_not_all=_tags(given("not-tags")),
        tags_not_any=_tags(given("not-tags-any")),
        locked=_locked(request, given),
        reservation_id=given("reservation_id"),
        metadata=_metadata(given("metadata")),
    )


def _times(given: Callable[[str], str | None]) -> tuple[Any, Any]:
    since = as_time(given("changes-since"), "changes-since")
    before = as_time(given("changes-before"), "changes-before")
    if since is not None and before is not None and since > before:
        raise BadValue(field="changes-since", value=since, why="It must not be after changes-before.")
    return since, before


def _living(
    request: ComputeRequest, given: Callable[[str], str | None], asks_for_changes: bool
) -> tuple[bool | None, tuple[str, ...] | None]:
    """Whether deleted servers are wanted, and the words of status; None for these when no word is known."""
    deleted: bool | None = False
    if given("deleted"):
        deleted = query_bool(given("deleted"), "deleted")
    elif asks_for_changes:
        deleted = None
    words = tuple(word.upper() for word in request.query.get("status", []) if word)
    if not words:
        return deleted, ()
    known = tuple(word for word in words if word in _WORDS)
    if "DELETED" in known:
        if not request.context.is_admin:
            raise Forbidden("Only administrators may list deleted servers.")
        deleted = True if known == ("DELETED",) else None
    return deleted, known or None


def _locked(request: ComputeRequest, given: Callable[[str], str | None]) -> bool | None:
    text = given("locked") if request.version >= v(73) else None
    return None if text is None else query_bool(text, "locked")


def _tags(text: str | None) -> tuple[str, ...]:
    return tuple(tag for tag in (text or "").split(",") if tag)


def _metadata(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    try:
        return msgspec.json.decode(text.encode(), type=dict[str, str])
    except msgspec.DecodeError:
        raise BadValue(field="metadata", value=text, why="It must be a JSON object of strings.") from None


def sort_of(request: ComputeRequest) -> tuple[tuple[str, str], ...]:
    """Pairs of key and direction, newest first unless asked otherwise. Raises BadValue, Forbidden."""
    keys, directions = request.query.get("sort_key", []), request.query.get("sort_dir", [])
    pairs = []
    for at, key in enumerate(keys):
        key = {"id": "number", "locked": "locked_by"}.get(key, key)
        if key not in SORTABLE:
            raise BadValue(field="sort_key", value=key, why="Servers cannot be sorted by it.")
        if key in ("host", "node") and not request.context.is_admin:
            raise Forbidden(f"Only administrators may sort servers by {key}.")
        pairs.append((key, directions[at] if at < len(directions) else "desc"))
    if any(direction not in ("asc", "desc") for _, direction in pairs) or len(directions) > max(len(keys), 1):
        raise BadValue(field="sort_dir", value=",".join(directions), why="It must be asc or desc, one a key.")
    for key in ("created_at", "number"):
        if key not in [k for k, _ in pairs]:
            pairs.append((key, directions[0] if not keys and directions else "desc"))
    return tuple(pairs)
