"""The operations that the API writes into the journal and the conductor carries out: kinds and payloads.

The journal's row already says which server, who asked, and the request id; a payload holds only what the
server's own row does not. Each `kind` has one payload type in PAYLOADS; most need none.
"""

from __future__ import annotations

from typing import Final

import msgspec

from kilonova.compute.model.servers import BlockDevice, RequestedNetwork


class Nothing(msgspec.Struct, frozen=True):
    """No more than the server's row says."""


class InjectedFile(msgspec.Struct, frozen=True):
    """A file for the guest's config drive. `contents` is base64."""

    path: str
    contents: str


class Build(msgspec.Struct, frozen=True):
    """Make the guest of a new server.

    `networks`: cards to make, in order. None means `auto`: the one network of the project, or make it. An
    empty tuple means no card at all. `security_group_ids` go onto the ports that we make.
    """

    networks: tuple[RequestedNetwork, ...] | None = ()
    security_group_ids: tuple[str, ...] = ()
    block_devices: tuple[BlockDevice, ...] = ()
    files: tuple[InjectedFile, ...] = ()
    admin_password: str | None = None


class Delete(msgspec.Struct, frozen=True):
    """Remove the guest and all that was taken for it. `forced`: also out of any soft deletion."""

    forced: bool = False


class AttachInterface(msgspec.Struct, frozen=True):
    """Give a running server one more card."""

    network: RequestedNetwork
    security_group_ids: tuple[str, ...] = ()


class DetachInterface(msgspec.Struct, frozen=True):
    """Take a card away; the port too when we made it."""

    port_id: str


BUILD: Final = "build"
DELETE: Final = "delete"
START: Final = "start"
STOP: Final = "stop"
REBOOT_SOFT: Final = "reboot_soft"
REBOOT_HARD: Final = "reboot_hard"
PAUSE: Final = "pause"
UNPAUSE: Final = "unpause"
SUSPEND: Final = "suspend"
RESUME: Final = "resume"
ATTACH_INTERFACE: Final = "attach_interface"
DETACH_INTERFACE: Final = "detach_interface"

PAYLOADS: dict[str, type[msgspec.Struct]] = {
    BUILD: Build,
    DELETE: Delete,
    START: Nothing,
    STOP: Nothing,
    REBOOT_SOFT: Nothing,
    REBOOT_HARD: Nothing,
    PAUSE: Nothing,
    UNPAUSE: Nothing,
    SUSPEND: Nothing,
    RESUME: Nothing,
    ATTACH_INTERFACE: AttachInterface,
    DETACH_INTERFACE: DetachInterface,
}
"""Kinds are the names of rows in `states.ROWS`, and `build`."""

ACTION_WORDS: dict[str, str] = {BUILD: "create"}
"""What the list of instance actions calls a kind that has no row in the table of states."""
