"""Events that neighbours tell us: a network changed, a card was plugged, a volume grew."""

from __future__ import annotations

from typing import Any

from kilonova.compute.api.network_cache import refresh
from kilonova.compute.api.parts import ComputeRequest
from kilonova.compute.api.values import UUID, closed
from kilonova.compute.microversions import v
from kilonova.compute.store import servers
from kilonova.kernel.errors import NotFound
from kilonova.kernel.web import Response, answer

_NETWORK = ("network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted")
_OTHERS = ((51, "volume-extended"), (76, "power-update"), (82, "accelerator-request-bound"), (93, "volume-reimaged"))
_PLUGGING = frozenset(("network-vif-plugged", "network-vif-unplugged"))
_MOST = 1000


def _schema(minor: int) -> dict[str, Any]:
    names = [*_NETWORK, *(name for since, name in _OTHERS if minor >= since)]
    one = closed(
        {
            "server_uuid": UUID,
            "name": {"type": "string", "enum": names},
            "status": {"type": "string", "enum": ["failed", "completed", "in-progress"]},
            "tag": {"type": "string", "maxLength": 255},
        },
        "server_uuid",
        "name",
    )
    return closed({"events": {"type": "array", "minItems": 1, "maxItems": _MOST, "items": one}}, "events")


_STEPS = (1, *(since for since, _ in _OTHERS))
CREATE = tuple(
    (v(minor), v(until - 1) if until else None, _schema(minor))
    for minor, until in zip(_STEPS, (*_STEPS[1:], None), strict=True)
)


async def take_events(request: ComputeRequest) -> Response:
    """POST /os-server-external-events

    Each event is answered with a code of its own: 200, 404 for a server that is not, 422 for one on no host.
    """
    events: list[dict[str, Any]] = request.body["events"]
    ids = list(dict.fromkeys(event["server_uuid"] for event in events))
    async with request.service.db.read() as tx:
        rows = {one: await servers.find(tx, one) for one in ids}
    shown, changed = [], []
    for event in events:
        row = rows[event["server_uuid"]]
        code = 404 if row is None else 422 if row.host is None else 200
        if code == 200:
            changed.append(event)
        shown.append(
            {
                "name": event["name"],
                "server_uuid": event["server_uuid"],
                "status": "failed" if code != 200 else event.get("status", "completed"),
                "code": code,
                **({"tag": event["tag"]} if "tag" in event else {}),
            }
        )
    if not changed:
        raise NotFound("No instances found for any event")
    for server_id in dict.fromkeys(e["server_uuid"] for e in changed if e["name"] in _NETWORK):
        named = {e["name"] for e in changed if e["server_uuid"] == server_id}
        await refresh(request, server_id, names_and_floating=not named <= _PLUGGING)
    return answer({"events": shown}, 200 if len(changed) == len(events) else 207)
