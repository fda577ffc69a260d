"""Logs: one line a message, with the request's id."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.kernel import log


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = before
    root.setLevel(level)


def test_a_name_with_line_breaks_stays_in_its_line(root: logging.Logger, tmp_path: Path) -> None:
    log.set_up(file=tmp_path / "log")
    root.info("server %s is there", "a\nb\x1b[31m")
    for handler in root.handlers:
        handler.close()
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.endswith("INFO root [-] server a\\x0ab\\x1b[31m is there")
