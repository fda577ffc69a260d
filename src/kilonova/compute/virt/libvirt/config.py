"""Options of the libvirt driver, with upstream's group and names; `Settings` is read from them once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from oslo_config import cfg

from kilonova.compute.virt.driver import DiskFormat

GROUPS: tuple[tuple[str, list[cfg.Opt]], ...] = (
    (
        "libvirt",
        [
            cfg.StrOpt(
                "virt_type",
                default="auto",
                choices=[
                    ("auto", "KVM when a guest really runs code under it, emulation otherwise"),
                    ("kvm", "On the processor itself"),
                    ("qemu", "In emulation, anywhere"),
                ],
                help="How guests are run.",
            ),
            cfg.StrOpt(
                "connection_uri",
                default="",
                help="A libvirt daemon to use, for example qemu:///system. Empty: a daemon of our own, seen by nobody"
                " else on the machine.",
            ),
            cfg.StrOpt(
                "cpu_mode",
                choices=["host-model", "host-passthrough", "custom", "maximum", "none"],
                help="The processor that guests see. By default host-model under KVM and QEMU's own otherwise.",
            ),
            cfg.ListOpt("cpu_models", default=[], help="With cpu_mode custom: models by name."),
            cfg.StrOpt(
                "images_type",
                default="default",
                choices=[
                    ("default", "as qcow2"),
                    ("qcow2", "copy on write over the cached image"),
                    ("flat", "a full copy, raw"),
                    ("raw", "a full copy, raw"),
                ],
                help="How system disks are stored.",
            ),
            cfg.ListOpt(
                "hw_machine_type",
                default=[],
                help="Machine types by architecture, for example x86_64=q35. By default pc with a BIOS, q35 with UEFI.",
            ),
            cfg.IntOpt("num_pcie_ports", default=8, min=0, max=28, help="Free slots for devices of a q35 guest."),
            cfg.IntOpt(
                "tb_cache_size",
                default=32,
                min=8,
                help="Memory in MiB that emulation keeps translated code in, a guest.",
            ),
            cfg.StrOpt("rng_dev_path", default="/dev/urandom", help="Where the guests' random numbers come from."),
            cfg.IntOpt("mem_stats_period_seconds", default=10, min=0, help="How often guests report their memory use."),
        ],
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The options above, as plain values."""

    virt_type: Literal["auto", "kvm", "qemu"] = "auto"
    connection_uri: str = ""
    cpu_mode: str | None = None
    cpu_models: tuple[str, ...] = ()
    disk_format: DiskFormat = "qcow2"
    machines: tuple[tuple[str, str], ...] = ()
    pcie_ports: int = 8
    tb_cache_mib: int = 32
    rng_path: str = "/dev/urandom"
    memory_stats_period_s: int = 10


def settings(conf: cfg.ConfigOpts) -> Settings:
    """Read once, at the start. Raises ValueError for a machine type that is no `architecture=type`."""
    group = conf.libvirt
    return Settings(
        virt_type=group.virt_type,
        connection_uri=group.connection_uri,
        cpu_mode=group.cpu_mode,
        cpu_models=tuple(group.cpu_models),
        disk_format="raw" if group.images_type in ("flat", "raw") else "qcow2",
        machines=tuple(_pair(text) for text in group.hw_machine_type),
        pcie_ports=group.num_pcie_ports,
        tb_cache_mib=group.tb_cache_size,
        rng_path=group.rng_dev_path,
        memory_stats_period_s=group.mem_stats_period_seconds,
    )


def _pair(text: str) -> tuple[str, str]:
    architecture, equals, machine = text.partition("=")
    if not (architecture and equals and machine):
        raise ValueError(f"[libvirt] hw_machine_type: {text!r} is no architecture=type, such as x86_64=q35")
    return architecture.strip(), machine.strip()
