"""The first things that must exist: roles, domain, admin, service users, the catalog, and the keys.

Everything may run again: what is there stays as it is, except that endpoints follow the addresses that are given.
Passwords are set only for users that are made now, or when ``reset_passwords`` asks for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from kilonova.identity.config import Settings
from kilonova.identity.drivers.hasher import Hasher
from kilonova.identity.drivers.keys import KeyRepository
from kilonova.identity.model.nouns import Assignment, Endpoint, Project, Region, Role, Service, User
from kilonova.identity.store import people, projects, revocations, roles
from kilonova.identity.store.catalog import ENDPOINTS, REGIONS, SERVICES
from kilonova.identity.store.people import USERS
from kilonova.identity.store.projects import PROJECTS
from kilonova.identity.store.roles import ROLES
from kilonova.kernel.clock import Clock
from kilonova.kernel.db import Database, Transaction
from kilonova.kernel.ids import new_hex

LOG = logging.getLogger(__name__)
INTERFACES = ("public", "internal", "admin")
ROLE_CHAIN = ("admin", "manager", "member", "reader")


@dataclass(frozen=True, slots=True)
class Offered:
    """A service of the catalog: its type, its name, and where it is."""

    type: str
    name: str
    url: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to bootstrap. ``service_users``: user names with their passwords, put into the project ``service``."""

    admin_password: str
    region: str
    services: tuple[Offered, ...]
    service_users: Mapping[str, str]
    admin_name: str = "admin"
    admin_project: str = "admin"
    service_project: str = "service"
    reset_passwords: bool = False


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """Ids of what is there now."""

    admin_user_id: str
    admin_project_id: str
    service_project_id: str
    domain_id: str


def catalog_at(base_url: str) -> tuple[Offered, ...]:
    """The services of one cloud under one address: ``http://127.0.0.1:8080`` -> ``.../identity/v3`` and so on."""
    return (
        Offered("identity", "keystone", f"{base_url}/identity/v3", "Identity"),
        Offered("compute", "nova", f"{base_url}/compute/v2.1", "Compute"),
        Offered("image", "glance", f"{base_url}/image", "Image"),
        Offered("network", "neutron", f"{base_url}/network", "Networking"),
        Offered("placement", "placement", f"{base_url}/placement", "Placement"),
    )


def make_keys(settings: Settings) -> None:
    """The key repositories, with the right permissions. Blocking."""
    KeyRepository(settings.token_keys, max_active_keys=settings.max_active_keys).ensure()
    KeyRepository(settings.credential_keys).ensure()


async def bootstrap(settings: Settings, db: Database, clock: Clock, wanted: Wanted) -> Bootstrapped:
    """Make what is missing. The database must be at its newest revision."""
    make_keys(settings)
    hasher = Hasher(settings.password_hash_rounds)
    try:
        hashes = await _hashes(db, settings, hasher, wanted)
        async with db.transaction() as tx:
            work = _Bootstrap(tx, settings, clock, hashes)
            done = await work.run(wanted)
            if work.changed:
                await revocations.bump_generation(tx)
            return done
    finally:
        hasher.close()


async def _hashes(db: Database, settings: Settings, hasher: Hasher, wanted: Wanted) -> dict[str, str]:
    """Hashes by user name, for users that are not there yet: hashing is slow, so before the transaction."""
    missing: dict[str, str] = {}
    async with db.read() as tx:
        for name, password in {wanted.admin_name: wanted.admin_password, **wanted.service_users}.items():
            there = await people.user_named(tx, name, settings.default_domain_id)
            if there is None or wanted.reset_passwords:
                missing[name] = password
    different = dict.fromkeys(missing.values())  # the service users of one cloud may share theirs
    hashes = await asyncio.gather(*(hasher.hash(password) for password in different))
    hash_of = dict(zip(different, hashes, strict=True))
    return {name: hash_of[password] for name, password in missing.items()}


