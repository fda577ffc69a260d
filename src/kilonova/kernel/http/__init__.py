"""HTTP from one service to another: a client, and two transports under it (loopback in one process, sockets)."""

from kilonova.kernel.http.client import Client, HttpTimeout, Reply, StreamReply, Transport, Unreachable
from kilonova.kernel.http.loopback import Loopback
from kilonova.kernel.http.sockets import Sockets

__all__ = ["Client", "HttpTimeout", "Loopback", "Reply", "Sockets", "StreamReply", "Transport", "Unreachable"]
