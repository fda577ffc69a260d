"""Security groups and their rules as compute had them: rules are for what comes in."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Any

from kilonova.clients.network import NetworkRefused, SecurityGroup, SecurityRule
from kilonova.compute.api.old.refused import as_ours
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import UUID, closed, query_bool
from kilonova.kernel.errors import BadRequest, NotFound
from kilonova.kernel.web import Response, accepted, answer

_KEYS = {
    "name": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": {"type": ["string", "null"], "maxLength": 255},
}
GROUP = closed({"security_group": closed(_KEYS, "name")}, "security_group")
_PORT = {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]{1,9}$", "minimum": -1, "maximum": 65535}
_TEXT = {"type": ["string", "null"], "maxLength": 255}
_RULE = {
    "parent_group_id": UUID,
    "group_id": {"anyOf": [{"type": "null"}, UUID]},
    "ip_protocol": {"type": ["string", "integer", "null"], "maxLength": 40},
    "from_port": _PORT,
    "to_port": _PORT,
    "cidr": _TEXT,
}
RULE = closed({"security_group_rule": {**closed(_RULE, "parent_group_id"), "additionalProperties": True}},
              "security_group_rule")  # fmt: skip
_NUMBER = {"type": "string", "pattern": "^[0-9]{1,9}$"}
LIST = {"properties": {"all_tenants": {"type": "string"}, "limit": _NUMBER, "offset": _NUMBER}}

_ANY_PORT = (-1, -1)
_ALL_PORTS = (1, 65535)


def shown_groups(groups: Collection[SecurityGroup], known: Collection[SecurityGroup]) -> list[dict[str, Any]]:
    """Groups in the old shape. ``known``: groups that their rules may name."""
    by_id = {group.id: group for group in known}
    return [
        {
            "id": group.id,
            "name": group.name,
            "description": group.description,
            "tenant_id": group.project_id,
            "rules": [shown_rule(rule, by_id) for rule in group.rules if rule.direction == "ingress"],
        }
        for group in sorted(groups, key=lambda group: (group.project_id, group.name, group.id))
    ]


def shown_rule(rule: SecurityRule, groups: dict[str, SecurityGroup]) -> dict[str, Any]:
    """A rule in the old shape: it lets in either a group or a range of addresses."""
    low, high = rule.port_min, rule.port_max
    if low is None and high is None and rule.protocol is not None:
        low, high = _ALL_PORTS if rule.protocol in ("tcp", "udp") else _ANY_PORT
    remote = groups.get(rule.remote_group_id or "")
    return {
        "id": rule.id,
        "parent_group_id": rule.group_id,
        "ip_protocol": rule.protocol,
        "from_port": low,
        "to_port": high,
        "group": {} if remote is None else {"name": remote.name, "tenant_id": remote.project_id},
        "ip_range": {"cidr": rule.remote_ip_prefix or "0.0.0.0/0"} if rule.remote_group_id is None else {},
    }


async def _answer_one(request: ComputeRequest, group: SecurityGroup) -> Response:
    named = {rule.remote_group_id for rule in group.rules if rule.remote_group_id not in (None, group.id)}
    known = [group]
    if named:
        known += await request.service.network.security_groups(group.project_id, token=request.context.token)
    return answer({"security_group": shown_groups([group], known)[0]})


async def _find(request: ComputeRequest, group_id: str) -> SecurityGroup:
    found = await request.service.network.security_group(group_id, token=request.context.token)
    if found is None:
        raise NotFound(f"Security group {group_id} not found.")
    return found


async def list_groups(request: ComputeRequest) -> Response:
    """GET /os-security-groups; all_tenants is for administrators"""
    network, context = request.service.network, request.context
    if context.is_admin and query_bool(request.q("all_tenants"), "all_tenants"):
        found = await network.every_security_group(token=context.token)
    else:
        found = await network.security_groups(context.project_id or "", token=context.token)
    first = int(request.q("offset") or 0)
    limit = min(int(request.q("limit") or request.service.settings.max_limit), request.service.settings.max_limit)
    return answer({"security_groups": shown_groups(found, found)[first : first + limit]})


async def show_group(request: ComputeRequest) -> Response:
    """GET /os-security-groups/{id}"""
    return await _answer_one(request, await _find(request, request.params["id"]))


async def create_group(request: ComputeRequest) -> Response:
    """POST /os-security-groups"""
    ask, token = request.body["security_group"], request.context.token
    try:
        made = await request.service.network.create_security_group(
            ask["name"], ask.get("description") or "", token=token
        )
    except NetworkRefused as refused:
        raise as_ours(refused) from None
    return await _answer_one(request, made)


async def update_group(request: ComputeRequest) -> Response:
    """PUT /os-security-groups/{id}"""
    ask, token = request.body["security_group"], request.context.token
    group = await _find(request, request.params["id"])
    try:
        changed = await request.service.network.update_security_group(
            group.id, ask["name"], ask.get("description") or "", token=token
        )
    except NetworkRefused as refused:
        raise as_ours(refused) from None
    return await _answer_one(request, changed)


async def delete_group(request: ComputeRequest) -> Response:
    """DELETE /os-security-groups/{id}"""
    try:
        await request.service.network.delete_security_group(request.params["id"], token=request.context.token)
    except NetworkRefused as refused:
        raise as_ours(refused) from None
    return accepted()


async def create_rule(request: ComputeRequest) -> Response:
    """POST /os-security-group-rules"""
    ask, token = request.body["security_group_rule"], request.context.token
    group = await _find(request, ask["parent_group_id"])
    source = await _find(request, ask["group_id"]) if ask.get("group_id") else None
    protocol = None if ask.get("ip_protocol") in (None, "") else str(ask["ip_protocol"]).lower()
    low, high = _port(ask.get("from_port")), _port(ask.get("to_port"))
    if source is None and (protocol is None or ask.get("from_port") is None or ask.get("to_port") is None):
        raise BadRequest("A rule without group_id needs ip_protocol, from_port and to_port.")
    prefix = None if source is not None else ask.get("cidr") or "0.0.0.0/0"
    try:
        made = await request.service.network.create_security_rule(
            group.id,
            ethertype=_ethertype(prefix),
            protocol=protocol,
            port_min=low,
            port_max=high,
            remote_ip_prefix=prefix,
            remote_group_id=source.id if source is not None else None,
            token=token,
        )
    except NetworkRefused as refused:
        raise as_ours(refused) from None
    return answer({"security_group_rule": shown_rule(made, {source.id: source} if source is not None else {})})


def _port(value: Any) -> int | None:
    """-1 was the old word for any."""
    number = None if value is None else int(value)
    if number is not None and not -1 <= number <= 65535:
        raise BadRequest(f"Invalid port {value}: it must be from -1 to 65535.")
    return None if number == -1 else number


def _ethertype(prefix: str | None) -> str:
    try:
        return "IPv6" if prefix is not None and ipaddress.ip_network(prefix, strict=False).version == 6 else "IPv4"
    except ValueError:
        raise BadRequest(f"Invalid cidr {prefix}.") from None


async def delete_rule(request: ComputeRequest) -> Response:
    """DELETE /os-security-group-rules/{id}"""
    try:
        await request.service.network.delete_security_rule(request.params["id"], token=request.context.token)
    except NetworkRefused as refused:
        raise as_ours(refused) from None
    return accepted()
