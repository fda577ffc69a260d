"""The network agent of a host: OVN's and Open vSwitch's daemons, the provider bridge, metadata for all
networks.

How a guest's interface is plugged (for whoever starts guests; nothing here needs to be imported):

* The port must be bound first: binding:vif_type "ovs", binding:vif_details with `bridge_name` ("br-int"),
  `datapath_type` ("netdev" or "system"), `vnet_hdr` (bool), `mtu` (bytes), `port_filter` true.
* The tap (or veth end) must exist in the cloud's *dataplane network namespace*: `[ovn] dataplane_netns`, a
  name under /run/netns; empty means the root namespace. Open vSwitch runs there and opens the device by its
  name.
* Database: `[ovn] ovs_connection`; by default `unix:<state>/ovn/db.sock`, database "Open_vSwitch".
  `kilonova.kernel.ovsdb` speaks it (`Ovs(client).add_port(...)`); by hand it is

      ovs-vsctl --db=unix:<state>/ovn/db.sock --may-exist add-port br-int tapXXXXXXXX-XX \\
        -- set Interface tapXXXXXXXX-XX external_ids:iface-id=<port id> external_ids:iface-status=active \\
           external_ids:attached-mac=<mac> external_ids:vm-uuid=<server id> mtu_request=<mtu>

* `vnet_hdr` false: the tap is opened without IFF_VNET_HDR (libvirt: `<driver>` with csum, tso4, ... off does
  not do; QEMU: `-netdev tap,...,vnet_hdr=off`). A userspace datapath without TSO loses TCP otherwise, while
  ping works. `vnet_hdr` true: offloads may stay on.
* Unplugging is del-port by the interface's name; the tap may be gone before or after.
* The port goes ACTIVE when ovn-controller has its flows in place, not when the command returns.
"""
