"""The version document. Its link is empty on purpose: clients read it as "here", whatever proxy they came through."""

from __future__ import annotations

from kilonova.kernel.web import Response, answer
from kilonova.placement.microversions import SPOKEN
from kilonova.placement.parts import Asked


async def show_versions(request: Asked) -> Response:
    """The one version there is, with its microversions."""
    version = {
        "id": f"v{SPOKEN.min}",
        "max_version": str(SPOKEN.max),
        "min_version": str(SPOKEN.min),
        "status": "CURRENT",
        "links": [{"rel": "self", "href": ""}],
    }
    return answer({"versions": [version]})
