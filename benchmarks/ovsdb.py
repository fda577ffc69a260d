"""CPU of one switch port written to OVN's northbound database: our client against ovsdbapp, beside each other.

usage: python benchmarks/ovsdb.py unix:/path/to/a/northbound/server     (an empty one: rows are added and removed)
ovsdbapp is no dependency of ours any more: pip install ovsdbapp for the comparison.
"""

from __future__ import annotations

import asyncio
import sys
import time

from kilonova.kernel.ovsdb import Named, Replica
from kilonova.kernel.ovsdb.wire import encode_row, encode_set

PORTS = 300


async def ours(remote: str) -> float:
    replica = Replica(remote, "OVN_Northbound", {"Logical_Switch": None, "Logical_Switch_Port": None})
    await replica.start()
    await replica.synced(5)
    await replica.transact([{"op": "insert", "table": "Logical_Switch", "row": {"name": "bench-a"}}])
    where = [["name", "==", "bench-a"]]
    before = time.process_time()
    for number in range(PORTS):
        mac = f"fa:16:3e:01:{number // 256:02x}:{number % 256:02x} 10.0.0.1"
        row = {"name": f"bench-a-{number}", "addresses": {mac}, "port_security": {mac}}
        port = {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": encode_row(row)}
        add = [["ports", "insert", encode_set([Named("p")])]]
        hold = {"op": "mutate", "table": "Logical_Switch", "where": where, "mutations": add}
        await replica.transact([port, hold])
    used = time.process_time() - before
    assert len(replica.rows["Logical_Switch_Port"]) >= PORTS
    await replica.transact([{"op": "delete", "table": "Logical_Switch", "where": where}])
    await replica.stop()
    return used


def theirs(remote: str) -> float:
    from ovsdbapp.backend.ovs_idl import connection
    from ovsdbapp.schema.ovn_northbound import impl_idl

    idl = connection.OvsdbIdl.from_server(remote, "OVN_Northbound")
    api = impl_idl.OvnNbApiIdlImpl(connection.Connection(idl, timeout=10))
    api.ls_add("bench-b").execute(check_error=True)
    before = time.process_time()
    for number in range(PORTS):
        mac = [f"fa:16:3e:01:{number // 256:02x}:{number % 256:02x} 10.0.0.1"]
        api.lsp_add("bench-b", f"bench-b-{number}", addresses=mac, port_security=mac).execute(check_error=True)
    used = time.process_time() - before
    api.ls_del("bench-b").execute(check_error=True)
    return used


if __name__ == "__main__":
    mine, other = asyncio.run(ours(sys.argv[1])), theirs(sys.argv[1])
    print(f"kilonova.kernel.ovsdb {mine / PORTS * 1000:.2f} ms CPU a port")
    print(f"ovsdbapp              {other / PORTS * 1000:.2f} ms CPU a port, {other / mine:.1f} times as much")
