"""What the machine is: capabilities that the flavor asks for, and what the image needs to run."""

from __future__ import annotations

from kilonova.compute.calls import PlacementAsk
from kilonova.compute.scheduler.hosts import HostView
from kilonova.compute.scheduler.limits import Limits
from kilonova.compute.scheduler.matching import dig, matches
from kilonova.compute.scheduler.refusal import No

_SCOPE = "capabilities:"
_NOT_CAPABILITIES = ("hw", "quota", "trait", "resources", "os", "hide_hypervisor_id", "accel", "pci_passthrough")


def has_capabilities(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    """Extra specs ``capabilities:KEY`` (or a bare KEY that is one of the host's facts) must match."""
    facts = None
    for key, wants in ask.flavor.extra_specs.items():
        if key.startswith(_SCOPE):
            path = key.removeprefix(_SCOPE)
        elif ":" in key:
            continue
        else:
            path = key
        facts = facts or capabilities(host)
        has = dig(facts, path)
        if has is None and not key.startswith(_SCOPE):
            continue  # an unscoped key may be meant for aggregates
        if has is None or not matches(str(has), wants):
            return No(f"lack the capability {path} {wants}", f"have {has}" if has is not None else "")
    return None


def capabilities(host: HostView) -> dict[str, object]:
    """The facts of a host under the names that flavors use for them."""
    r = host.report
    return {
        "host": r.host,
        "hypervisor_hostname": r.hypervisor_hostname,
        "hypervisor_type": r.hypervisor_type,
        "hypervisor_version": r.hypervisor_version,
        "cpu_info": r.cpu_info,
        "vcpus_total": r.vcpus,
        "total_usable_ram_mb": r.ram_mib,
        "free_ram_mb": host.ram_free_mib,
        "free_disk_mb": host.disk_free_gib * 1024,
        "vcpus_used": host.use.vcpus,
        "num_instances": host.use.servers,
        "num_io_ops": host.use.busy,
    }


def runs_image(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    """The image's architecture, hypervisor type and guest mode must be among what the host supports."""
    properties = ask.image.properties
    arch = _arch(properties.get("hw_architecture") or properties.get("architecture"))
    kind = (properties.get("img_hv_type") or properties.get("hypervisor_type") or "").lower()
    mode = (properties.get("hw_vm_mode") or properties.get("vm_mode") or "").lower()
    mode = {"hv": "hvm", "pv": "xen"}.get(mode, mode)
    if not (arch or kind or mode):
        return None
    for has_arch, has_kind, has_mode in host.report.supported:
        kinds = (has_kind, "qemu") if has_kind == "kvm" else (has_kind,)
        if (not arch or arch == has_arch) and (not kind or kind in kinds) and (not mode or mode == has_mode):
            return None
    wants = " ".join(word for word in (arch, kind, mode) if word)
    return No("cannot run the image", f"it needs {wants}")


def _arch(name: str | None) -> str:
    name = (name or "").lower()
    return {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "i386": "i686"}.get(name, name)
