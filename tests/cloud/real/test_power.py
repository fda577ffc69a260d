"""A guest is switched, halted, put to sleep and looked at; what it had on its disk stays."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.cloud.real.conftest import Guests
from tests.cloud.real.make import RealCloud, until

pytestmark = pytest.mark.real


def wait(user: Any, server_id: str, status: str) -> None:
    """Until the server has the status, and nothing is being done to it."""

    def there() -> bool:
        server = user.compute.get_server(server_id)
        assert server.status == status or server.status != "ERROR", server.fault
        return bool(server.status == status and server.task_state is None)

    until(there, f"{server_id} {status}", 90)


def test_stop_and_start(guests: Guests, user: Any) -> None:
    still = guests.still
    before = still.boot_id
    still.run("echo kept > kept; sync")
    user.compute.stop_server(still.id)
    wait(user, still.id, "SHUTOFF")
    assert still.tried("true")[0] != 0
    user.compute.start_server(still.id)
    wait(user, still.id, "ACTIVE")
    assert still.up().boot_id != before
    assert still.run("cat kept") == "kept"


@pytest.mark.parametrize("kind", ["SOFT", "HARD"])
def test_reboot(guests: Guests, user: Any, kind: str) -> None:
    before = guests.still.boot_id
    user.compute.reboot_server(guests.still.id, kind)
    wait(user, guests.still.id, "ACTIVE")
    until(lambda: guests.still.tried("cat /proc/sys/kernel/random/boot_id")[1] not in (before, ""), "another boot", 120)
    assert guests.still.up().boot_id != before


def test_pause_halts_a_guest_and_suspend_puts_it_on_disk(guests: Guests, user: Any, cloud: RealCloud) -> None:
    """It goes on where it was: no boot between."""
    still, before = guests.still, guests.still.boot_id
    still.run("echo 1 > /tmp/in-memory")
    user.compute.pause_server(still.id)
    wait(user, still.id, "PAUSED")
    assert not cloud.answers_ping(still.address)
    user.compute.unpause_server(still.id)
    wait(user, still.id, "ACTIVE")
    assert still.up().boot_id == before
    user.compute.suspend_server(still.id)
    wait(user, still.id, "SUSPENDED")
    assert not cloud.processes(still.id), "it needs no memory while it sleeps"
    user.compute.resume_server(still.id)
    wait(user, still.id, "ACTIVE")
    assert still.up().boot_id == before


def test_the_console_log_has_the_boot(guests: Guests, user: Any) -> None:
    said = user.compute.get_server_console_output(guests.demo.id)["output"]
    assert "login:" in said
    assert f"cloud-seed: source=metadata instance={guests.demo.id} keys=1" in said
    tail = user.compute.get_server_console_output(guests.demo.id, length=1)["output"]
    assert len(tail.strip().splitlines()) == 1
    assert tail in said


def test_a_console_url_opens_the_screen_once(guests: Guests, user: Any, cloud: RealCloud) -> None:
    made = user.compute.create_server_remote_console(guests.demo.id, protocol="vnc", type="novnc")
    page = urlsplit(made.url)
    path = parse_qs(page.query)["path"][0]
    assert "websocket" in httpx.get(made.url).text.lower() or "noVNC" in httpx.get(made.url).text
    where = f"ws://{page.netloc}/{path}"
    with connect(where, subprotocols=["binary"], proxy=None) as screen:  # type: ignore[list-item]
        assert screen.recv(timeout=10) == b"RFB 003.008\n"
        screen.send(b"RFB 003.008\n")
        kinds = screen.recv(timeout=10)
        assert isinstance(kinds, bytes)
        assert kinds[0] == len(kinds) - 1 >= 1
    with pytest.raises(InvalidStatus), connect(where, proxy=None):
        pass
    assert made.url.rsplit("%3D", 1)[-1] not in cloud.log(), "a token is a secret"
