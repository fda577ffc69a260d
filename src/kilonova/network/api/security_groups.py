"""Security groups and their rules over HTTP."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.kernel.db import Row, Transaction
from kilonova.kernel.web import Request
from kilonova.network import errors
from kilonova.network.api import attributes as rows
from kilonova.network.api.attributes import REQUIRED, at_birth, both, shown
from kilonova.network.api.collection import Parent, Resource, Wire, common, moment, reader_of
from kilonova.network.config import Settings
from kilonova.network.service import Network
from kilonova.network.store import security_groups as store
from kilonova.network.workflows import security_groups as work
from kilonova.network.workflows.change import Change, carry_out

ATTRIBUTES = (
    *rows.standard(),
    both("stateful", rows.BOOL, True, rows.to_bool),
    shown("shared"),
    shown("is_default"),
    shown("security_group_rules"),
)


def normalized(prefix: str | None) -> str | None:
    """The prefix without the bits that do not count."""
    return None if prefix is None else str(ipaddress.ip_network(prefix, strict=False))


def rule_view(row: Row[Any], related: Any = None) -> Wire:
    """A rule on the wire."""
    return {
        "id": row.id,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "security_group_id": row.security_group_id,
        "direction": row.direction,
        "ethertype": row.ethertype,
        "protocol": row.protocol,
        "port_range_min": row.port_range_min,
        "port_range_max": row.port_range_max,
        "remote_ip_prefix": row.remote_ip_prefix,
        "remote_group_id": row.remote_group_id,
        "remote_address_group_id": None,
        "normalized_cidr": normalized(row.remote_ip_prefix),
        "description": row.description,
        "revision_number": row.revision_number,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    }


def _listed_rule_view(row: Row[Any], related: Any) -> Wire:
    return {**rule_view(row), "belongs_to_default_sg": bool(row.of_default_group)}


def view(row: Row[Any], rules: Mapping[str, Sequence[Row[Any]]]) -> Wire:
    """A group with its rules on the wire."""
    return {
        **common(row),
        "name": row.name,
        "stateful": row.stateful,
        "shared": bool(row.shared),
        "is_default": bool(row.is_default),
        "security_group_rules": [rule_view(rule) for rule in rules.get(row.id, ())],
        "tags": row.tags,
    }


async def _rules(tx: Transaction, found: Sequence[Row[Any]], settings: Settings) -> Mapping[str, Sequence[Row[Any]]]:
    return await store.rules_of(tx, [row.id for row in found])


async def ensure_default(request: Request[Network]) -> None:
    """A project has its default group as soon as somebody looks."""
    wanted = {request.context.project_id, *request.query.get("project_id", ()), *request.query.get("tenant_id", ())}
    for project_id in sorted(p for p in wanted if p):
        if project_id != request.context.project_id and not request.context.is_admin:
            continue
        async with request.service.db.read() as tx:
            if await store.default_of(tx, project_id) is not None:
                continue
        if not request.may("create_default_security_group", {"project_id": project_id}):
            continue

        async def make(change: Change, project_id: str = project_id) -> None:
            await work.ensure_default(change, project_id)

        await carry_out(request.service, request.context, make)


async def _make(change: Change, parent: Parent, ask: Mapping[str, Any], prepared: Any) -> str:
    return await work.create_group(change, ask)


async def _alter(change: Change, row: Row[Any], ask: Mapping[str, Any], prepared: Any) -> None:
    await work.update_group(change, row, ask)


SECURITY_GROUPS = Resource(
    name="security_group",
    plural="security_groups",
    attributes=ATTRIBUTES,
    listing=store.LISTING,
    missing=errors.SecurityGroupNotFound,
    view=view,
    related=_rules,
    make=_make,
    alter=_alter,
    remove=work.delete_group,
    before_list=ensure_default,
)

# --- rules ------------------------------------------------------------------------------------------------------


def _protocol(value: Any) -> str | None:
    return None if value is None else str(value)


def _ethertype(value: str) -> str:
    for name in ("IPv4", "IPv6"):
        if value.lower() == name.lower():
            return name
    raise errors.SecurityGroupRuleInvalidEtherType(ethertype=value, values=["IPv4", "IPv6"])


RULE_ATTRIBUTES = (
    *rows.standard(name=False, tags=False, describe=False),
    at_birth("description", rows.text(), ""),
    at_birth("security_group_id", rows.ID, REQUIRED),
    at_birth("direction", {"enum": ["ingress", "egress"]}, REQUIRED),
    at_birth("ethertype", {"type": "string", "maxLength": 8}, "IPv4", _ethertype),
    at_birth("protocol", {"type": ["string", "integer", "null"], "maxLength": 40}, None, _protocol),
    at_birth("port_range_min", rows.INTEGER_OR_NONE, None, rows.or_none(rows.to_int)),
    at_birth("port_range_max", rows.INTEGER_OR_NONE, None, rows.or_none(rows.to_int)),
    at_birth("remote_ip_prefix", rows.text_or_none(64)),
    at_birth("remote_group_id", rows.text_or_none(255)),
    at_birth("remote_address_group_id", {"type": "null"}, filters=False),
    shown("normalized_cidr", becomes="remote_ip_prefix"),
    shown("belongs_to_default_sg", becomes="of_default_group"),
)


def rule_facts(row: Row[Any]) -> Mapping[str, Any]:
    """What rules of access ask about a rule's group."""
    return {"security_group:project_id": row.group_project_id}


async def _group_of(change: Change, request: Request[Network], ask: Mapping[str, Any]) -> Parent:
    found = await store.LISTING.one(change.tx, reader_of(request.context), ask["security_group_id"])
    if found is None:
        raise errors.SecurityGroupNotFound(id=ask["security_group_id"])
    return Parent(found, {"security_group:project_id": found.project_id})


async def _make_rule(change: Change, parent: Parent, ask: Mapping[str, Any], prepared: Any) -> str:
    assert parent.row is not None
    remote = None
    if ask["remote_group_id"] is not None:
        remote = await store.LISTING.one(change.tx, reader_of(change.context), ask["remote_group_id"])
        if remote is None:
            raise errors.SecurityGroupNotFound(id=ask["remote_group_id"])
    return await work.create_rule(change, parent.row, {**ask, "project_id": parent.row.project_id}, remote)


RULES = Resource(
    name="security_group_rule",
    plural="security_group_rules",
    attributes=RULE_ATTRIBUTES,
    listing=store.RULES,
    missing=errors.SecurityGroupRuleNotFound,
    view=_listed_rule_view,
    facts=rule_facts,
    parent=_group_of,
    make=_make_rule,
    remove=work.delete_rule,
    before_list=ensure_default,
    taggable=False,
)
