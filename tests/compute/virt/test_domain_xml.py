"""The XML that libvirt is given: pure, so it is looked at here without a hypervisor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

from kilonova.compute.virt.driver import BackingImage, DiskSpec, GuestSpec, NicSpec
from kilonova.compute.virt.libvirt import domain_xml
from kilonova.compute.virt.libvirt.domain_xml import NAMESPACE, Firmware, HostChoices

DIRECTORY = Path("/guests/one")
HOST = HostChoices(
    cloud="here",
    virt_type="qemu",
    emulator="/usr/bin/qemu-system-x86_64",
    consoles="/run/consoles",
    uefi=Firmware("/uefi/code", "/uefi/vars"),
    secure_boot=Firmware("/uefi/code.ms", "/uefi/vars.ms"),
)
SPEC = GuestSpec(uuid="11111111-2222-4333-8444-555555555555", name="instance-00000001", vcpus=2, ram_mib=512)
NIC = NicSpec(port_id="p", mac="fa:16:3e:00:00:01", tap="tap0", mtu=1442)
DISK = DiskSpec(path="/guests/one/disk", format="qcow2", boot_order=1)


def built(spec: GuestSpec = SPEC, host: HostChoices = HOST) -> Element:
    return fromstring(domain_xml.domain(spec, host, DIRECTORY))


def test_a_title_from_a_user_cannot_become_markup():
    title = '</title><devices><disk type="file"/>\n\x00&'
    root = built(replace(SPEC, title=title, labels=(("flavor", '"/><x>'),)))
    assert root.findtext("title") == '</title><devices><disk type="file"/>  &'
    assert root.find("devices/disk") is None
    (label,) = root.findall(f"metadata/{{{NAMESPACE}}}guest/{{{NAMESPACE}}}label")
    assert label.get("value") == '"/><x>'


def test_emulated_guests_get_a_small_translation_cache_and_kvm_guests_none():
    assert built().findtext("features/tcg/tb-cache") == "32"
    kvm = built(host=replace(HOST, virt_type="kvm"))
    assert kvm.find("features/tcg") is None
    assert kvm.find("cpu").get("mode") == "host-model"
    assert built().find("cpu").get("mode") is None


def test_a_config_drive_is_on_a_bus_that_small_kernels_know():
    spec = replace(SPEC, config_drive="/guests/one/config.iso")
    assert built(spec).find("devices/disk/target").get("bus") == "ide"
    q35 = built(replace(spec, machine="q35"))
    assert q35.find("devices/disk/target").get("bus") == "scsi"
    assert q35.find("devices/controller[@type='scsi']").get("model") == "virtio-scsi"
    vfat = built(replace(spec, config_drive_format="vfat"))
    assert vfat.find("devices/disk").get("device") == "disk"
    assert vfat.find("devices/disk/readonly") is not None


def test_disks_have_names_by_bus_and_no_name_twice():
    disks = (DISK, replace(DISK, path="/b", boot_order=None), replace(DISK, path="/c", bus="scsi", boot_order=2))
    root = built(replace(SPEC, disks=disks))
    assert [target.get("dev") for target in root.findall("devices/disk/target")] == ["vda", "vdb", "sda"]
    assert [boot.get("order") for boot in root.findall("devices/disk/boot")] == ["1", "2"]


def test_the_first_free_name_of_a_bus():
    assert domain_xml.free_target("virtio", []) == "vda"
    assert domain_xml.free_target("virtio", ["vda", "vdc"]) == "vdb"
    assert domain_xml.free_target("virtio", [f"vd{c}" for c in "abcdefghijklmnopqrstuvwxyz"]) == "vdaa"


def test_every_format_is_named_and_a_shared_image_keeps_its_owner():
    spec = replace(SPEC, disks=(replace(DISK, backing=BackingImage("/images/base", "qcow2")),))
    disk = built(spec).find("devices/disk")
    assert disk.find("driver").get("type") == "qcow2"
    assert disk.find("backingStore/format").get("type") == "qcow2"
    assert disk.find("backingStore/source").get("file") == "/images/base"
    assert disk.find("backingStore/source/seclabel").get("relabel") == "no"
    assert disk.find("backingStore/backingStore") is not None


def test_interfaces_are_our_own_taps_and_never_user_mode_networking():
    root = built(replace(SPEC, nics=(NIC,)))
    (interface,) = root.findall("devices/interface")
    assert interface.get("type") == "ethernet"
    assert interface.find("target").attrib == {"dev": "tap0", "managed": "no"}
    assert interface.find("mtu").get("size") == "1442"
    assert interface.find("driver") is None


def test_a_dataplane_without_unfinished_checksums_gets_none():
    interface = fromstring(domain_xml.nic(replace(NIC, vnet_hdr=False)))
    for side in ("host", "guest"):
        options = interface.find(f"driver/{side}").attrib
        assert options["csum"] == options["tso4"] == options["tso6"] == "off"


def test_uefi_names_its_firmware_and_keeps_its_variables_with_the_guest():
    root = built(replace(SPEC, firmware="uefi"))
    assert root.find("os/type").get("machine") == "q35"
    assert root.findtext("os/loader") == "/uefi/code"
    assert root.find("os").get("firmware") is None
    assert root.findtext("os/nvram") == "/guests/one/nvram.fd"
    secure = built(replace(SPEC, firmware="uefi", secure_boot=True))
    assert secure.find("os/loader").get("secure") == "yes"
    assert secure.find("features/smm").get("state") == "on"


def test_consoles_are_unix_sockets_and_the_serial_one_is_logged():
    root = built()
    assert root.find("devices/graphics").attrib == {"type": "vnc", "socket": f"/run/consoles/{SPEC.uuid}.vnc"}
    serial = root.find("devices/serial")
    assert serial.find("source").get("path") == f"/run/consoles/{SPEC.uuid}.serial"
    assert serial.find("log").attrib == {"file": "/guests/one/console.log", "append": "on"}
    assert built(replace(SPEC, video="none")).find("devices/graphics") is None


def test_a_kernel_is_booted_directly():
    spec = replace(SPEC, kernel="/k", ramdisk="/r", kernel_args="console=ttyS0")
    system = built(spec).find("os")
    assert [system.findtext(tag) for tag in ("kernel", "initrd", "cmdline")] == ["/k", "/r", "console=ttyS0"]


def test_the_machine_is_the_guests_choice_then_the_hosts():
    host = replace(HOST, machine="q35")
    assert host.machine_of(SPEC) == "q35"
    assert host.machine_of(replace(SPEC, machine="pc")) == "pc"
    assert HOST.machine_of(SPEC) == "pc"


def test_a_q35_guest_has_slots_for_devices_to_come():
    ports = built(replace(SPEC, machine="q35")).findall("devices/controller[@model='pcie-root-port']")
    assert len(ports) == HOST.pcie_ports


def test_the_guest_knows_that_it_runs_in_an_openstack_cloud():
    entries = {e.get("name"): e.text for e in built().findall("sysinfo/system/entry")}
    assert entries["product"] == "OpenStack Compute"
    assert entries["uuid"] == entries["serial"] == SPEC.uuid
