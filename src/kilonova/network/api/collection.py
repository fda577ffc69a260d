"""What all resources have in common over HTTP: list, show, create (one or many), change, delete, tags.

A ``Resource`` says what is special about a noun; ``routes_of`` makes its routes. One request is one transaction: the
parent is read, the rules are asked, the rows written and read back in it; the driver hears of it after the commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from kilonova.kernel.context import Context
from kilonova.kernel.db import Page, Row, Transaction
from kilonova.kernel.errors import Error
from kilonova.kernel.web import Request, Response, Route, answer, no_content
from kilonova.network import errors
from kilonova.network.api.attributes import Attribute, asked, body_schema
from kilonova.network.config import Settings
from kilonova.network.policies import RULES
from kilonova.network.service import Network
from kilonova.network.store.listing import Listing, Reader
from kilonova.network.workflows.change import Change, carry_out

RULE_NAMES = frozenset(rule.name for rule in RULES)
NOT_FILTERS = ("fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir")
TAG_FILTERS = ("tags", "tags-any", "not-tags", "not-tags-any", "changed_since")
DECIDING = (
    "project_id", "shared", "router:external", "network:project_id", "security_group:project_id",
    "belongs_to_default_sg",
)  # fmt: skip
"""What the rules for reading look at: objects that are alike in these get the same decision."""

Wire = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parent:
    """What a new object belongs to: its row, and what the rules may ask about it."""

    row: Row[Any] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


async def no_parent(change: Change, request: Request[Network], ask: Mapping[str, Any]) -> Parent:
    """Objects that stand alone."""
    return Parent()


async def nothing_related(tx: Transaction, rows: Sequence[Row[Any]], settings: Settings) -> Any:
    """Objects whose row says all."""
    return None


async def nothing_prepared(request: Request[Network], ask: Mapping[str, Any], object_id: str | None) -> Any:
    """Changes that need nobody else."""
    return None


def no_facts(row: Row[Any]) -> Mapping[str, Any]:
    """Objects whose own attributes are all that rules ask about."""
    return {}


@dataclass(frozen=True)
class Resource:
    """One noun.

    ``view``: the wire form of a row, given what ``related`` read for all rows of the list at once.
    ``facts``: what rules may ask about the object's parent. ``prepare``: before the transaction, may talk to others.
    ``make``, ``alter``, ``remove``: the changes. A verb that is None does not exist.
    """

    name: str
    plural: str
    attributes: tuple[Attribute, ...]
    listing: Listing
    missing: type[Error]
    view: Callable[[Row[Any], Any], Wire]
    path: str = ""
    related: Callable[[Transaction, Sequence[Row[Any]], Settings], Awaitable[Any]] = nothing_related
    facts: Callable[[Row[Any]], Mapping[str, Any]] = no_facts
    parent: Callable[[Change, Request[Network], Mapping[str, Any]], Awaitable[Parent]] = no_parent
    prepare: Callable[[Request[Network], Mapping[str, Any], str | None], Awaitable[Any]] = nothing_prepared
    make: Callable[[Change, Parent, Mapping[str, Any], Any], Awaitable[str]] | None = None
    alter: Callable[[Change, Row[Any], Mapping[str, Any], Any], Awaitable[None]] | None = None
    remove: Callable[[Change, Row[Any]], Awaitable[None]] | None = None
    before_list: Callable[[Request[Network]], Awaitable[None]] | None = None
    taggable: bool = True

    @property
    def url(self) -> str:
        """The collection's path."""
        return f"/v2.0/{self.path or self.plural.replace('_', '-')}"

    @cached_property
    def guarded(self) -> tuple[tuple[str, str], ...]:
        """Attributes that only some may see, with the rule that says who."""
        names = ((a.name, f"get_{self.name}:{a.name}") for a in self.attributes)
        return tuple((name, rule) for name, rule in names if rule in RULE_NAMES)

    @cached_property
    def filters(self) -> Mapping[str, str]:
        """What a list can be filtered by, on the wire and inside."""
        return {a.name: a.inside for a in self.attributes if a.filters and a.inside in self.listing.filters}

    @cached_property
    def sortable(self) -> Mapping[str, str]:
        """What a list can be sorted by, on the wire and inside."""
        return {a.name: a.inside for a in self.attributes if a.inside in self.listing.columns}


def reader_of(context: Context) -> Reader:
    """Whose rows the caller may see at all."""
    wide = context.is_admin or "service" in context.roles or "advsvc" in context.roles
    return Reader(context.project_id, wide)


def moment(value: datetime) -> str:
    """A moment as this API writes it, to the second."""
    return value.isoformat()[:19] + "Z"


