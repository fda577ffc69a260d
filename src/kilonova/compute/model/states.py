"""The table of states: what a server rests in, is busy with, shows to its owner, and lets be asked of it.

Status is a function of (vm_state, task_state) and is never stored. Each thing that can be asked of a server
is one `Row`: the 409 checks, the policies, the words in the list of instance actions and a generated test
come from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class VmState(StrEnum):
    """The resting state of a server."""

    ACTIVE = "active"
    BUILDING = "building"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    RESCUED = "rescued"
    RESIZED = "resized"
    SOFT_DELETED = "soft-delete"
    DELETED = "deleted"
    ERROR = "error"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"


class TaskState(StrEnum):
    """What a server is busy with; None when it rests."""

    SCHEDULING = "scheduling"
    BLOCK_DEVICE_MAPPING = "block_device_mapping"
    NETWORKING = "networking"
    SPAWNING = "spawning"
    IMAGE_SNAPSHOT = "image_snapshot"
    IMAGE_SNAPSHOT_PENDING = "image_snapshot_pending"
    IMAGE_PENDING_UPLOAD = "image_pending_upload"
    IMAGE_UPLOADING = "image_uploading"
    IMAGE_BACKUP = "image_backup"
    UPDATING_PASSWORD = "updating_password"
    RESIZE_PREP = "resize_prep"
    RESIZE_MIGRATING = "resize_migrating"
    RESIZE_MIGRATED = "resize_migrated"
    RESIZE_FINISH = "resize_finish"
    RESIZE_REVERTING = "resize_reverting"
    RESIZE_CONFIRMING = "resize_confirming"
    REBOOTING = "rebooting"
    REBOOT_PENDING = "reboot_pending"
    REBOOT_STARTED = "reboot_started"
    REBOOTING_HARD = "rebooting_hard"
    REBOOT_PENDING_HARD = "reboot_pending_hard"
    REBOOT_STARTED_HARD = "reboot_started_hard"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    POWERING_OFF = "powering-off"
    POWERING_ON = "powering-on"
    RESCUING = "rescuing"
    UNRESCUING = "unrescuing"
    REBUILDING = "rebuilding"
    REBUILD_BLOCK_DEVICE_MAPPING = "rebuild_block_device_mapping"
    REBUILD_SPAWNING = "rebuild_spawning"
    MIGRATING = "migrating"
    DELETING = "deleting"
    SOFT_DELETING = "soft-deleting"
    RESTORING = "restoring"
    SHELVING = "shelving"
    SHELVING_IMAGE_PENDING_UPLOAD = "shelving_image_pending_upload"
    SHELVING_IMAGE_UPLOADING = "shelving_image_uploading"
    SHELVING_OFFLOADING = "shelving_offloading"
    UNSHELVING = "unshelving"


class PowerState(IntEnum):
    """What the hypervisor says of the guest. The gaps in the numbers are upstream's."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


V, T = VmState, TaskState

_RESIZING = dict.fromkeys((T.RESIZE_PREP, T.RESIZE_MIGRATING, T.RESIZE_MIGRATED, T.RESIZE_FINISH), "RESIZE")
_REBUILDING = dict.fromkeys((T.REBUILDING, T.REBUILD_BLOCK_DEVICE_MAPPING, T.REBUILD_SPAWNING), "REBUILD")

STATUSES: dict[VmState, tuple[str, dict[TaskState, str]]] = {
    V.ACTIVE: (
        "ACTIVE",
        {
            T.REBOOTING: "REBOOT",
            T.REBOOT_PENDING: "REBOOT",
            T.REBOOT_STARTED: "REBOOT",
            T.REBOOTING_HARD: "HARD_REBOOT",
            T.REBOOT_PENDING_HARD: "HARD_REBOOT",
            T.REBOOT_STARTED_HARD: "HARD_REBOOT",
            T.UPDATING_PASSWORD: "PASSWORD",
            T.MIGRATING: "MIGRATING",
            **_REBUILDING,
            **_RESIZING,
        },
    ),
    V.BUILDING: ("BUILD", {}),
    V.STOPPED: ("SHUTOFF", {**_RESIZING, **_REBUILDING}),
    V.RESIZED: ("VERIFY_RESIZE", {T.RESIZE_REVERTING: "REVERT_RESIZE"}),
    V.PAUSED: ("PAUSED", {T.MIGRATING: "MIGRATING"}),
    V.SUSPENDED: ("SUSPENDED", {}),
    V.RESCUED: ("RESCUE", {}),
    V.ERROR: ("ERROR", {**_REBUILDING}),
    V.DELETED: ("DELETED", {}),
    V.SOFT_DELETED: ("SOFT_DELETED", {}),
    V.SHELVED: ("SHELVED", {}),
    V.SHELVED_OFFLOADED: ("SHELVED_OFFLOADED", {}),
}
"""For each resting state: the word by itself, and the words while busy with something that shows."""

