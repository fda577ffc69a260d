"""docs/reference is what the code says: after a change of a route, rule, option, state or workflow, `make docs`."""

from __future__ import annotations

import json

from scripts import reference


def test_the_reference_is_fresh() -> None:
    assert reference.stale() == [], "run: make docs"


def test_the_same_code_gives_the_same_pages() -> None:
    assert reference.pages() == reference.pages()


def test_every_description_is_of_openapi_3_1() -> None:
    for path, text in reference.pages().items():
        if path.startswith("openapi/"):
            document = json.loads(text)
            assert document["openapi"].startswith("3.1")
            assert document["paths"]