def common(row: Row[Any]) -> Wire:
    """The attributes that every resource has."""
    return {
        "id": row.id,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "description": row.description,
        "revision_number": row.revision_number,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    }


def is_set(value: Any, default: Any) -> bool:
    """Whether a sent value says more than saying nothing."""
    return value is not None and value != default and not (value in ([], (), "") and default in ([], (), "", None))


class Sight:
    """What one caller sees of one kind of resource: asked once for objects that are alike to the rules."""

    def __init__(self, request: Request[Network], resource: Resource):
        self._request, self._resource = request, resource
        self._rule, self._guarded = f"get_{resource.name}", resource.guarded
        self._known: dict[tuple[Any, ...], tuple[str, ...] | None] = {}
        self._fields = request.query.get("fields")

    def hidden(self, target: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The attributes to leave out; None when the object itself is not for the caller."""
        key = tuple([target.get(name) for name in DECIDING])
        if key not in self._known:
            may = self._request.may
            visible = may(self._rule, target)
            self._known[key] = tuple(n for n, rule in self._guarded if not may(rule, target)) if visible else None
        return self._known[key]

    def show(self, row: Row[Any], related: Any) -> Wire | None:
        """The wire form as the caller may see it, or None."""
        wire = self._resource.view(row, related)
        facts = self._resource.facts(row)
        hidden = self.hidden({**wire, **facts} if facts else wire)
        if hidden is None:
            return None
        for name in hidden:
            wire.pop(name, None)
        if self._fields:
            wire = {name: wire[name] for name in self._fields if name in wire}
        return wire


# --- reading ----------------------------------------------------------------------------------------------------


def _filters(request: Request[Network], resource: Resource) -> dict[str, list[str]]:
    names = resource.filters
    found: dict[str, list[str]] = {}
    for name, values in request.query.items():
        if name in NOT_FILTERS:
            continue
        inside = names.get(name)
        if inside is None and name in TAG_FILTERS and name in resource.listing.filters:
            inside = name
        if inside is None:
            raise errors.HTTPBadRequest(reason=f"['{name}'] is invalid attribute for filtering")
        if inside in found:  # tenant_id beside project_id
            found[inside] = [value for value in found[inside] if value in values]
        else:
            found[inside] = values
    return found


async def _page(request: Request[Network], resource: Resource, tx: Transaction) -> Page:
    names = resource.sortable
    keys, directions = request.query.get("sort_key", []), request.query.get("sort_dir", [])
    if directions and len(keys) != len(directions):
        raise errors.HTTPBadRequest(reason="The number of sort_keys and sort_dirs must be same")
    for key in keys:
        if key not in names:
            raise errors.HTTPBadRequest(reason=f"['{key}'] is invalid attribute for sort_key")
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise errors.HTTPBadRequest(reason=f"sort_dir '{direction}' is not asc or desc")
    sort = list(zip((names[k] for k in keys), directions or ["asc"] * len(keys), strict=True))
    if "id" not in dict(sort):
        sort.append(("id", "asc"))
    page = Page(tuple(sort), _limit(request), reverse=(request.q("page_reverse") or "").lower() == "true")
    marker = request.q("marker")
    if marker is None:
        return page
    row = await resource.listing.one(tx, reader_of(request.context), marker)
    if row is None:
        raise resource.missing(id=marker)
    after = {key: getattr(row, key) for key, _ in sort}
    return Page(page.sort, page.limit, after, page.reverse)


def _limit(request: Request[Network]) -> int | None:
    text, most = request.q("limit"), request.service.settings.page_limit
    if text is None:
        return most
    if not text.isdecimal() or len(text) > 9:
        raise errors.HTTPBadRequest(reason="Limit must be an integer 0 or greater.")
    asked_for = int(text) or None
    return min((n for n in (asked_for, most) if n is not None), default=None)


async def list_all(request: Request[Network], resource: Resource) -> Response:
    """GET the collection."""
    if resource.before_list is not None:
        await resource.before_list(request)
    wanted = _filters(request, resource)
    service, sight = request.service, Sight(request, resource)
    async with service.db.read() as tx:
        page = await _page(request, resource, tx)
        rows = await resource.listing.rows(tx, reader_of(request.context), wanted, page)
        related = await resource.related(tx, rows, service.settings)
    if page.reverse:
        rows = rows[::-1]
    wires = [wire for row in rows if (wire := sight.show(row, related)) is not None]
    request.allowed = True
    body: Wire = {resource.plural: wires}
    if "limit" in request.query and page.limit is not None:
        links = _links(request, resource, rows, page)
        if links:
            body[f"{resource.plural}_links"] = links
    return answer(body)


def _links(request: Request[Network], resource: Resource, rows: Sequence[Row[Any]], page: Page) -> list[Wire]:
    keep = [(k, v) for k, values in request.query.items() for v in values if k not in ("marker", "page_reverse")]
    base = f"{request.url_prefix}{resource.url}?"
    full = page.limit is not None and len(rows) >= page.limit
    links = []
    if rows and (full or page.reverse):
        links.append({"rel": "next", "href": base + urlencode([*keep, ("marker", rows[-1].id)])})
    if rows and (page.after is not None) and (full or not page.reverse):
        href = base + urlencode([*keep, ("marker", rows[0].id), ("page_reverse", "True")])
        links.append({"rel": "previous", "href": href})
    return links


async def visible_row(tx: Transaction, request: Request[Network], resource: Resource, object_id: str) -> Row[Any]:
    """The row, if the caller may see it at all; else the noun's not-found."""
    row = await resource.listing.one(tx, reader_of(request.context), object_id)
    if row is None:
        raise resource.missing(id=object_id)
    return row


async def show_one(request: Request[Network], resource: Resource) -> Response:
    """GET one."""
    async with request.service.db.read() as tx:
        row = await visible_row(tx, request, resource, request.params["id"])
        related = await resource.related(tx, [row], request.service.settings)
    wire = Sight(request, resource).show(row, related)
    if wire is None:
        raise resource.missing(id=row.id)
    request.allowed = True
    return answer({resource.name: wire})


# --- changing ---------------------------------------------------------------------------------------------------


def authorize(request: Request[Network], rule: str, target: Mapping[str, Any]) -> None:
    """Raise PolicyNotAuthorized unless the caller passes ``rule``."""
    if not request.may(rule, target):
        raise errors.PolicyNotAuthorized(rule=f"rule:{rule}")
    request.allowed = True


def authorize_attributes(
    request: Request[Network], verb: str, resource: Resource, raw: Mapping[str, Any], target: Mapping[str, Any]
) -> None:
    """Ask the rules of the attributes that were sent, and of the parts of those that have parts."""
    for a in resource.attributes:
        if a.name not in raw:
            continue
        value = raw[a.name]
        if verb == "create" and not is_set(value, a.default):
            continue
        rule = f"{verb}_{resource.name}:{a.name}"
        if rule in RULE_NAMES:
            authorize(request, rule, target)
        for part in _parts(value):
            if f"{rule}:{part}" in RULE_NAMES:
                authorize(request, f"{rule}:{part}", target)


def _parts(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value)
    if isinstance(value, list):
        return {key for one in value if isinstance(one, dict) for key in one}
    return set()


def owner_of(request: Request[Network], raw: Mapping[str, Any]) -> str:
    """The project that a new object belongs to: the caller's, unless an admin or a service says another."""
    said = raw.get("project_id", raw.get("tenant_id"))
    if "project_id" in raw and "tenant_id" in raw and raw["project_id"] != raw["tenant_id"]:
        raise errors.HTTPBadRequest(reason="'project_id' and 'tenant_id' do not match")
    own = request.context.project_id or ""
    if said is None or said == own:
        return own
    if not (request.context.is_admin or "service" in request.context.roles):
        raise errors.HTTPBadRequest(
            reason="only an administrator may make things for another project: leave 'project_id' out, or name your own"
        )
    return str(said)


async def create(request: Request[Network], resource: Resource) -> Response:
    """POST one object or several: all of them or none."""
    make, body = resource.make, request.body
    if make is None:
        raise errors.HTTPNotFound()
    many = resource.plural in body
    raws = body[resource.plural] if many else [body[resource.name]]
    asks = []
    for raw in raws:
        ask = asked(resource.attributes, raw, create=True)
        asks.append({**ask, "project_id": owner_of(request, raw)})
    prepared = [await resource.prepare(request, ask, None) for ask in asks]
    sight = Sight(request, resource)

    async def work(change: Change) -> list[Wire]:
        ids = []
        for raw, ask, ready in zip(raws, asks, prepared, strict=True):
            parent = await resource.parent(change, request, ask)
            owner = ask["project_id"]
            target = {**raw, **parent.facts, "project_id": owner, "tenant_id": owner}
            authorize(request, f"create_{resource.name}", target)
            authorize_attributes(request, "create", resource, raw, target)
            ids.append(await make(change, parent, ask, ready))
        return await _read_back(change.tx, request, resource, ids, sight)

    wires = await carry_out(request.service, request.context, work)
    return answer({resource.plural: wires} if many else {resource.name: wires[0]}, 201)


async def _read_back(
    tx: Transaction, request: Request[Network], resource: Resource, ids: Sequence[str], sight: Sight
) -> list[Wire]:
    rows = {row.id: row for row in await resource.listing.many(tx, Reader(request.context.project_id, True), ids)}
    related = await resource.related(tx, list(rows.values()), request.service.settings)
    return [sight.show(rows[i], related) or {"id": i} for i in ids]


async def _changeable(
    change: Change, request: Request[Network], resource: Resource, verb: str, raw: Mapping[str, Any]
) -> Row[Any]:
    """The row to change, after the rules and If-Match were asked. Who may not even see it gets not-found."""
    row = await visible_row(change.tx, request, resource, request.params["id"])
    wire = {**resource.view(row, await resource.related(change.tx, [row], change.settings)), **resource.facts(row)}
    owner = wire.get("project_id")
    target = {**wire, **raw, "project_id": owner, "tenant_id": owner}
    try:
        authorize(request, f"{verb}_{resource.name}", wire if verb == "delete" else target)
        authorize_attributes(request, verb, resource, raw, target)
    except errors.PolicyNotAuthorized:
        if not request.may(f"get_{resource.name}", wire):
            raise resource.missing(id=row.id) from None
        raise
    check_revision(request, row)
    return row


def check_revision(request: Request[Network], row: Row[Any]) -> None:
    """``If-Match: revision_number=N`` holds only for that revision."""
    said = request.headers.get("if-match")
    if said is None:
        return
    name, _, number = said.partition("=")
    if name.strip() != "revision_number" or not number.strip().isdecimal():
        raise errors.HTTPBadRequest(reason=f"If-Match {said!r} is not revision_number=N")
    current = getattr(row, "revision_number", None)
    if int(number) != current:
        raise errors.RevisionNumberConstraintFailed(expected=int(number), current=current)


async def update(request: Request[Network], resource: Resource) -> Response:
    """PUT some attributes of one."""
    alter = resource.alter
    if alter is None:
        raise errors.HTTPNotFound()
    raw = request.body[resource.name]
    ask = asked(resource.attributes, raw, create=False)
    prepared = await resource.prepare(request, ask, request.params["id"])
    sight = Sight(request, resource)

    async def work(change: Change) -> Wire:
        row = await _changeable(change, request, resource, "update", raw)
        if ask:
            await alter(change, row, ask, prepared)
        return (await _read_back(change.tx, request, resource, [row.id], sight))[0]

    return answer({resource.name: await carry_out(request.service, request.context, work)})


async def delete(request: Request[Network], resource: Resource) -> Response:
    """DELETE one."""
    remove = resource.remove
    if remove is None:
        raise errors.HTTPNotFound()

    async def work(change: Change) -> None:
        row = await _changeable(change, request, resource, "delete", {})
        await remove(change, row)

    await carry_out(request.service, request.context, work)
    return no_content()


# --- routes -----------------------------------------------------------------------------------------------------

Handler = Callable[[Request[Network]], Awaitable[Response]]


def bound(handler: Callable[[Request[Network], Resource], Awaitable[Response]], resource: Resource) -> Handler:
    """``handler`` for one resource."""

    async def handle(request: Request[Network]) -> Response:
        return await handler(request, resource)

    return handle


def routes_of(resource: Resource) -> tuple[Route, ...]:
    """The routes every resource has, for the verbs it knows."""
    noun, url = resource.name.replace("_", " "), resource.url
    filters = [a.name for a in resource.attributes if a.filters and a.inside in resource.listing.filters]
    extra = [name for name in TAG_FILTERS if name in resource.listing.filters]
    query = {"properties": {name: {"type": "string"} for name in (*filters, *extra, *NOT_FILTERS)}}
    rows = [
        Route(
            "GET",
            url,
            bound(list_all, resource),
            f"get_{resource.name}",
            f"List {noun}s",
            query=query,
            checks_target=True,
        ),
        Route(
            "GET",
            url + "/{id}",
            bound(show_one, resource),
            f"get_{resource.name}",
            f"Show a {noun}",
            checks_target=True,
        ),
    ]
    if resource.make is not None:
        schema = body_schema(resource.name, resource.plural, resource.attributes, create=True)
        rows.append(
            Route(
                "POST",
                url,
                bound(create, resource),
                f"create_{resource.name}",
                f"Create a {noun}, or several",
                body=schema,
                status=201,
                checks_target=True,
            )
        )
    if resource.alter is not None:
        schema = body_schema(resource.name, resource.plural, resource.attributes, create=False)
        rows.append(
            Route(
                "PUT",
                url + "/{id}",
                bound(update, resource),
                f"update_{resource.name}",
                f"Change a {noun}",
                body=schema,
                checks_target=True,
            )
        )
    if resource.remove is not None:
        rows.append(
            Route(
                "DELETE",
                url + "/{id}",
                bound(delete, resource),
                f"delete_{resource.name}",
                f"Delete a {noun}",
                status=204,
                checks_target=True,
            )
        )
    return tuple(rows)
