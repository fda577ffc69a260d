"""The client against a server that speaks the protocol in a few lines: broken up messages, lost connections, echoes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.kernel.ovsdb import Client, Disconnected, OvsdbError, Replica, TransactionFailed

SCHEMA = {"name": "Toys", "version": "1", "tables": {"Toy": {"isRoot": True, "columns": {"name": {"type": "string"}}}}}


class Server:
    """Answers with `answers[method]`, a value or a function of the parameters; keeps what it was asked."""

    def __init__(self, path: Path):
        self.path = path
        self.asked: list[tuple[str, Any]] = []
        self.answers: dict[str, Any] = {"get_schema": SCHEMA, "monitor_cond": {}, "echo": []}
        self.writers: list[asyncio.StreamWriter] = []
        self.chunk = 1 << 16
        self.before: dict[str, bytes] = {}
        self.after: dict[str, bytes] = {}

    @property
    def remote(self) -> str:
        return f"unix:{self.path}"

    async def start(self) -> None:
        self.server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        self.server.close()
        self.hang_up()

    def hang_up(self) -> None:
        for writer in self.writers:
            writer.close()
        self.writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        text, decoder = "", json.JSONDecoder()
        while chunk := await reader.read(65536):
            text += chunk.decode()
            while text:
                message, end = decoder.raw_decode(text)
                text = text[end:]
                if "method" in message:
                    await self._answer(message, writer)

    async def _answer(self, message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        method = message["method"]
        self.asked.append((method, message["params"]))
        answer = self.answers.get(method)
        answer = answer(message["params"]) if callable(answer) else answer
        error = answer if isinstance(answer, str) else None
        reply = json.dumps({"id": message["id"], "result": None if error else answer, "error": error}).encode()
        data = self.before.get(method, b"") + reply + self.after.get(method, b"")
        for at in range(0, len(data), self.chunk):
            writer.write(data[at : at + self.chunk])
            await asyncio.sleep(0)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path / "s")
    await server.start()
    yield server
    await server.stop()


def update(**changes: Any) -> bytes:
    return json.dumps({"id": None, "method": "update2", "params": ["replica", {"Toy": changes}]}).encode()


async def test_an_answer_in_small_pieces_is_put_together(server: Server) -> None:
    server.chunk = 3
    server.answers["transact"] = [{"rows": [{"name": 'a}"{\\ü'}]}]
    client = await Client.connect(server.remote)
    assert await client.transact("Toys", [{"op": "select"}]) == [{"rows": [{"name": 'a}"{\\ü'}]}]
    await client.aclose()


async def test_a_refused_operation_is_named(server: Server) -> None:
    server.answers["transact"] = [{}, {"error": "constraint violation", "details": "two of a kind"}, None]
    client = await Client.connect(server.remote)
    with pytest.raises(TransactionFailed, match=r"two of a kind.*second"):
        await client.transact("Toys", [{"op": "first"}, {"op": "second"}])
    await client.aclose()


async def test_a_refused_request_is_an_error(server: Server) -> None:
    server.answers["get_schema"] = "unknown database"
    client = await Client.connect(server.remote)
    with pytest.raises(OvsdbError, match="unknown database"):
        await client.schema("Toys")
    await client.aclose()


async def test_a_lost_connection_ends_what_waits_and_all_later_calls(server: Server) -> None:
    server.answers["transact"] = lambda _: server.hang_up()
    client = await Client.connect(server.remote)
    for _ in range(2):
        with pytest.raises(Disconnected):
            await client.transact("Toys", [])
    await client.aclose()


async def test_no_answer_in_time_is_a_lost_connection(tmp_path: Path) -> None:
    silent = await asyncio.start_unix_server(lambda *_: asyncio.sleep(3600), str(tmp_path / "s"))
    client = await Client.connect(f"unix:{tmp_path}/s")
    with pytest.raises(Disconnected, match="within"):
        await client.call("echo", [], timeout_s=0.01)
    await client.aclose()
    silent.close()


async def test_the_other_side_is_answered_when_it_asks_for_life(server: Server) -> None:
    server.before["get_schema"] = b'{"id":"echo","method":"echo","params":[1]}'
    client = await Client.connect(server.remote)
    await client.schema("Toys")  # the reply to the echo is no request, so the server goes on
    await client.aclose()


async def test_nobody_there_and_no_address() -> None:
    with pytest.raises(Disconnected):
        await Client.connect("unix:/nowhere/at/all")
    with pytest.raises(OvsdbError, match="no address"):
        await Client.connect("carrier pigeon")


# --- the replica ---


async def test_a_change_that_comes_right_behind_the_tables_is_not_lost(server: Server) -> None:
    server.answers["monitor_cond"] = {"Toy": {"u1": {"initial": {"name": "car"}}}}
    server.after["monitor_cond"] = update(u1={"modify": {"name": "truck"}}, u2={"insert": {}})
    replica = Replica(server.remote, "Toys", {"Toy": None})
    told: list[Any] = []
    replica.on_change(lambda *change: told.append(change))
    await replica.start()
    await replica.synced(5)
    assert replica.rows["Toy"] == {"u1": {"name": "truck"}, "u2": {"name": ""}}
    assert told == [
        ("Toy", "u1", None, {"name": "car"}),
        ("Toy", "u1", {"name": "car"}, {"name": "truck"}),
        ("Toy", "u2", None, {"name": ""}),
    ]
    await replica.stop()


async def test_after_a_lost_connection_only_what_differs_is_told(server: Server) -> None:
    server.answers["monitor_cond"] = {"Toy": {"u1": {"initial": {"name": "car"}}, "u2": {"initial": {"name": "doll"}}}}
    replica = Replica(server.remote, "Toys", {"Toy": ["name"]})
    told: list[Any] = []
    again = asyncio.Event()
    await replica.start()
    await replica.synced(5)
    replica.on_change(lambda *change: told.append(change))
    replica.on_sync(again.set)
    server.answers["monitor_cond"] = {"Toy": {"u2": {"initial": {"name": "doll"}}, "u3": {"initial": {"name": "ball"}}}}
    server.hang_up()
    async with asyncio.timeout(5):
        await again.wait()
    assert told == [("Toy", "u1", {"name": "car"}, None), ("Toy", "u3", None, {"name": "ball"})]
    await replica.stop()


async def test_the_next_server_is_tried(server: Server, tmp_path: Path) -> None:
    replica = Replica(f"unix:{tmp_path}/dead,{server.remote}", "Toys", {"Toy": None})
    await replica.start()
    await replica.synced(5)
    await replica.stop()


async def test_a_table_that_is_not_there_is_told(server: Server) -> None:
    replica = Replica(server.remote, "Toys", {"Train": None})
    await replica.start()
    with pytest.raises(Disconnected, match="no table Train"):
        await replica.synced(0.1)
    with pytest.raises(Disconnected, match="no table Train"):
        await replica.transact([])
    await replica.stop()
