"""What a host has, as it tells the cloud: the driver's inventory with the operator's options. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kilonova.compute.calls import HostReport
from kilonova.compute.virt.driver import HostInventory


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Options of one host; names and defaults are upstream's ``[DEFAULT]``.

    ``resume_guests``: start guests that ran before the host went down
    (``resume_guests_state_on_host_boot``).
    """

    host_ip: str = "127.0.0.1"
    cpu_allocation_ratio: float = 4.0
    ram_allocation_ratio: float = 1.0
    disk_allocation_ratio: float = 1.0
    reserved_vcpus: int = 0
    reserved_ram_mib: int = 512
    reserved_disk_gib: int = 0
    resume_guests: bool = True
    shutdown_timeout_s: float = 60.0


def host_report(
    inventory: HostInventory,
    settings: HostSettings,
    *,
    host: str,
    id: str,
    servers: tuple[str, ...],
    busy: int,
    started_at: str,
    serial: int,
) -> HostReport:
    """The report of this moment."""
    return HostReport(
        host=host,
        id=id,
        hypervisor_hostname=inventory.hostname,
        hypervisor_type=inventory.hypervisor_type,
        hypervisor_version=inventory.hypervisor_version,
        vcpus=inventory.vcpus,
        ram_mib=inventory.ram_mib,
        disk_gib=inventory.disk_gib,
        ram_used_mib=inventory.ram_used_mib,
        disk_used_gib=inventory.disk_used_gib,
        host_ip=settings.host_ip,
        cpu_info=dict(inventory.cpu_info),
        supported=inventory.supported,
        traits=tuple(sorted(inventory.traits)),
        uptime_s=inventory.uptime_s,
        servers=servers,
        busy=busy,
        cpu_allocation_ratio=settings.cpu_allocation_ratio,
        ram_allocation_ratio=settings.ram_allocation_ratio,
        disk_allocation_ratio=settings.disk_allocation_ratio,
        reserved_ram_mib=min(settings.reserved_ram_mib, max(inventory.ram_mib - 1, 0)),
        reserved_disk_gib=min(settings.reserved_disk_gib, max(inventory.disk_gib - 1, 0)),
        reserved_vcpus=min(settings.reserved_vcpus, max(inventory.vcpus - 1, 0)),
        started_at=started_at,
        serial=serial,
    )
