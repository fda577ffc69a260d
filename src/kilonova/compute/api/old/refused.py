"""What another service refused, as compute used to say it."""

from __future__ import annotations

from kilonova.clients.image import ImageRefused
from kilonova.clients.network import NetworkRefused
from kilonova.kernel.errors import BadRequest, Error, Forbidden, NotFound


def as_ours(refused: NetworkRefused | ImageRefused) -> Error:
    """404 stays; 403 and a spent quota are 403; a conflict was bad input in the old API, like all the rest."""
    if refused.status == 404:
        return NotFound(str(refused))
    if refused.status == 403 or (isinstance(refused, NetworkRefused) and refused.type == "OverQuota"):
        return Forbidden(str(refused))
    return BadRequest(str(refused))
