"""What aggregates ask of the servers that come onto their hosts."""

from __future__ import annotations

from kilonova.compute.calls import PlacementAsk
from kilonova.compute.scheduler.hosts import HostView
from kilonova.compute.scheduler.limits import Limits
from kilonova.compute.scheduler.matching import matches
from kilonova.compute.scheduler.refusal import No

_SCOPE = "aggregate_instance_extra_specs:"


def has_the_extra_specs_of_an_aggregate(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    """Each extra spec (scoped, or without a scope) must be met by the metadata of some aggregate of the
    host.
    """
    for key, wants in ask.flavor.extra_specs.items():
        if key.startswith(_SCOPE):
            name = key.removeprefix(_SCOPE)
        elif ":" in key:
            continue
        else:
            name = key
        values = [value for value in (a.get(name) for a in host.aggregates) if value is not None]
        if not any(matches(one.strip(), wants) for value in values for one in value.split(",")):
            return No(f"are in no aggregate with {name} {wants}")
    return None


def is_open_to_project(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    """An aggregate with ``filter_tenant_id`` (also with a suffix) takes only these projects."""
    allowed: set[str] = set()
    for metadata in host.aggregates:
        for key, value in metadata.items():
            if key.startswith("filter_tenant_id"):
                allowed |= {one.strip() for one in value.split(",")}
    if not allowed or ask.project_id in allowed:
        return None
    return No("are kept for other projects")


def has_the_image_properties_of_an_aggregate(host: HostView, ask: PlacementAsk, limits: Limits) -> No | None:
    """Where an aggregate and the image both name a property, its value must be one of the aggregate's."""
    for metadata in host.aggregates:
        for key, value in metadata.items():
            wants = ask.image.properties.get(key)
            if wants is None:
                continue
            if limits.isolation_namespace and not key.startswith(
                limits.isolation_namespace + limits.isolation_separator
            ):
                continue
            if wants not in {one.strip() for one in value.split(",")}:
                return No(f"are kept for images with another {key}")
    return None
