"""Calls to the placement service: providers and what they offer, candidates, and claims.

Wire words (``allocation_requests``, ``resource_provider_generation``) stay in this file. Generations are this file's
worry too: a write that finds the provider or consumer changed reads it again and decides again, a few times.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from kilonova.kernel.errors import ServiceUnavailable
from kilonova.kernel.http import Client, Reply

_VERSION = {"OpenStack-API-Version": "placement 1.39"}
_TRIES = 8
_SHARES = "MISC_SHARES_VIA_AGGREGATE"
_CUSTOM = "CUSTOM_"

T = TypeVar("T")

Uses = Mapping[str, Mapping[str, int]]
"""Amounts by resource class by provider uuid."""


class PlacementUnavailable(ServiceUnavailable):
    text = "The placement service cannot answer now ({why}); try again later."


class PlacementRefused(Exception):
    """Placement said no. ``code`` is its name for the reason (``placement.inventory.inuse`` ...)."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    @property
    def lost_a_race(self) -> bool:
        """Somebody else changed the provider or the consumer since it was read."""
        return self.code == "placement.concurrent_update"


class NoRoom(PlacementRefused):
    """The claim does not fit: an inventory is full, missing, or does not give such amounts."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider; ``root`` is its own uuid when it has no parent."""

    uuid: str
    name: str
    generation: int
    parent: str | None
    root: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a provider offers of one resource class."""

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = 0x7FFFFFFF
    step_size: int = 1
    allocation_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Group:
    """One group of a search. ``required``: each a trait, or several with any one of them enough.

    ``member_of``: in at least one aggregate of each; ``in_tree``: uuid of any provider of the tree.
    """

    resources: Mapping[str, int] = field(default_factory=dict)
    required: Sequence[str | Collection[str]] = ()
    forbidden: Collection[str] = ()
    member_of: Sequence[Collection[str]] = ()
    not_member_of: Collection[str] = ()
    in_tree: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What could be claimed. ``mappings``: provider uuids by group suffix."""

    uses: Uses
    mappings: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Summary:
    """A provider in a search's answer: (capacity, used) by resource class."""

    resources: Mapping[str, tuple[int, int]]
    traits: frozenset[str]
    parent: str | None
    root: str


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a search. ``summaries`` by provider uuid, of all providers in the candidates' trees."""

    candidates: Sequence[Candidate]
    summaries: Mapping[str, Summary]


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a consumer has. ``generation`` None: placement does not know the consumer."""

    uses: Uses = field(default_factory=dict)
    generation: int | None = None
    project_id: str = ""
    user_id: str = ""
    consumer_type: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a consumer shall have, all of it; empty ``uses`` takes everything from it."""

    consumer: str
    uses: Uses
    project_id: str
    user_id: str
    consumer_type: str = "INSTANCE"


class TokenSource(Protocol):
    """Where the service's own token comes from (``clients.identity.ServiceSession``)."""

    async def token(self) -> str: ...

    def forget(self) -> None: ...