STATUS: dict[tuple[str, str | None], str] = {
    (str(vm), None if task is None else str(task)): (words.get(task, rest) if task else rest)
    for vm, (rest, words) in STATUSES.items()
    for task in (None, *TaskState)
}
"""All 516 pairs, keyed by plain strings as they are stored."""


def status_of(vm_state: str | None, task_state: str | None) -> str:
    """The word that the owner sees; UNKNOWN for a pair that no table row can hold."""
    return STATUS.get((vm_state or "", task_state), "UNKNOWN")


def pairs_of(statuses: Iterable[str]) -> list[tuple[str, frozenset[str | None]]]:
    """For each vm_state that these words touch, the task_states (None included) with which it shows them.

    Words are compared without regard to case, as upstream does. Unknown words stand for nothing.
    """
    wanted = {word.upper() for word in statuses}
    return [
        (str(vm), tasks)
        for vm in VmState
        if (tasks := frozenset(t for (v, t), word in STATUS.items() if v == vm and word in wanted))
    ]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that can be asked of a server.

    `allowed_in`: vm_states, None for any. `while_busy_with`: task_states, None for any; (None,) at rest only.
    `leads_to`: the task_state set in the transaction that accepts it; None leaves it. `policy`: the rule's
    name without the service's prefix. `action` is the word in the list of instance actions ("" where nothing
    is written there), `event` the name of its event there.
    """

    name: str
    allowed_in: tuple[VmState, ...] | None
    leads_to: TaskState | None
    policy: str
    action: str = ""
    event: str = ""
    while_busy_with: tuple[TaskState | None, ...] | None = (None,)
    must_have_launched: bool = True
    minds_the_lock: bool = True
    needs_host: bool = False


_SNAPSHOTTABLE = (V.ACTIVE, V.STOPPED, V.PAUSED, V.SUSPENDED)
_HARD_REBOOT_WHILE = (
    None,
    T.REBOOTING,
    T.REBOOT_PENDING,
    T.REBOOT_STARTED,
    T.REBOOTING_HARD,
    T.RESUMING,
    T.UNPAUSING,
    T.PAUSING,
    T.SUSPENDING,
)
_NOT_BEING_DELETED = (None, *(t for t in T if t not in (T.DELETING, T.MIGRATING)))

ROWS: tuple[Row, ...] = (
    # power
    Row("start", (V.STOPPED,), T.POWERING_ON, "servers:start", "start", "compute_start_instance"),
    Row("stop", (V.ACTIVE, V.ERROR), T.POWERING_OFF, "servers:stop", "stop", "compute_stop_instance"),
    Row("reboot_soft", (V.ACTIVE,), T.REBOOTING, "servers:reboot", "reboot",
        "compute_reboot_instance"),
    Row("reboot_hard", (V.ACTIVE, V.STOPPED, V.PAUSED, V.SUSPENDED, V.ERROR), T.REBOOTING_HARD,
        "servers:reboot", "reboot", "compute_reboot_instance", while_busy_with=_HARD_REBOOT_WHILE),
    Row("pause", (V.ACTIVE,), T.PAUSING, "os-pause-server:pause", "pause", "compute_pause_instance"),
    Row("unpause", (V.PAUSED,), T.UNPAUSING, "os-pause-server:unpause", "unpause",
        "compute_unpause_instance"),
    Row("suspend", (V.ACTIVE,), T.SUSPENDING, "os-suspend-server:suspend", "suspend",
        "compute_suspend_instance"),
    Row("resume", (V.SUSPENDED,), T.RESUMING, "os-suspend-server:resume", "resume",
        "compute_resume_instance"),
    # life and death
    Row("delete", None, T.DELETING, "servers:delete", "delete", "compute_terminate_instance",
        while_busy_with=None, must_have_launched=False),
    Row("force_delete", None, T.DELETING, "os-deferred-delete:force", "delete",
        "compute_terminate_instance", while_busy_with=None, must_have_launched=False),
    Row("restore", (V.SOFT_DELETED,), T.RESTORING, "os-deferred-delete:restore", "restore",
        "compute_restore_instance"),
    # disks
    Row("rebuild", (V.ACTIVE, V.STOPPED, V.ERROR), T.REBUILDING, "servers:rebuild", "rebuild",
        "compute_rebuild_instance"),
    Row("rescue", (V.ACTIVE, V.STOPPED, V.ERROR), T.RESCUING, "os-rescue", "rescue",
        "compute_rescue_instance"),
    Row("unrescue", (V.RESCUED,), T.UNRESCUING, "os-unrescue", "unrescue",
        "compute_unrescue_instance"),
    Row("create_image", _SNAPSHOTTABLE, T.IMAGE_SNAPSHOT_PENDING, "servers:create_image",
        "createImage", "compute_snapshot_instance"),
    Row("create_backup", _SNAPSHOTTABLE, T.IMAGE_BACKUP, "os-create-backup", "backup",
        "compute_backup_instance"),
    # size and place
    Row("resize", (V.ACTIVE, V.STOPPED), T.RESIZE_PREP, "servers:resize", "resize",
        "compute_prep_resize"),
    Row("confirm_resize", (V.RESIZED,), None, "servers:confirm_resize", "confirmResize",
        "compute_confirm_resize"),
    Row("revert_resize", (V.RESIZED,), T.RESIZE_REVERTING, "servers:revert_resize", "revertResize",
        "compute_revert_resize"),
    Row("migrate", (V.ACTIVE, V.STOPPED), T.RESIZE_PREP, "os-migrate-server:migrate", "migrate",
        "compute_prep_resize"),
    Row("live_migrate", (V.ACTIVE, V.PAUSED), T.MIGRATING, "os-migrate-server:migrate_live",
        "live-migration", "compute_live_migration"),
    Row("evacuate", (V.ACTIVE, V.STOPPED, V.ERROR), T.REBUILDING, "os-evacuate", "evacuate",
        "compute_rebuild_instance", while_busy_with=None),
    Row("shelve", _SNAPSHOTTABLE, T.SHELVING, "os-shelve:shelve", "shelve",
        "compute_shelve_instance"),
    Row("shelve_offload", (V.SHELVED,), T.SHELVING_OFFLOADING, "os-shelve:shelve_offload",
        "shelveOffload", "compute_shelve_offload_instance"),
    Row("unshelve", (V.SHELVED, V.SHELVED_OFFLOADED), T.UNSHELVING, "os-shelve:unshelve",
        "unshelve", "compute_unshelve_instance"),
    # what the guest is told
    Row("change_password", (V.ACTIVE,), T.UPDATING_PASSWORD, "os-admin-password", "changePassword",
        "compute_set_admin_password"),
    Row("trigger_crash_dump", (V.ACTIVE, V.PAUSED, V.RESCUED, V.RESIZED, V.ERROR), None,
        "servers:trigger_crash_dump", "trigger_crash_dump", "compute_trigger_crash_dump"),
    # devices
    Row("attach_interface", (V.ACTIVE, V.PAUSED, V.STOPPED), None, "os-attach-interfaces:create",
        "attach_interface", "compute_attach_interface"),
    Row("detach_interface", (V.ACTIVE, V.PAUSED, V.STOPPED), None, "os-attach-interfaces:delete",
        "detach_interface", "compute_detach_interface"),
    # no change on any host
    Row("lock", None, None, "os-lock-server:lock", "lock", "api_lock", while_busy_with=None,
        must_have_launched=False, minds_the_lock=False),
    Row("unlock", None, None, "os-lock-server:unlock", "unlock", "api_unlock", while_busy_with=None,
        must_have_launched=False, minds_the_lock=False),
    Row("reset_state", None, None, "os-admin-actions:reset_state", while_busy_with=None,
        must_have_launched=False, minds_the_lock=False),
    Row("update_metadata", _SNAPSHOTTABLE, None, "server-metadata:update", while_busy_with=None,
        must_have_launched=True),
    Row("update_tags", _SNAPSHOTTABLE, None, "os-server-tags:update", while_busy_with=None,
        must_have_launched=False, minds_the_lock=False),
    Row("change_security_groups", None, None, "os-security-groups:add", while_busy_with=None,
        must_have_launched=False),
    # only looking
    Row("console_output", None, None, "os-console-output", while_busy_with=None,
        must_have_launched=False, minds_the_lock=False, needs_host=True),
    Row("open_console", None, None, "os-remote-consoles", while_busy_with=_NOT_BEING_DELETED,
        must_have_launched=False, minds_the_lock=False, needs_host=True),
    Row("diagnostics", None, None, "os-server-diagnostics", while_busy_with=None,
        must_have_launched=False, minds_the_lock=False, needs_host=True),
)  # fmt: skip

ROW: dict[str, Row] = {row.name: row for row in ROWS}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row does not allow something now: the attribute that stands in the way, and its value."""

    attribute: str
    value: str


def refusal(row: Row, *, vm_state: str, task_state: str | None, launched: bool, placed: bool) -> Refusal | None:
    """None where the action may be taken by a server in this state; the lock is looked at by the caller."""
    if row.allowed_in is not None and vm_state not in row.allowed_in:
        return Refusal("vm_state", vm_state)
    if row.while_busy_with is not None and task_state not in row.while_busy_with:
        return Refusal("task_state", str(task_state))
    if row.must_have_launched and not launched:
        return Refusal("launched_at", "never")
    if row.needs_host and not placed:
        return Refusal("host", "none")
    return None
