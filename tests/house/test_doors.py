"""Each third-party library has one door, and a top folder has a floor (ARCHITECTURE.md, invariants 1 and 6)."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "kilonova"

DOORS = {
    "starlette": ("kernel/web/", "compute/console/"),
    "uvicorn": ("allinone/", "kernel/web/"),
    "httpx": ("kernel/http/",),
    "sqlalchemy": ("kernel/db/", "kernel/tasks/", "kernel/testing/", "*/store/"),
    "alembic": ("kernel/db/", "*/store/migrations/"),
    "jsonschema_rs": ("kernel/web/", "kernel/db/patterns.py"),  # the second for its regular expressions
    "oslo_policy": ("kernel/policy.py",),
    "libvirt": ("compute/virt/libvirt/",),
    "pyroute2": ("network/agent/", "network/drivers/ovn/", "compute/virt/vif.py", "kernel/"),
    "bcrypt": ("identity/",),
    "rich": ("cli/",),
    "click": ("cli/", "*/command.py"),
    "numpy": ("placement/", "compute/scheduler/"),
    "prometheus_client": ("kernel/telemetry.py",),
}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
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
        relative
        for path in SOURCE.rglob("*.py")
        if library in _imports(path)
        and not any(_stands_in(relative := str(path.relative_to(SOURCE)), door) for door in DOORS[library])
    ]
    assert strays == []


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
    for path in SOURCE.rglob("*.py"):
        relative = str(path.relative_to(SOURCE))
        if relative in allowed or relative.startswith(("cli/", "guest_image/")):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                if name in {"datetime.now", "datetime.utcnow", "time.time", "time.monotonic"}:
                    strays.append(f"{relative}:{node.lineno} {name}")
    assert strays == []
