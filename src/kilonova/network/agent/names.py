"""The names of a network's servers, for guests whose resolvers OVN does not understand.

OVN answers a plain question for such a name on its way, but lets pass what carries an extension (EDNS0, which many
resolvers send first), and in userspace with TSO it is not asked to (see `Settings.names_in_flow`). Guests without
other name servers are sent to the metadata port's address; what arrives there is answered here. What is not ours to
know is refused at once, so nobody waits. The codec is pure.
"""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from collections.abc import Callable, Mapping
from typing import cast

A, PTR, AAAA, ANY, IN = 1, 12, 28, 255, 1
NO_ERROR, FORMAT_ERROR, NO_SUCH_NAME, NOT_IMPLEMENTED, REFUSED = 0, 1, 3, 4, 5
TTL_S = 60
HEAD = struct.Struct("!HHHHHH")

Records = Callable[[], Mapping[str, str]]
"""Name in lower case -> addresses (or, for reverse names, names) with spaces between: as OVN keeps them."""


class NameServer(asyncio.DatagramProtocol):
    """Answers over UDP on a socket of one network."""

    def __init__(self, records: Records):
        self._records = records

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = answer(data, self._records())
        if reply is not None:
            self._transport.sendto(reply, addr)


def answer(query: bytes, records: Mapping[str, str]) -> bytes | None:
    """The reply to a query; None for what is no query at all, which gets none."""
    if len(query) < HEAD.size:
        return None
    number, flags, questions, *_ = HEAD.unpack_from(query)
    if flags & 0x8000:
        return None
    if flags & 0x7800:
        return _reply(number, flags, NOT_IMPLEMENTED, b"", [])
    parsed = _question(query) if questions == 1 else None
    if parsed is None:
        return _reply(number, flags, FORMAT_ERROR, b"", [])
    name, kind, question = parsed
    known = records.get(name)
    if known is None:
        return _reply(number, flags, NO_SUCH_NAME if _is_ours(name, records) else REFUSED, question, [])
    return _reply(number, flags, NO_ERROR, question, _data(known, kind))


def _question(query: bytes) -> tuple[str, int, bytes] | None:
    """(name, type, the question as it came) of the first question."""
    labels, at = [], HEAD.size
    while at < len(query) and (length := query[at]):
        if length > 63 or at + length >= len(query):
            return None
        labels.append(query[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    end = at + 5
    if end > len(query):
        return None
    kind, category = struct.unpack_from("!HH", query, at + 1)
    return (".".join(labels), kind, query[HEAD.size : end]) if category == IN else None


def _is_ours(name: str, records: Mapping[str, str]) -> bool:
    """Whether we would know: a bare name, or one in a domain that has a name we know."""
    _, _, domain = name.partition(".")
    return not domain or any(known.partition(".")[2] == domain for known in records)


def _data(known: str, kind: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    for one in known.split():
        try:
            address = ipaddress.ip_address(one)
        except ValueError:
            found.append((PTR, _encode_name(one)))
        else:
            found.append((A if address.version == 4 else AAAA, address.packed))
    return [(each, data) for each, data in found if kind in (each, ANY)]


def _encode_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in name.split(".")) + b"\0"


def _reply(number: int, flags: int, code: int, question: bytes, data: list[tuple[int, bytes]]) -> bytes:
    """Ours to say (authoritative), and we ask nobody else."""
    authoritative = 0x0400 if code in (NO_ERROR, NO_SUCH_NAME) else 0
    head = HEAD.pack(number, 0x8000 | authoritative | flags & 0x7900 | code, 1 if question else 0, len(data), 0, 0)
    named = (struct.pack("!HHHIH", 0xC00C, kind, IN, TTL_S, len(one)) + one for kind, one in data)
    return head + question + b"".join(named)
