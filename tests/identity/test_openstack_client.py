"""The stock ``openstack`` command and openstacksdk, over a socket, unchanged, with passwords and real tokens.

All commands run in one process of their own (starting it costs more than what it does); it prints one JSON line each.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openstack
import pytest
import uvicorn

from kilonova.kernel.testing import FakeClock
from tests.identity.make import ADMIN_PASSWORD, Cloud, cloud

_RUN = """
import io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from openstackclient.shell import OpenStackShell
from openstackclient.common.clientmanager import ClientManager
for line in sys.stdin:
    words, env = json.loads(line)
    for name in [n for n in os.environ if n.startswith("OS_")]:
        del os.environ[name]
    os.environ.update(env)
    for kept in [kept for base in ClientManager.__mro__ for kept in vars(base).values()]:
        if hasattr(kept, "_handle"):
            kept._handle = None  # the client keeps the first user's connection on its class
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = OpenStackShell().run(words)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""

Command = Callable[..., Awaitable[Any]]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Cloud, int]]:
    """Identity on a port, under ``/identity``, with a catalog that names it."""
    with_port = uvicorn.Config(lambda *a: None, port=0, log_level="warning", lifespan="off")  # type: ignore[arg-type]
    socket = with_port.bind_socket()
    port = socket.getsockname()[1]
    here = await cloud(tmp_path, base=f"http://127.0.0.1:{port}", clock=FakeClock(datetime.now(UTC)))

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await here.app({**scope, "root_path": "/identity"}, receive, send)

    server = uvicorn.Server(uvicorn.Config(mounted, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[socket]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield here, port
    server.should_exit = True
    await serving
    here.parts.hasher.close()


@pytest.fixture
async def run(served: tuple[Cloud, int], tmp_path: Path) -> AsyncIterator[Command]:
    """Runs ``openstack ARGUMENTS``: its JSON output, its text, or the error it printed."""
    _here, port = served
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _RUN,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24, cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert client.stdin is not None
    assert client.stdout is not None
    stdin, stdout = client.stdin, client.stdout
    admin = {
        "OS_AUTH_URL": f"http://127.0.0.1:{port}/identity/v3",
        "OS_USERNAME": "admin",
        "OS_PASSWORD": ADMIN_PASSWORD,
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": "RegionOne",
        "OS_IDENTITY_API_VERSION": "3",
    }

    async def command(arguments: str, only: dict[str, str] | None = None, **environment: str) -> Any:
        words = shlex.split(arguments)
        environment = {**admin, **environment}
        if only is not None:
            environment = {"OS_AUTH_URL": admin["OS_AUTH_URL"], "OS_IDENTITY_API_VERSION": "3", **only}
        stdin.write(json.dumps([words, environment]).encode() + b"\n")
        code, out, err = json.loads(await asyncio.wait_for(stdout.readline(), 60))
        if code:
            return f"error: {err}"
        return json.loads(out) if "-f json" in arguments else out

    yield command
    stdin.close()
    await client.wait()


async def test_an_administrators_day(run: Command) -> None:
    token = await run("token issue -f json")
    assert token["id"].startswith("gAAAAA")
    catalog = {row["Type"]: row for row in await run("catalog list -f json")}
    assert set(catalog) == {"identity", "compute", "image", "network", "placement"}
    assert catalog["identity"]["Endpoints"][0]["region"] == "RegionOne"
    assert (await run("catalog show identity -f json"))["name"] == "keystone"

    domain = await run("domain create --description 'all of it' acme -f json")
    assert domain["enabled"] is True
    project = await run("project create --domain acme --description 'the web' --tag blue web -f json")
    assert (project["domain_id"], project["tags"]) == (domain["id"], ["blue"])
    user = await run("user create --domain acme --project web --password secret --email a@b.c ann -f json")
    assert (user["email"], user["default_project_id"]) == ("a@b.c", project["id"])
    group = await run("group create --domain acme staff -f json")
    role = await run("role create --description 'tells tales' storyteller -f json")
    for words in (
        "role add --user ann --user-domain acme --project web --project-domain acme member",
        "role add --group staff --group-domain acme --domain acme reader",
        "role add --user ann --user-domain acme --system all reader",
        "role add --user ann --user-domain acme --domain acme --inherited storyteller",
        "group add user --group-domain acme --user-domain acme staff ann",
        "group contains user --group-domain acme --user-domain acme staff ann",
    ):
        assert not (await run(words)).startswith("error"), words
    rows = await run("role assignment list --user ann --user-domain acme --names -f json")
    assert {(r["Role"], r["Project"], r["Domain"], r["System"], r["Inherited"]) for r in rows} == {
        ("member", "web@acme", "", "", False),
        ("reader", "", "", "all", False),
        ("storyteller", "", "acme", "", True),
    }
    rows = await run("role assignment list --effective --user ann --user-domain acme --names -f json")
    assert {(r["Role"], r["Project"], r["Domain"]) for r in rows if not r["System"]} == {
        ("member", "web@acme", ""),
        ("reader", "web@acme", ""),
        ("storyteller", "web@acme", ""),
        ("reader", "", "acme"),
    }
    for noun, name in (("domain", "acme"), ("role", "storyteller")):
        assert name in {row["Name"] for row in await run(f"{noun} list -f json")}
        assert (await run(f"{noun} show {name} -f json"))["name"] == name
    for noun, name, made in (("project", "web", project), ("user", "ann", user), ("group", "staff", group)):
        assert [row["Name"] for row in await run(f"{noun} list --domain acme -f json")] == [name]
        assert (await run(f"{noun} show --domain acme {name} -f json"))["id"] == made["id"]
    assert "error: No" in await run("user show nobody")
    for words in (
        "project set --domain acme --description other --disable web",
        "project set --domain acme --enable web",
        "user set --domain acme --email c@d.e --name anna ann",
        "group set --domain acme --description people staff",
        "role set --name teller storyteller",
        "domain set --description less acme",
    ):
        assert await run(words) == "", words
    assert (await run("user show --domain acme anna -f json"))["email"] == "c@d.e"
    for words in (
        "group remove user --group-domain acme --user-domain acme staff anna",
        "role remove --user anna --user-domain acme --project web --project-domain acme member",
        "role delete teller",
        "user delete --domain acme anna",
        "group delete --domain acme staff",
        "project delete --domain acme web",
    ):
        assert await run(words) == "", words
    assert "error" in await run("domain delete acme"), "it is enabled"
    assert await run("domain set --disable acme") == ""
    assert await run("domain delete acme") == ""
    assert role["id"]


async def test_the_catalog_and_what_hangs_on_it(run: Command) -> None:
    assert (await run("region create --description far RegionTwo -f json"))["region"] == "RegionTwo"
    service = await run("service create --name cinder --description Block volumev3 -f json")
    endpoint = await run("endpoint create --region RegionTwo volumev3 public 'http://x/v3/%(project_id)s' -f json")
    assert endpoint["service_id"] == service["id"]
    rows = await run("endpoint list --service volumev3 -f json")
    assert [(r["Interface"], r["Region"], r["Enabled"]) for r in rows] == [("public", "RegionTwo", True)]
    assert await run(f"endpoint set --url http://y/ {endpoint['id']}") == ""
    assert (await run(f"endpoint show {endpoint['id']} -f json"))["url"] == "http://y/"
    limit = await run(
        "registered limit create --service volumev3 --region RegionTwo --default-limit 10 volumes -f json"
    )
    project = await run("project create web -f json")
    made = await run(
        "limit create --project web --service volumev3 --region RegionTwo --resource-limit 20 volumes -f json"
    )
    assert (made["project_id"], made["resource_limit"]) == (project["id"], 20)
    assert "error" in await run(f"registered limit delete {limit['id']}")
    for words in (
        f"limit set --resource-limit 30 {made['id']}",
        f"limit delete {made['id']}",
        f"registered limit delete {limit['id']}",
        f"endpoint delete {endpoint['id']}",
        "service delete cinder",
        "region delete RegionTwo",
    ):
        assert not (await run(words) if "set" not in words else "").startswith("error"), words


async def test_a_users_own_things(run: Command) -> None:
    await run("project create web")
    await run("user create --password secret ann")
    await run("role add --user ann --project web member")
    ann = {"OS_USERNAME": "ann", "OS_PASSWORD": "secret", "OS_PROJECT_NAME": "web"}
    assert [r["Name"] for r in await run("project list --my-projects -f json", **ann)] == ["web"]
    assert "error" in await run("user list", **ann)
    made = await run("application credential create --role reader --secret s3cret program -f json", **ann)
    assert {k.lower(): v for k, v in made.items()}["secret"] == "s3cret"
    assert [r["Name"] for r in await run("application credential list -f json", **ann)] == ["program"]
    program = {
        "OS_AUTH_TYPE": "v3applicationcredential",
        "OS_APPLICATION_CREDENTIAL_ID": {k.lower(): v for k, v in made.items()}["id"],
        "OS_APPLICATION_CREDENTIAL_SECRET": "s3cret",
    }
    assert (await run("token issue -f json", only=program))["project_id"]
    credential = await run("credential create --type cert ann certificate -f json")
    assert [r["ID"] for r in await run("credential list --type cert -f json")] == [credential["id"]]
    assert await run(f"credential delete {credential['id']}") == ""
    token = (await run("token issue -f json", **ann))["id"]
    assert await run(f"token revoke {token}") == ""
    ids = [(await run(f"{noun} show {name} -f json"))["id"] for noun, name in (
        ("project", "web"), ("role", "member"), ("user", "ann"), ("user", "admin"),
    )]  # fmt: skip
    trust = await run("trust create --project {} --role {} {} {} -f json".format(*ids), **ann)
    assert trust["project_id"]
    assert await run(f"trust delete {trust['id']}", **ann) == ""
    assert await run("user password set --original-password secret --password better", **ann) == ""


async def test_the_sdk(served: tuple[Cloud, int]) -> None:
    _here, port = served

    def use() -> None:
        with openstack.connect(
            auth_url=f"http://127.0.0.1:{port}/identity",
            username="admin",
            password=ADMIN_PASSWORD,
            project_name="admin",
            user_domain_name="Default",
            project_domain_name="Default",
            region_name="RegionOne",
        ) as connection:
            project = connection.identity.create_project(name="web", description="x")
            assert connection.identity.find_project("web").id == project.id
            user = connection.identity.create_user(name="ann", password="secret", default_project_id=project.id)
            role = connection.identity.find_role("member")
            connection.identity.assign_project_role_to_user(project, user, role)
            assert connection.identity.validate_user_has_project_role(project, user, role)
            listed = list(connection.identity.role_assignments(user_id=user.id))
            assert [(a.scope["project"]["id"], a.role["id"]) for a in listed] == [(project.id, role.id)]
            assert {u.name for u in connection.identity.users()} == {"admin", "ann", "nova"}
            connection.identity.delete_user(user)
            connection.identity.delete_project(project)

    await asyncio.to_thread(use)