class PlacementClient:
    """``http``: a client whose base URL is the placement endpoint. All calls use the service's own token.

    Each call may raise PlacementUnavailable, and PlacementRefused for what is not told at the call.
    """

    def __init__(self, http: Client, session: TokenSource):
        self._http, self._session = http, session
        self._known_names: set[str] = set()

    # -- providers

    async def provider(self, uuid: str) -> Provider | None:
        """One provider, or None."""
        reply = await self._ask("GET", f"/resource_providers/{quote(uuid)}", (200, 404))
        return None if reply.status == 404 else _provider(reply.json())

    async def providers(self, *, name: str | None = None, in_tree: str | None = None) -> list[Provider]:
        """All providers, those of a tree, or the one with a name."""
        given = {"name": name, "in_tree": in_tree}
        params = [(key, value) for key, value in given.items() if value is not None]
        reply = await self._ask("GET", "/resource_providers", params=params)
        return [_provider(row) for row in reply.json()["resource_providers"]]

    async def ensure_provider(self, uuid: str, name: str, *, parent: str | None = None) -> Provider:
        """Make the provider unless it is there; give it this name if it has another."""
        known = await self.provider(uuid)
        if known is None:
            body = {"uuid": uuid, "name": name, **({} if parent is None else {"parent_provider_uuid": parent})}
            reply = await self._ask("POST", "/resource_providers", (200, 409), json=body)
            if reply.status == 200:
                return _provider(reply.json())
            known = await self.provider(uuid)
            if known is None:
                raise _refusal(reply)  # another provider has the name
        if known.name != name:
            reply = await self._ask("PUT", f"/resource_providers/{quote(uuid)}", json={"name": name})
            known = _provider(reply.json())
        return known

    async def delete_provider(self, uuid: str) -> bool:
        """Delete it; False when it was not there. Refused while it has children or allocations."""
        return (await self._ask("DELETE", f"/resource_providers/{quote(uuid)}", (204, 404))).status == 204

    # -- what providers offer and are

    async def inventories(self, uuid: str) -> dict[str, Inventory]:
        """What a provider offers, by resource class."""
        return (await self._inventories(uuid))[1]

    async def set_inventories(self, uuid: str, offers: Mapping[str, Inventory]) -> bool:
        """Make these its inventories, custom classes included. False when they were so already."""
        await self._ensure_names("/resource_classes", offers)

        async def once() -> bool:
            generation, known = await self._inventories(uuid)
            if known == dict(offers):
                return False
            rows = {resource_class: asdict(offer) for resource_class, offer in offers.items()}
            body = {"resource_provider_generation": generation, "inventories": rows}
            await self._ask("PUT", f"/resource_providers/{quote(uuid)}/inventories", json=body)
            return True

        return await _again(once)

    async def usages(self, uuid: str) -> dict[str, int]:
        """What is used of a provider, by resource class."""
        reply = await self._ask("GET", f"/resource_providers/{quote(uuid)}/usages")
        return dict(reply.json()["usages"])

    async def traits(self, uuid: str) -> frozenset[str]:
        """The traits of a provider."""
        return (await self._names_of(uuid, "traits"))[1]

    async def set_traits(self, uuid: str, names: Collection[str]) -> bool:
        """Make these its traits, custom ones included. False when they were so already."""
        await self._ensure_names("/traits", names)
        return await self._set_names(uuid, "traits", names)

    async def aggregates(self, uuid: str) -> frozenset[str]:
        """The aggregates that a provider is in."""
        return (await self._names_of(uuid, "aggregates"))[1]

    async def set_aggregates(self, uuid: str, uuids: Collection[str]) -> bool:
        """Make it a member of exactly these. False when it was so already."""
        return await self._set_names(uuid, "aggregates", uuids)

    # -- searching

    async def search(
        self,
        groups: Mapping[str, Group],
        *,
        limit: int | None = None,
        isolate: bool | None = None,
        root_required: Collection[str] = (),
        root_forbidden: Collection[str] = (),
        same_subtrees: Sequence[Collection[str]] = (),
    ) -> Found:
        """Candidates for groups by suffix; "" is the group that may spread over the providers of a tree.

        ``isolate`` must be said (True or False) when there are several groups with a suffix.
        """
        params = [pair for suffix, group in groups.items() for pair in _group_params(suffix, group)]
        if limit is not None:
            params.append(("limit", str(limit)))
        if isolate is not None:
            params.append(("group_policy", "isolate" if isolate else "none"))
        if root_required or root_forbidden:
            params.append(("root_required", ",".join([*root_required, *(f"!{name}" for name in root_forbidden)])))
        params += [("same_subtree", ",".join(suffixes)) for suffixes in same_subtrees]
        body = (await self._ask("GET", "/allocation_candidates", params=params)).json()
        return Found(
            [
                Candidate({u: one["resources"] for u, one in row["allocations"].items()}, row["mappings"])
                for row in body["allocation_requests"]
            ],
            {uuid: _summary(row) for uuid, row in body["provider_summaries"].items()},
        )

    async def offers(
        self,
        resources: Mapping[str, int],
        *,
        required: Collection[str] = (),
        forbidden: Collection[str] = (),
        limit: int = 1000,
    ) -> dict[str, Uses]:
        """Who has room for one server: what to claim, by the root provider of the host. One way a host."""
        group = Group(resources, tuple(required), forbidden)
        found = await self.search({"": group}, limit=limit)
        offers: dict[str, Uses] = {}
        for candidate in found.candidates:
            summaries = [found.summaries[uuid] for uuid in candidate.uses]
            hosts = [s.root for s in summaries if _SHARES not in s.traits] or [s.root for s in summaries]
            offers.setdefault(hosts[0], candidate.uses)
        return offers

    # -- claims

    async def claimed(self, consumer: str) -> Claimed:
        """What a consumer has."""
        body = (await self._ask("GET", f"/allocations/{quote(consumer)}")).json()
        uses = {uuid: one["resources"] for uuid, one in body["allocations"].items()}
        if not uses:
            return Claimed()
        return Claimed(uses, body["consumer_generation"], body["project_id"], body["user_id"], body["consumer_type"])

    async def claimed_from(self, provider: str) -> dict[str, Mapping[str, int]]:
        """What is claimed from one provider, by consumer. Empty when there is no such provider."""
        reply = await self._ask("GET", f"/resource_providers/{quote(provider)}/allocations", (200, 404))
        if reply.status == 404:
            return {}
        return {consumer: one["resources"] for consumer, one in reply.json()["allocations"].items()}

    async def claim(self, *claims: Claim, fresh: bool = False) -> None:
        """Make each consumer have exactly what its claim says: all of them or none. Safe to repeat.

        ``fresh``: the consumers are most likely new, so they are looked at only when placement knows them after all.
        Raises NoRoom when it does not fit; nothing has changed then.
        """
        guess = fresh

        async def once() -> None:
            nonlocal guess
            now = [Claimed() if guess else await self.claimed(claim.consumer) for claim in claims]
            guess = False
            if all(_same(claim, known) for claim, known in zip(claims, now, strict=True)):
                return
            bodies = {c.consumer: _claim_body(c, known.generation) for c, known in zip(claims, now, strict=True)}
            if len(claims) == 1:
                consumer = claims[0].consumer
                reply = await self._ask("PUT", f"/allocations/{quote(consumer)}", (204, 409), json=bodies[consumer])
            else:
                reply = await self._ask("POST", "/allocations", (204, 409), json=bodies)
            if reply.status == 409:
                refusal = _refusal(reply)
                if isinstance(refusal, PlacementRefused) and not refusal.lost_a_race:
                    raise NoRoom(refusal.status, refusal.code, refusal.message)
                raise refusal

        await _again(once)

    async def release(self, consumer: str) -> bool:
        """Take everything from a consumer. False when it had nothing."""
        reply = await self._ask("DELETE", f"/allocations/{quote(consumer)}", (204, 404))
        return reply.status == 204

    # -- the wire

    async def _inventories(self, uuid: str) -> tuple[int, dict[str, Inventory]]:
        body = (await self._ask("GET", f"/resource_providers/{quote(uuid)}/inventories")).json()
        known = {rc: Inventory(**row) for rc, row in body["inventories"].items()}
        return body["resource_provider_generation"], known

    async def _names_of(self, uuid: str, noun: str) -> tuple[int, frozenset[str]]:
        body = (await self._ask("GET", f"/resource_providers/{quote(uuid)}/{noun}")).json()
        return body["resource_provider_generation"], frozenset(body[noun])

    async def _set_names(self, uuid: str, noun: str, names: Collection[str]) -> bool:
        async def once() -> bool:
            generation, known = await self._names_of(uuid, noun)
            if known == frozenset(names):
                return False
            body = {"resource_provider_generation": generation, noun: sorted(set(names))}
            await self._ask("PUT", f"/resource_providers/{quote(uuid)}/{noun}", json=body)
            return True

        return await _again(once)

    async def _ensure_names(self, collection: str, names: Collection[str]) -> None:
        for name in names:
            path = f"{collection}/{quote(name)}"
            if name.startswith(_CUSTOM) and path not in self._known_names:
                await self._ask("PUT", path, (201, 204))
                self._known_names.add(path)

    async def _ask(
        self,
        method: str,
        path: str,
        expected: Collection[int] = (200, 204),
        *,
        json: Any = None,
        params: list[tuple[str, str]] | None = None,
    ) -> Reply:
        for attempt in (1, 2):
            headers = {**_VERSION, "X-Auth-Token": await self._session.token()}
            reply = await self._http.request(method, path, json=json, headers=headers, params=params)
            if reply.status != 401 or attempt == 2:
                break
            self._session.forget()
        if reply.status in expected:
            return reply
        raise _refusal(reply)


