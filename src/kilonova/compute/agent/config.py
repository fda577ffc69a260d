"""Options of one host, under upstream's names."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from kilonova.compute.agent.inventory import HostSettings
from kilonova.kernel.config import Group

GROUPS: tuple[Group, ...] = (
    (
        "DEFAULT",
        [
            cfg.HostAddressOpt("my_ip", default="127.0.0.1", help="Address of this host, as shown to administrators."),
            cfg.FloatOpt("cpu_allocation_ratio", default=4.0, min=0.1, help="Virtual processors for each real one."),
            cfg.FloatOpt("ram_allocation_ratio", default=1.0, min=0.1, help="Memory promised for each MiB there is."),
            cfg.FloatOpt("disk_allocation_ratio", default=1.0, min=0.1, help="Disk promised for each GiB there is."),
            cfg.IntOpt("reserved_host_cpus", default=0, min=0, help="Processors that guests do not get."),
            cfg.IntOpt("reserved_host_memory_mb", default=512, min=0, help="Memory in MiB that guests do not get."),
            cfg.IntOpt("reserved_host_disk_mb", default=0, min=0, help="Disk in MiB that guests do not get."),
            cfg.BoolOpt(
                "resume_guests_state_on_host_boot",
                default=True,
                help="Start the guests that ran when the host, or the cloud on it, went down.",
            ),
            cfg.IntOpt("shutdown_timeout", default=60, min=0, help="Seconds a guest gets to shut down by itself."),
        ],
    ),
)


def host_settings(conf: Any) -> HostSettings:
    """Read ``conf`` once."""
    return HostSettings(
        host_ip=str(conf.my_ip),
        cpu_allocation_ratio=conf.cpu_allocation_ratio,
        ram_allocation_ratio=conf.ram_allocation_ratio,
        disk_allocation_ratio=conf.disk_allocation_ratio,
        reserved_vcpus=conf.reserved_host_cpus,
        reserved_ram_mib=conf.reserved_host_memory_mb,
        reserved_disk_gib=-(-conf.reserved_host_disk_mb // 1024),
        resume_guests=conf.resume_guests_state_on_host_boot,
        shutdown_timeout_s=float(conf.shutdown_timeout),
    )