class _Bootstrap:
    """One run, in one transaction."""

    def __init__(self, tx: Transaction, settings: Settings, clock: Clock, hashes: Mapping[str, str]):
        self._tx, self._settings, self._clock, self._hashes = tx, settings, clock, hashes
        self.changed = False

    async def run(self, wanted: Wanted) -> Bootstrapped:
        domain_id = await self._domain()
        known = {name: await self._role(name) for name in (*ROLE_CHAIN, "service")}
        for prior, implied in pairwise(ROLE_CHAIN):
            await self._implies(known[prior], known[implied])
        admin_project = await self._project(wanted.admin_project, domain_id, "Administration of the cloud")
        service_project = await self._project(wanted.service_project, domain_id, "Users of the services")
        admin = await self._user(wanted.admin_name, domain_id)
        await self._grant(admin, "project", admin_project, known["admin"])
        await self._grant(admin, "system", "all", known["admin"])
        await self._grant(admin, "domain", domain_id, known["admin"])
        for name in wanted.service_users:
            user = await self._user(name, domain_id)
            await self._grant(user, "project", service_project, known["admin"])
            await self._grant(user, "project", service_project, known["service"])
        await self._region(wanted.region)
        for offered in wanted.services:
            await self._offer(offered, wanted.region)
        return Bootstrapped(admin, admin_project, service_project, domain_id)

    async def _domain(self) -> str:
        identifier = self._settings.default_domain_id
        if await PROJECTS.get(self._tx, identifier) is None:
            domain = Project(identifier, "Default", None, None, True, True, "The default domain")
            await PROJECTS.add(self._tx, domain)
            self.changed = True
        return identifier

    async def _role(self, name: str) -> str:
        role = await roles.role_named(self._tx, name)
        if role is None:
            role = Role(new_hex(), name, None, None, options={"immutable": True})
            await ROLES.add(self._tx, role)
            self.changed = True
        return role.id

    async def _implies(self, prior: str, implied: str) -> None:
        if implied not in (await roles.implications(self._tx)).get(prior, ()):
            await roles.imply(self._tx, prior, implied)
            self.changed = True

    async def _project(self, name: str, domain_id: str, description: str) -> str:
        project = await projects.project_named(self._tx, name, domain_id)
        if project is None:
            project = Project(new_hex(), name, domain_id, domain_id, False, True, description, namespace=domain_id)
            await PROJECTS.add(self._tx, project)
            self.changed = True
        return project.id

    async def _user(self, name: str, domain_id: str) -> str:
        user, now = await people.user_named(self._tx, name, domain_id), self._clock.now()
        if user is None:
            user = User(new_hex(), name, domain_id, True, None, {"ignore_password_expiry": True}, {}, now)
            await USERS.add(self._tx, user)
            self.changed = True
        if name in self._hashes:
            await people.set_password(
                self._tx, user.id, self._hashes[name], now, None, self._settings.unique_last_passwords
            )
            self.changed = True
        return user.id

    async def _grant(self, user_id: str, kind: str, target_id: str, role_id: str) -> None:
        if await roles.grant(self._tx, Assignment("user", user_id, kind, target_id, role_id, False)):
            self.changed = True

    async def _region(self, region_id: str) -> None:
        if await REGIONS.get(self._tx, region_id) is None:
            await REGIONS.add(self._tx, Region(region_id, "", None, {}))
            self.changed = True

    async def _offer(self, offered: Offered, region_id: str) -> None:
        """The service and its three endpoints; an address that moved is followed."""
        found = await SERVICES.matching(self._tx, type=offered.type, name=offered.name)
        service = found[0] if found else None
        if service is None:
            service = Service(new_hex(), offered.type, offered.name, offered.description, True, {})
            await SERVICES.add(self._tx, service)
            self.changed = True
        there = await ENDPOINTS.matching(self._tx, service_id=service.id, region_id=region_id)
        for interface in INTERFACES:
            known = next((e for e in there if e.interface == interface), None)
            if known is None:
                endpoint = Endpoint(new_hex(), service.id, interface, region_id, offered.url, True, {})
                await ENDPOINTS.add(self._tx, endpoint)
                self.changed = True
            elif known.url != offered.url:
                await ENDPOINTS.change(self._tx, known.id, {"url": offered.url})
                LOG.info("endpoint %s of %s moves from %s to %s", interface, offered.type, known.url, offered.url)
                self.changed = True
