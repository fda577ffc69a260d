"""Requests and answers as data: each file in ``stories/`` is one story, its steps run in order on a fresh service.

A step: ``do`` (method and path), ``version`` (default: the newest), ``as`` (token, default admin), ``body``;
expected: ``status``, ``shows`` (what the JSON must contain: objects by subset, lists whole), ``is`` (the whole JSON),
``lacks`` (names the top object must not have), ``code`` (of the error), ``headers`` (regular expressions; null:
absent).
``<name>`` anywhere is a UUID made from the name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.placement.make import LATEST, cloud, uid

STORIES = sorted((Path(__file__).parent / "stories").glob("*.yaml"))


def read(story: Path) -> list[dict[str, Any]]:
    text = re.sub(r"<([a-z0-9-]+)>", lambda found: uid(found[1]), story.read_text())
    return list(yaml.safe_load(text))


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
async def test_story(story: Path) -> None:
    here = await cloud()
    for number, step in enumerate(read(story), 1):
        method, path = step["do"].split(" ", 1)
        where = f"{story.stem} step {number}: {step['do'][:90]}"
        got = await here.send(
            method, path, step.get("body"), version=str(step.get("version", LATEST)), token=step.get("as", "admin")
        )
        assert got.status == step["status"], f"{where}: {got.status} {got.body.decode()[:500]}"
        assert contains(got.json, step.get("shows")), f"{where}: {got.json}"
        if "is" in step:
            assert got.json == step["is"], where
        for name in step.get("lacks", ()):
            assert name not in got.json, f"{where}: has {name}"
        if "code" in step:
            assert got.json["errors"][0]["code"] == step["code"], f"{where}: {got.json}"
        if got.status >= 400 and got.status != 401:
            error = got.json["errors"][0]
            assert error["status"] == got.status, where
            assert error["request_id"].startswith("req-"), where
        for name, pattern in step.get("headers", {}).items():
            value = got.headers.get(name)
            assert (value is None) if pattern is None else (value and re.search(pattern, value)), f"{where}: {value}"


def contains(got: Any, wanted: Any) -> bool:
    """Whether ``got`` has all of ``wanted``."""
    if wanted is None:
        return True
    if isinstance(wanted, dict):
        return isinstance(got, dict) and all(k in got and equals(got[k], v) for k, v in wanted.items())
    return bool(got == wanted)


def equals(got: Any, wanted: Any) -> bool:
    return contains(got, wanted) if isinstance(wanted, dict) else bool(got == wanted)
