"""Guests under QEMU and KVM, by libvirt. The only door to libvirt-python and to qemu-img."""
