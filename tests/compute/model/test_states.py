"""The table of states, walked through whole: every pair has a word, every action is asked in every state."""

from __future__ import annotations

import pytest

from kilonova.compute.model.operations import BUILD, PAYLOADS
from kilonova.compute.model.states import (
    ROW,
    ROWS,
    STATUS,
    TaskState,
    VmState,
    pairs_of,
    refusal,
    status_of,
)
from kilonova.compute.policies import RULES, full_name


def test_every_pair_of_states_has_a_word() -> None:
    assert (len(VmState), len(TaskState)) == (12, 42)
    assert len(STATUS) == 12 * 43 == 516
    assert set(STATUS.values()) == {
        "ACTIVE",
        "BUILD",
        "DELETED",
        "ERROR",
        "HARD_REBOOT",
        "MIGRATING",
        "PASSWORD",
        "PAUSED",
        "REBOOT",
        "REBUILD",
        "RESCUE",
        "RESIZE",
        "REVERT_RESIZE",
        "SHELVED",
        "SHELVED_OFFLOADED",
        "SHUTOFF",
        "SOFT_DELETED",
        "SUSPENDED",
        "VERIFY_RESIZE",
    }


@pytest.mark.parametrize(
    ("vm_state", "task_state", "word"),
    [
        ("active", None, "ACTIVE"),
        ("active", "rebooting", "REBOOT"),
        ("active", "reboot_started_hard", "HARD_REBOOT"),
        ("active", "powering-off", "ACTIVE"),
        ("building", "scheduling", "BUILD"),
        ("stopped", "resize_prep", "RESIZE"),
        ("resized", "resize_reverting", "REVERT_RESIZE"),
        ("error", "rebuilding", "REBUILD"),
        ("error", "deleting", "ERROR"),
        ("paused", "migrating", "MIGRATING"),
        ("nonsense", None, "UNKNOWN"),
    ],
)
def test_words_are_upstreams(vm_state: str, task_state: str | None, word: str) -> None:
    assert status_of(vm_state, task_state) == word


def test_a_word_and_its_pairs_are_inverse() -> None:
    for word in set(STATUS.values()):
        pairs = {(vm, task) for vm, tasks in pairs_of([word.lower()]) for task in tasks}
        assert pairs == {pair for pair, is_word in STATUS.items() if is_word == word}
    assert pairs_of(["nonsense"]) == []


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_action_in_every_state(row) -> None:  # type: ignore[no-untyped-def]
    for vm_state in VmState:
        for task_state in (None, *TaskState):
            allowed = (row.allowed_in is None or vm_state in row.allowed_in) and (
                row.while_busy_with is None or task_state in row.while_busy_with
            )
            no = refusal(row, vm_state=vm_state, task_state=task_state, launched=True, placed=True)
            assert (no is None) == allowed, (row.name, vm_state, task_state)
            if no is not None:
                assert (no.attribute, no.value) in (("vm_state", vm_state), ("task_state", str(task_state)))


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_rows_are_whole(row) -> None:  # type: ignore[no-untyped-def]
    assert full_name(row.policy) in {rule.name for rule in RULES}
    assert bool(row.action) == bool(row.event), "what is in the history has an event there"
    if row.must_have_launched:
        assert refusal(
            row,
            vm_state=row.allowed_in[0] if row.allowed_in else "active",
            task_state=None,
            launched=False,
            placed=True,
        )


def test_every_operation_has_a_row_and_a_payload() -> None:
    assert set(PAYLOADS) - {BUILD} <= set(ROW)
