"""Durable work: the journal of operations, the workflows that carry them out, and the sweeps that repair."""

from kilonova.kernel.tasks.journal import (
    OPEN,
    Cancelled,
    Journal,
    Lease,
    LeaseLost,
    Operation,
    operations_table,
)
from kilonova.kernel.tasks.sweep import Finding, Sweep, Sweeper
from kilonova.kernel.tasks.worker import Worker
from kilonova.kernel.tasks.workflow import Failure, StartOver, Step, Work, Workflow, carry_out

__all__ = [
    "OPEN",
    "Cancelled",
    "Failure",
    "Finding",
    "Journal",
    "Lease",
    "LeaseLost",
    "Operation",
    "StartOver",
    "Step",
    "Sweep",
    "Sweeper",
    "Work",
    "Worker",
    "Workflow",
    "carry_out",
    "operations_table",
]
