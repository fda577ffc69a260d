"""Flavors on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kilonova.compute.api.links import links
from kilonova.compute.microversions import v
from kilonova.compute.policies import PREFIX
from kilonova.kernel.db import Row
from kilonova.kernel.web import Field, FieldTable

Base = tuple[str, str]

SPECS_RULE = PREFIX + "os-flavor-extra-specs:index"


class FlavorView:
    """A flavor's row, and what links begin with."""

    __slots__ = ("base", "row")

    def __init__(self, row: Row[Any], base: Base):
        self.row, self.base = row, base


def _column(name: str) -> Callable[[FlavorView], Any]:
    return lambda view: getattr(view.row, name)


_NAMED = (
    Field("id", _column("flavor_id")),
    Field("name", _column("name")),
    Field("links", lambda view: links(view.base, "flavors", view.row.flavor_id)),
    Field("description", _column("description"), since=v(55)),
)

FLAVOR_BRIEF = FieldTable(*_NAMED)

FLAVOR = FieldTable(
    *_NAMED,
    Field("ram", _column("ram_mib")),
    Field("disk", _column("disk_gib")),
    Field("vcpus", _column("vcpus")),
    Field("swap", lambda view: view.row.swap_mib or "", until=v(74)),
    Field("swap", _column("swap_mib"), since=v(75)),
    Field("os-flavor-access:is_public", _column("is_public")),
    Field("OS-FLV-EXT-DATA:ephemeral", _column("ephemeral_gib")),
    Field("OS-FLV-DISABLED:disabled", _column("disabled"), until=v(101)),
    Field("rxtx_factor", _column("rxtx_factor"), until=v(101)),
    Field("extra_specs", _column("extra_specs"), since=v(61), policy=SPECS_RULE),
)
