"""The service catalog as tokens carry it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kilonova.identity.model.nouns import Endpoint, Service


def url_for(template: str, values: Mapping[str, str | None]) -> str | None:
    """``template`` with ``$(project_id)s`` and the like filled in; None where the scope has no such value.

    Both ``$(name)s`` and ``%(name)s`` are understood, as upstream does. A template that cannot be filled (a lone
    percent sign, an unknown name) gives None too: such an endpoint is left out rather than handed out broken.
    """
    if "(" not in template:
        return template.rstrip()
    known = {name: value for name, value in values.items() if value}
    try:
        return template.replace("$(", "%(").rstrip() % known
    except (KeyError, TypeError, ValueError):
        return None


def is_valid_template(template: str) -> bool:
    """Whether ``template`` can be filled for some scope."""
    names = ("project_id", "tenant_id", "user_id", "public_bind_host", "admin_bind_host", "compute_host")
    return url_for(template, dict.fromkeys(names, "x")) is not None


def catalog(
    services: Iterable[Service], endpoints: Iterable[Endpoint], *, project_id: str | None, user_id: str
) -> list[dict[str, Any]]:
    """Enabled services, each with its enabled endpoints whose URLs can be filled for this scope."""
    values = {"project_id": project_id, "tenant_id": project_id, "user_id": user_id}
    by_service: dict[str, list[dict[str, Any]]] = {}
    for endpoint in endpoints:
        url = url_for(endpoint.url, values) if endpoint.enabled else None
        if url is not None:
            by_service.setdefault(endpoint.service_id, []).append(
                {
                    "id": endpoint.id,
                    "interface": endpoint.interface,
                    "region_id": endpoint.region_id,
                    "url": url,
                    "region": endpoint.region_id,
                }
            )
    return [
        {"endpoints": by_service.get(s.id, []), "id": s.id, "type": s.type, "name": s.name or ""}
        for s in services
        if s.enabled
    ]
