"""The door to OVSDB (RFC 7047): the databases of Open vSwitch and OVN.

An asyncio client of our own: the protocol is small, and the usual library brings a thread, a poller and a
pure-Python JSON parser with it, which cost several times as much CPU for a port (benchmarks/ovsdb.py has
both).

`wire` turns values to and from the protocol's JSON, `client` speaks it, `replica` keeps chosen tables in
memory and writes to them, `switch` knows the few things we ask of Open vSwitch itself.
"""

from kilonova.kernel.ovsdb.client import Client, Disconnected, OvsdbError, TransactionFailed
from kilonova.kernel.ovsdb.replica import Replica
from kilonova.kernel.ovsdb.switch import Ovs
from kilonova.kernel.ovsdb.wire import Named, Schema, Uuid

__all__ = [
    "Client",
    "Disconnected",
    "Named",
    "Ovs",
    "OvsdbError",
    "Replica",
    "Schema",
    "TransactionFailed",
    "Uuid",
]
