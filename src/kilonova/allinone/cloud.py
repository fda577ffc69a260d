"""The whole cloud in one process: every service built, mounted under one port, and started in order.

Services still meet over their REST APIs: the clients below differ from those of many processes in their transport
alone. The API answers as soon as the services are mounted; the dataplane and the agent come up behind it, because
guests that run do not need us to go on running.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

from kilonova.allinone import compute_roles, hypervisor
from kilonova.allinone.config import Settings
from kilonova.allinone.databases import connect, upgrade_all
from kilonova.allinone.mount import Mount
from kilonova.allinone.server import ApiServer, PortTaken
from kilonova.allinone.state_dir import StateDir
from kilonova.clients.compute import ComputeClient
from kilonova.clients.identity import IdentityClient, ServiceSession, password_auth
from kilonova.clients.network import NetworkClient
from kilonova.compute.virt.driver import DriverError
from kilonova.identity import app as identity
from kilonova.identity import config as identity_config
from kilonova.identity.bootstrap import Wanted, bootstrap, catalog_at
from kilonova.image import app as image
from kilonova.image import config as image_config
from kilonova.kernel.bus.memory import MemoryBus
from kilonova.kernel.clock import Clock, SystemClock
from kilonova.kernel.context import Context
from kilonova.kernel.db import Database
from kilonova.kernel.http import Client, Loopback
from kilonova.kernel.ovsdb import OvsdbError
from kilonova.kernel.process import ChildFailed
from kilonova.kernel.service import Service
from kilonova.kernel.web.auth import TokenAuth
from kilonova.network import app as network
from kilonova.network import config as network_config
from kilonova.placement import app as placement
from kilonova.placement import config as placement_config

LOG = logging.getLogger(__name__)

SERVICE_USERS = ("nova", "glance", "neutron", "placement", "cinder")


class CannotStart(RuntimeError):
    """The cloud cannot come up here; the sentence says what to do."""


class Cloud:
    """One cloud in this process. Two may live side by side: nothing here is global."""

    def __init__(self, conf: Any, settings: Settings, state: StateDir, clock: Clock | None = None):
        self.conf, self.settings, self.state = conf, settings, state
        self.clock: Clock = clock or SystemClock()
        self.bus = MemoryBus()
        self.mount = Mount({})
        self.loopback = Loopback(self.mount)
        self.services: list[Service] = []
        self.hypervisor: hypervisor.Hypervisor | None = None
        self.roles: compute_roles.Roles | None = None
        self.server: ApiServer | None = None
        self._auths: list[TokenAuth] = []
        self._sessions: dict[str, ServiceSession] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Come up; returns when the API answers and this host takes servers. Raises CannotStart."""
        secrets = self.state.secrets()
        try:
            self.server = ApiServer(self.mount, self.settings.api_listen, self.settings.api_port)
        except PortTaken as error:
            raise CannotStart(str(error)) from error
        if self.settings.api_port == 0:
            url = self.settings.public_url.removesuffix(":0")
            self.settings = replace(self.settings, api_port=self.server.port, public_url=f"{url}:{self.server.port}")
        for name, before, now in upgrade_all(self.conf, self.state):
            if before != now:
                LOG.info("%s: schema brought from %s to %s", name, before or "nothing", now)
        await self._identity(secrets)
        await self._placement()
        self._image()
        metadata = Client(f"{self.settings.public_url}/metadata", self.loopback)
        secret = self.conf.metadata_agent.metadata_proxy_shared_secret or secrets["metadata_proxy_shared_secret"]
        self.hypervisor = hypervisor.build(self.settings, self.conf, self.clock, metadata, secret)
        self._network()
        self.roles = await compute_roles.build(self, secret)
        await self.server.start()
        LOG.info("the API answers at %s", self.settings.public_url)
        try:
            await self.hypervisor.start()
            for service in self.services:
                self._run(service.background)
            await self.roles.start()
            await self.hypervisor.serve_metadata()
            gc.freeze()  # what is there now stays: walking it again and again costs more than the requests
        except (ChildFailed, DriverError, OvsdbError, OSError) as error:
            raise CannotStart(f"{error} (see: kilonova doctor)") from error

    async def stop(self) -> None:
        """Leave: requests at hand are finished, operations given back; guests, their network and data stay."""
        if self.server is not None:
            await self.server.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.roles is not None:
            await self.roles.stop()
        if self.hypervisor is not None:
            await self.hypervisor.stop()
        for service in reversed(self.services):
            if service.close is not None:
                await service.close()
        await self.bus.close()

    # -- what the services are built from

    def client(self, service: str) -> Client:
        """A client of one of our own services, over the loopback."""
        return Client(f"{self.settings.public_url}/{service}", self.loopback)

    def authenticate(self) -> TokenAuth:
        """Token checks for one service, by the identity service's API; a token is let in on its own word."""
        identities = IdentityClient(self.client("identity"))

        async def validate(token: str) -> Context | None:
            return await identities.validate(token, as_token=token)

        auth_url = f"{self.settings.public_url}/identity"
        auth = TokenAuth(validate, self.clock, auth_url=auth_url, cache_s=self.settings.token_cache_s)
        self._auths.append(auth)
        return auth

    def session(self, user: str) -> ServiceSession:
        """The token of a service user, one for all that work in its name."""
        known = self._sessions.get(user)
        if known is not None:
            return known
        password = self.state.secrets()["service_password"]
        auth = password_auth(user=user, password=password, project="service")
        made = self._sessions[user] = ServiceSession(IdentityClient(self.client("identity")), auth, self.clock)
        return made

    def database(self, service: str) -> Database:
        """The service's database, at the newest schema."""
        return connect(self.conf, self.state, service, synchronous=self.settings.sqlite_synchronous)

    def add(self, path: str, service: Service) -> None:
        """Mount a service and run what goes on beside it."""
        self.services.append(service)
        self.mount.apps[path] = service.app

    def _run(self, loops: list[Callable[[], Awaitable[None]]]) -> None:
        for loop in loops:
            work: Coroutine[Any, Any, None] = loop()  # type: ignore[assignment]
            self._tasks.append(asyncio.create_task(work))

    # -- the services

    async def _identity(self, secrets: dict[str, str]) -> None:
        settings = identity_config.settings(self.conf, self.settings.state_dir)
        db = self.database("identity")
        wanted = Wanted(
            admin_password=secrets["admin_password"],
            region=self.settings.region,
            services=catalog_at(self.settings.public_url),
            service_users={user: secrets["service_password"] for user in SERVICE_USERS},
        )
        await bootstrap(settings, db, self.clock, wanted)

        def forget() -> None:
            for auth in self._auths:
                auth.forget()

        url = f"{self.settings.public_url}/identity"
        self.add("identity", identity.build(settings, db, self.clock, public_url=url, changed=forget))

    async def _placement(self) -> None:
        settings = placement_config.settings(self.conf)
        db = self.database("placement")
        await placement.prepare(db, self.clock)
        self.add("placement", placement.build(settings, db, self.clock, authenticate=self.authenticate()))

    def _image(self) -> None:
        settings = image_config.settings(self.conf, self.settings.state_dir)
        service = image.build(settings, self.database("image"), self.clock, authenticate=self.authenticate())
        self.add("image", service)

    def _network(self) -> None:
        assert self.hypervisor is not None
        service = network.build(
            network_config.settings(self.conf),
            self.database("network"),
            self.clock,
            authenticate=self.authenticate(),
            driver=self.hypervisor.network,
            send=ComputeClient(self.client("compute"), self.session("neutron")).tell,
        )
        self.add("network", service)

    def network_client(self) -> NetworkClient:
        """The network service as compute uses it."""
        return NetworkClient(self.client("network"), self.session("nova"))
