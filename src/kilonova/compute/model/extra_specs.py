"""The extra specs of flavors that are known, and what values they take: checked from microversion 2.86 on.

A key outside the namespaces below is free for operators (their own scheduler filters read it).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import os_traits

from kilonova.kernel.errors import BadRequest


class BadExtraSpec(BadRequest):
    text = "Validation failed for extra spec {key} = {value}: {why}"


@dataclass(frozen=True, slots=True)
class Spec:
    """Keys that match `key` take values that match `value`; `says` tells what these are."""

    key: re.Pattern[str]
    value: re.Pattern[str]
    says: str


_WHOLE, _FLAG = r"\d+", r"(?i:true|false|1|0|yes|no|on|off|t|f|y|n)"


def _row(key: str, value: str, says: str) -> Spec:
    return Spec(re.compile(key), re.compile(value), says)


def _words(key: str, *words: str) -> Spec:
    return _row(re.escape(key), "|".join(map(re.escape, words)), f"one of {', '.join(words)}")


def _flag(key: str) -> Spec:
    return _row(re.escape(key), _FLAG, "true or false")


def _number(key: str) -> Spec:
    return _row(key, _WHOLE, "a whole number")


_ANY = r"(?s).*"

SPECS: tuple[Spec, ...] = (
    _words("hw:cpu_policy", "dedicated", "shared", "mixed"),
    _words("hw:cpu_thread_policy", "prefer", "isolate", "require"),
    _words("hw:emulator_threads_policy", "isolate", "share"),
    _row(r"hw:cpu_dedicated_mask", r"[\^\d,\-]+", "a list of processors"),
    _flag("hw:cpu_realtime"),
    _row(r"hw:cpu_realtime_mask", r"[\^\d,\-]+", "a list of processors"),
    _number(r"hw:cpu_(?:sockets|cores|threads|max_sockets|max_cores|max_threads)"),
    _number(r"hw:maxphysaddr_bits"),
    _words("hw:maxphysaddr_mode", "passthrough", "emulate"),
    _number(r"hw:numa_nodes"),
    _row(r"hw:numa_cpus\.\d+", r"[\^\d,\-]+", "a list of processors"),
    _number(r"hw:numa_mem\.\d+"),
    _words("hw:pci_numa_affinity_policy", "required", "preferred", "legacy", "socket"),
    _row(r"hw:mem_page_size", r"(?i:any|small|large|\d+[kmg]?b?(?:it)?)", "any, small, large, or a size"),
    _flag("hw:mem_encryption"),
    _words("hw:mem_encryption_model", "amd-sev", "amd-sev-es"),
    _flag("hw:locked_memory"),
    _row(r"hw:pmem", _ANY, "a list of labels"),
    _flag("hw:hide_hypervisor_id"),
    _flag("hw:boot_menu"),
    _flag("hw:vif_multiqueue_enabled"),
    _words("hw:viommu_model", "intel", "smmuv3", "virtio", "auto"),
    _words("hw:watchdog_action", "none", "pause", "poweroff", "reset", "disabled"),
    _words("hw:tpm_version", "1.2", "2.0"),
    _words("hw:tpm_model", "tpm-tis", "tpm-crb"),
    _words("hw:tpm_secret_security", "user", "host", "deployment"),
    _number(r"hw:serial_port_count"),
    _flag("hw:ephemeral_encryption"),
    _words("hw:ephemeral_encryption_format", "luks"),
    _flag("hw:virtio_packed_ring"),
    _words("hw:sound_model", "sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio"),
    _words("hw:usb_model", "usb-mouse", "usb-kbd"),
    _number(r"hw:redirected_usb_ports"),
    _flag("hw:stateless_firmware"),
    _flag("hw_rng:allowed"),
    _number(r"hw_rng:rate_bytes"),
    _number(r"hw_rng:rate_period"),
    _number(r"hw_video:ram_max_mb"),
    _row(r"quota:(?:cpu|disk|vif|memory)_\w+", r"\w+", "a word or a number"),
    _words("os:secure_boot", "disabled", "optional", "required"),
    _row(r"pci_passthrough:alias", r"[^:]+:\d+(?:,[^:]+:\d+)*", "alias:count, ..."),
    _row(r"accel:device_profile", r".+", "a name"),
    _row(r"vmware:\w+", _ANY, ""),
    _row(r"resources(?:[a-zA-Z0-9_\-]*):[A-Z0-9_]+", _WHOLE, "an amount, a whole number"),
    _row(r"trait(?:[a-zA-Z0-9_\-]*):[A-Z0-9_]+", r"required|forbidden", "required or forbidden"),
    _row(r"group_policy", r"none|isolate", "none or isolate"),
    _row(r"capabilities:.+", _ANY, ""),
    _row(r"aggregate_instance_extra_specs:.+", _ANY, ""),
    _row(r"hide_hypervisor_id", _FLAG, "true or false"),
)

_OURS = frozenset(("hw", "hw_rng", "hw_video", "quota", "os", "pci_passthrough", "accel", "resources", "trait"))


def check_extra_spec(key: str, value: str) -> None:
    """Raises BadExtraSpec for a key of a known namespace that nothing reads, or a value that it cannot take."""
    found = [spec for spec in SPECS if spec.key.fullmatch(key)]
    if not found:
        if re.split(r"[:\d]", key, maxsplit=1)[0] in _OURS and ":" in key:
            raise BadExtraSpec(key=key, value=value, why="no such extra spec is known")
        return
    if not found[0].value.fullmatch(value):
        raise BadExtraSpec(key=key, value=value, why=f"the value must be {found[0].says}")
    trait = re.fullmatch(r"trait[^:]*:(.+)", key)
    if trait and not trait[1].startswith("CUSTOM_") and trait[1] not in os_traits.get_traits():
        raise BadExtraSpec(key=key, value=value, why="no such trait is known")
