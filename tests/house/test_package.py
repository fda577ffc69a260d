"""What `pip install` of a built package would put in place is all that lies in the source tree."""

from __future__ import annotations

import pytest

from tests.house.sources import ROOT, SOURCE


def test_a_wheel_holds_every_file_of_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    setuptools = pytest.importorskip("setuptools", minversion="77", reason="setuptools 77 builds the package")
    from setuptools.config.pyprojecttoml import apply_configuration

    monkeypatch.chdir(ROOT)
    wheel = setuptools.Distribution({"script_name": "setup.py"})
    apply_configuration(wheel, "pyproject.toml")
    command = wheel.get_command_obj("build_py")
    command.build_lib = "build"
    command.ensure_finalized()
    packed = {path.removeprefix("build/kilonova/") for path in command.get_outputs(include_bytecode=False)}
    there = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert there - packed == set()