async def _again(work: Callable[[], Awaitable[T]]) -> T:
    """Do ``work`` (read, decide, write) again while it loses races."""
    for _ in range(_TRIES - 1):
        try:
            return await work()
        except PlacementRefused as refused:
            if not refused.lost_a_race:
                raise
    return await work()


def _refusal(reply: Reply) -> Exception:
    try:
        error = reply.json()["errors"][0]
    except (ValueError, LookupError, TypeError):
        error = {}
    message = str(error.get("detail") or f"status {reply.status}")
    if reply.status >= 500:
        return PlacementUnavailable(why=message)
    return PlacementRefused(reply.status, str(error.get("code") or ""), message)


def _provider(row: Mapping[str, Any]) -> Provider:
    return Provider(row["uuid"], row["name"], row["generation"], row["parent_provider_uuid"], row["root_provider_uuid"])


def _summary(row: Mapping[str, Any]) -> Summary:
    return Summary(
        {rc: (amounts["capacity"], amounts["used"]) for rc, amounts in row["resources"].items()},
        frozenset(row["traits"]),
        row["parent_provider_uuid"],
        row["root_provider_uuid"],
    )


def _group_params(suffix: str, group: Group) -> list[tuple[str, str]]:
    params = []
    if group.resources:
        params.append((f"resources{suffix}", ",".join(f"{rc}:{n}" for rc, n in group.resources.items())))
    for one in group.required:
        params.append((f"required{suffix}", one if isinstance(one, str) else f"in:{','.join(one)}"))
    if group.forbidden:
        params.append((f"required{suffix}", ",".join(f"!{name}" for name in group.forbidden)))
    params += [(f"member_of{suffix}", f"in:{','.join(any_of)}") for any_of in group.member_of]
    if group.not_member_of:
        params.append((f"member_of{suffix}", f"!in:{','.join(group.not_member_of)}"))
    if group.in_tree is not None:
        params.append((f"in_tree{suffix}", group.in_tree))
    return params


def _same(claim: Claim, known: Claimed) -> bool:
    wanted = {uuid: dict(amounts) for uuid, amounts in claim.uses.items()}
    if wanted != {uuid: dict(amounts) for uuid, amounts in known.uses.items()}:
        return False
    owner = (claim.project_id, claim.user_id, claim.consumer_type)
    return not wanted or owner == (known.project_id, known.user_id, known.consumer_type)


def _claim_body(claim: Claim, generation: int | None) -> dict[str, Any]:
    return {
        "allocations": {uuid: {"resources": dict(amounts)} for uuid, amounts in claim.uses.items()},
        "project_id": claim.project_id,
        "user_id": claim.user_id,
        "consumer_type": claim.consumer_type,
        "consumer_generation": generation,
    }
