#!/bin/sh
PATH=/sbin:/usr/sbin:/bin:/usr/bin; export PATH
mkdir -p /dev/pts /dev/shm; mount -t devpts p /dev/pts; mount -t tmpfs t /dev/shm; mount -t tmpfs t /run; mkdir -p /run/cloud
[ -s /dev/.grow ] && resize2fs $(cat /dev/.grow) >/dev/null 2>&1 &
for m in virtio_net button evdev virtio_rng virtio_console virtio_balloon; do modprobe $m 2>/dev/null; done
hostname -F /etc/hostname; ip link set lo up
