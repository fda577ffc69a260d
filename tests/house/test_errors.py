"""Every error that a caller may meet has a status of HTTP and a sentence that its facts fill."""

from __future__ import annotations

import importlib
import string
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from kilonova.kernel.errors import Error
from tests.house.sources import modules

INSIDE = ("kilonova.compute.agent.", "kilonova.compute.conductor.")
"""What goes wrong on a host or in a workflow is told in a server's fault, where 500 is upstream's word for it."""


EXTRAS = {"aio_pika", "libvirt"}
"""Libraries of optional extras: where they are not installed, the rooms behind them are not looked at."""


def _classes() -> list[type[Error]]:
    for path in modules():
        if "migrations" in path or "alembic_environment" in path or path.endswith("__main__.py"):
            continue
        try:
            importlib.import_module("kilonova." + path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        except ModuleNotFoundError as missing:
            if missing.name not in EXTRAS:
                raise
    return sorted(set(_below(Error)), key=lambda one: (one.__module__, one.__name__))


def _below(one: type[Error]) -> Iterator[type[Error]]:
    for child in one.__subclasses__():
        if child.__module__.startswith("kilonova."):
            yield child
            yield from _below(child)


CLASSES = _classes()


def test_there_are_errors_of_every_service() -> None:
    rooms = {one.__module__.split(".")[1] for one in CLASSES}
    assert rooms >= {"kernel", "identity", "placement", "image", "network", "compute"}


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: f"{one.__module__}.{one.__name__}")
def test_an_error_has_a_status_and_a_sentence(one: type[Error]) -> None:
    assert one.status in {status.value for status in HTTPStatus}
    is_ours_to_explain = one.status < 500 or one.status in (501, 502, 503, 504)
    is_the_last_resort = one.__module__ == "kilonova.kernel.web.app"
    assert is_ours_to_explain or is_the_last_resort or one.__module__.startswith(INSIDE)
    facts = {name: 12345 for _, name, _, _ in string.Formatter().parse(one.text) if name}
    sentence = one.text.format(**facts)
    assert sentence.strip()
    assert sentence.count("12345") >= len(facts)
