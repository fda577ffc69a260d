"""Drivers: how an agent runs guests on one kind of hypervisor. They know the machine, not the cloud."""
