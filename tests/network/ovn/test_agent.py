"""The parts of a host's agent that need no host: which datapath, who asks for metadata, what is passed on."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.kernel import config as kernel_config
from kilonova.kernel.config import ConfigError
from kilonova.kernel.http import Client, Loopback
from kilonova.kernel.ovsdb import Uuid
from kilonova.network.agent import daemons
from kilonova.network.agent.config import GROUPS, driver_settings, engine_settings
from kilonova.network.agent.daemons import Paths
from kilonova.network.agent.engine import Datapath, choose_datapath
from kilonova.network.agent.metadata import Bindings
from kilonova.network.agent.metadata_proxy import MOST_BODY_BYTES, Asker, MetadataProxy, sign
from kilonova.network.agent.names import NameServer, answer


@pytest.mark.parametrize(
    ("wish", "kernel", "tunnels", "chosen"),
    [
        ("auto", True, False, Datapath(kernel=True, tso=False)),
        ("auto", False, False, Datapath(kernel=False, tso=True)),
        ("auto", False, True, Datapath(kernel=False, tso=False)),
        ("netdev", True, True, Datapath(kernel=False, tso=False)),
    ],
)
def test_tunnels_and_tso_exclude_one_another_in_userspace(
    wish: str, kernel: bool, tunnels: bool, chosen: Datapath
) -> None:
    assert choose_datapath(wish, kernel=kernel, has_tunnels=tunnels) == chosen
    assert chosen.offloads == (chosen.kernel or chosen.tso)


def test_a_state_directory_too_deep_for_sockets_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Paths.under(Path("/" + "deep/" * 30))


def test_without_the_central_part_only_the_switch_has_a_database() -> None:
    paths = Paths.under(Path("/x"))
    assert [one.file.name for one in daemons.databases(paths, central=False)] == ["ovs.db"]
    assert [one.file.name for one in daemons.databases(paths, central=True)] == ["ovs.db", "nb.db", "sb.db"]


def load(**overrides: Any) -> Any:
    return kernel_config.load(groups=GROUPS, overrides={f"ovn.{key}": value for key, value in overrides.items()})


def test_options_become_settings() -> None:
    conf = load(dataplane_netns="", bridge_mappings="public:br-ex,lab:br-lab", dns_servers="9.9.9.9")
    settings = engine_settings(conf, Path("/state"), "host-1")
    assert settings.bridge_mappings == {"public": "br-ex", "lab": "br-lab"}
    assert (settings.netns, settings.outside_netns) == ("", "kilonova-outside")
    assert settings.is_central
    assert driver_settings(conf).dns_servers == ("9.9.9.9",)


def test_one_database_elsewhere_and_the_other_here_is_refused() -> None:
    with pytest.raises(ConfigError, match="together"):
        engine_settings(load(ovn_nb_connection="tcp:10.0.0.1:6641"), Path("/state"), "host-1")


# --- who asks ---

D1, D2, HERE, THERE = Uuid("d1"), Uuid("d2"), Uuid("c1"), Uuid("c2")


def binding(name: str, datapath: Uuid, ip: str, kind: str = "", chassis: Uuid | None = HERE) -> dict[str, Any]:
    ids = {"neutron:device_id": f"server-of-{name}", "neutron:project_id": "p", "neutron:cidrs": f"{ip}/24"}
    return {"logical_port": name, "type": kind, "chassis": chassis, "datapath": datapath,
            "mac": {f"fa:16:3e:00:00:01 {ip} fd00::1"}, "external_ids": ids}  # fmt: skip


def bindings(*ports: dict[str, Any]) -> Bindings:
    found = Bindings()
    for uuid, name in ((HERE, "host-1"), (THERE, "host-2")):
        found.note("Chassis", uuid, None, {"name": name})
    for uuid in (D1, D2):
        found.note("Datapath_Binding", uuid, None, {"external_ids": {"name": f"neutron-{uuid}"}})
    for number, port in enumerate(ports):
        found.note("Port_Binding", Uuid(str(number)), None, port)
    return found


def test_the_same_address_on_two_networks_is_two_servers() -> None:
    found = bindings(binding("a", D1, "10.0.0.5"), binding("b", D2, "10.0.0.5"))
    assert found.find(D1, "10.0.0.5") == Asker("server-of-a", "p")
    assert found.find(D2, "10.0.0.5") == Asker("server-of-b", "p")
    assert found.find(D1, "10.0.0.6") is None
    assert found.find(D1, "fa:16:3e:00:00:01") is None


def test_a_network_is_served_where_its_guests_are() -> None:
    local = binding("meta", D1, "10.0.0.2", "localport", None)
    assert bindings(local).wanted("host-1") == {}
    assert bindings(local, binding("a", D1, "10.0.0.5", chassis=THERE)).wanted("host-1") == {}
    found = bindings(local, binding("a", D1, "10.0.0.5"))
    assert found.wanted("host-1")["d1"].addresses == ("10.0.0.2/24", "169.254.169.254/32")
    found.note("Port_Binding", Uuid("1"), binding("a", D1, "10.0.0.5"), None)
    assert found.wanted("host-1") == {}


# --- what is passed on ---


class Compute:
    """Says what it was asked, and answers as told."""

    def __init__(self, status: int = 200, body: bytes = b"yes"):
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status, self.body = status, body

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        path = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        self.asked.append((scope["method"], path, headers, message.get("body", b"")))
        await send({"type": "http.response.start", "status": self.status, "headers": [(b"x-a", b"b")]})
        await send({"type": "http.response.body", "body": self.body})


async def ask(
    proxy: MetadataProxy,
    path: str = "/",
    *,
    source: str = "10.0.0.5",
    body: bytes = b"",
    method: str = "GET",
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []
    scope = {"type": "http", "method": method, "path": path.partition("?")[0], "raw_path": path.encode(),
             "query_string": path.partition("?")[2].encode(), "headers": headers, "client": (source, 1)}  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await proxy(scope, receive, send)
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent)


def proxy_to(compute: Any) -> MetadataProxy:
    known = {"10.0.0.5": Asker("server-1", "project-1")}
    return MetadataProxy(known.get, Client("http://metadata", Loopback(compute)), "s3cret")


async def test_compute_is_told_who_asks_and_the_guests_own_claims_are_dropped() -> None:
    compute = Compute()
    lies = ((b"x-instance-id", b"server-9"), (b"x-forwarded-for", b"1.2.3.4"), (b"x-tenant-id", b"p9"),
            (b"x-instance-id-signature", b"0"), (b"user-agent", b"curl"))  # fmt: skip
    assert await ask(proxy_to(compute), "/latest/meta-data/a%2Fb?x=1", headers=lies) == (200, b"yes")
    (method, _, headers, _) = compute.asked[0]
    assert method == "GET"
    assert {key: headers[key] for key in headers if key.startswith("x-") or key == "user-agent"} == {
        "x-instance-id": "server-1", "x-tenant-id": "project-1", "x-forwarded-for": "10.0.0.5",
        "x-instance-id-signature": sign("s3cret", "server-1"), "user-agent": "curl",
    }  # fmt: skip


async def test_the_answer_of_compute_is_the_guests_answer() -> None:
    assert await ask(proxy_to(Compute(404, b"no such key"))) == (404, b"no such key")


async def test_a_password_is_posted() -> None:
    compute = Compute()
    await ask(proxy_to(compute), "/openstack/latest/password", method="POST", body=b"secret")
    assert compute.asked[0][0] == "POST"
    assert compute.asked[0][3] == b"secret"


async def test_a_stranger_is_told_so_and_compute_is_not_asked() -> None:
    compute = Compute()
    status, text = await ask(proxy_to(compute), source="10.0.0.99")
    assert (status, compute.asked) == (404, [])
    assert b"10.0.0.99" not in text


async def test_a_body_without_end_is_refused() -> None:
    status, _ = await ask(proxy_to(Compute()), method="POST", body=b"x" * (MOST_BODY_BYTES + 1))
    assert status == 413


# --- names ---

KNOWN = {"web": "10.0.0.12", "web.kilonova.test": "10.0.0.12 fd00::12", "12.0.0.10.in-addr.arpa": "web.kilonova.test"}


def question(name: str, kind: int = 1, *, flags: int = 0x0100, more: bytes = b"") -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    extra = 1 if more else 0
    return struct.pack("!HHHHHH", 7, flags, 1, 0, 0, extra) + labels + b"\0" + struct.pack("!HH", kind, 1) + more


def told(query: bytes) -> tuple[int, list[bytes]]:
    """(result code, data of each answer)"""
    reply = answer(query, KNOWN)
    assert reply is not None
    number, flags, questions, count, *_ = struct.unpack_from("!HHHHHH", reply)
    assert (number, flags & 0x8000) == (7, 0x8000)
    at = 12 + (query.index(b"\0", 12) + 5 - 12 if questions else 0)
    found = []
    for _ in range(count):
        length = struct.unpack_from("!H", reply, at + 10)[0]
        found.append(reply[at + 12 : at + 12 + length])
        at += 12 + length
    assert at == len(reply)
    return flags & 15, found


def test_a_known_name_has_its_addresses_by_family() -> None:
    assert told(question("WEB.kilonova.test")) == (0, [bytes([10, 0, 0, 12])])
    assert told(question("web.kilonova.test", 28)) == (0, [socket.inet_pton(socket.AF_INET6, "fd00::12")])
    assert told(question("web", 28)) == (0, [])
    assert told(question("12.0.0.10.in-addr.arpa", 12)) == (0, [b"\x03web\x08kilonova\x04test\0"])


def test_an_extension_is_no_obstacle() -> None:
    edns = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
    assert told(question("web", more=edns)) == (0, [bytes([10, 0, 0, 12])])


def test_what_is_ours_and_not_there_is_denied_and_the_rest_refused() -> None:
    assert told(question("nobody"))[0] == told(question("nobody.kilonova.test"))[0] == 3
    assert told(question("www.debian.org"))[0] == 5


@given(st.binary(max_size=80))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    reply = answer(data, KNOWN)
    assert reply is None or len(reply) >= 12


@given(st.binary(max_size=60))
def test_no_question_makes_it_fail(data: bytes) -> None:
    assert answer(struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 0) + data, KNOWN)


def test_answers_are_not_answered() -> None:
    assert answer(question("web", flags=0x8100), KNOWN) is None


def test_names_are_known_on_their_network_only() -> None:
    web = binding("a", D1, "10.0.0.12")
    web["external_ids"]["kilonova:names"] = "web web.kilonova.test"
    found = bindings(web, binding("b", D1, "10.0.0.13"), binding("c", D2, "10.0.0.12"))
    assert found.records(D1) == KNOWN | {"web.kilonova.test": "10.0.0.12"}
    assert found.records(D2) == {}
    found.note("Port_Binding", Uuid("0"), web, None)
    assert found.records(D1) == {}


async def test_the_name_server_answers_on_its_socket() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: NameServer(lambda: KNOWN), ("127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as guest:
        guest.connect(transport.get_extra_info("sockname"))
        guest.setblocking(False)
        guest.send(question("web"))
        async with asyncio.timeout(5):
            assert (await loop.sock_recv(guest, 512)).endswith(bytes([10, 0, 0, 12]))
    transport.close()
