"""Each third-party library has one door, and a top folder has a floor (ARCHITECTURE.md, invariants 1 and 6)."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import ROOT, SOURCE, modules

DOORS = {
    "alembic": ("kernel/db/", "*/store/migrations/"),
    "bcrypt": ("identity/",),
    "aio_pika": ("kernel/bus/amqp.py",),
    "click": ("cli/", "*/command.py"),
    "cryptography": (
        "identity/",
        "compute/model/public_keys.py",
        "cli/main_job.py",
    ),  # key pairs are made in the last two
    "httpx": ("kernel/http/",),
    "jsonschema_rs": ("kernel/web/", "kernel/db/patterns.py"),  # the second for its regular expressions
    "libvirt": ("compute/virt/libvirt/",),
    "libvirt_qemu": ("compute/virt/libvirt/",),
    "os_resource_classes": ("placement/", "compute/"),
    "os_traits": ("placement/", "compute/"),
    "oslo_config": ("kernel/", "*/config.py"),
    "oslo_policy": ("kernel/policy.py",),
    "oslo_utils": ("image/drivers/inspector.py", "compute/agent/images.py"),  # both look at images before any tool does
    "pycdlib": ("compute/agent/config_drive.py",),
    "pyroute2": ("network/agent/", "compute/virt/vif.py"),
    "rich": ("cli/",),
    "sqlalchemy": ("kernel/db/", "kernel/tasks/", "kernel/testing/", "*/store/"),
    "uvicorn": ("allinone/", "kernel/web/"),
    "uvloop": ("allinone/", "cli/"),
    "yaml": ("cli/", "kernel/policy.py"),
}
EVERYWHERE = {"msgspec"}
"""Typed values to bytes and back: part of the language here."""


def _imports(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


def _stands_in(path: str, door: str) -> bool:
    if door.startswith("*/"):
        return door[1:] in f"/{path}"
    return path.startswith(door)


@pytest.mark.parametrize("library", sorted(DOORS))
def test_a_library_is_imported_only_behind_its_door(library: str) -> None:
    strays = [
        path
        for path, module in modules().items()
        if library in _imports(module) and not any(_stands_in(path, door) for door in DOORS[library])
    ]
    assert strays == []


def test_every_library_has_a_door() -> None:
    imported = {name for module in modules().values() for name in _imports(module)}
    assert imported - set(sys.stdlib_module_names) - {"kilonova"} - EVERYWHERE <= set(DOORS)


def test_every_top_folder_has_a_floor() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = {name.strip().removeprefix("kilonova.") for row in contracts[0]["layers"] for name in row.split("|")}
    folders = {p.parent.name for p in SOURCE.glob("*/__init__.py")}
    assert folders <= floors


def test_no_room_is_called_after_nothing() -> None:
    nameless = {"utils", "helpers", "common", "misc"}
    assert [str(p) for p in SOURCE.rglob("*") if p.stem in nameless] == []


def test_the_time_is_read_in_one_place() -> None:
    allowed = {"kernel/clock.py"}
    strays = []
    for relative, module in modules().items():
        if relative in allowed or relative.startswith(("cli/", "guest_image/")):
            continue
        for node in ast.walk(module):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                if name in {"datetime.now", "datetime.utcnow", "time.time", "time.monotonic"}:
                    strays.append(f"{relative}:{node.lineno} {name}")
    assert strays == []


def test_the_contracts_between_floors_and_rooms_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
