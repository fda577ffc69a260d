"""The product's source files, as the tests of the house read them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "kilonova"
SERVICES = ("identity", "placement", "image", "network", "compute")


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the product by its path below ``src/kilonova``."""
    return {str(path.relative_to(SOURCE)): ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}
