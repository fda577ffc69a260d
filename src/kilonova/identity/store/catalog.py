"""Regions, services and endpoints; and the limits that hang on them."""

from __future__ import annotations

from sqlalchemy import select

from kilonova.identity.model.nouns import Endpoint, Limit, Region, RegisteredLimit, Service
from kilonova.identity.store.records import Records
from kilonova.identity.store.tables import endpoints, limits, regions, registered_limits, services
from kilonova.kernel.db import Transaction

REGIONS: Records[Region] = Records(regions, Region)
SERVICES: Records[Service] = Records(services, Service)
ENDPOINTS: Records[Endpoint] = Records(endpoints, Endpoint)
REGISTERED_LIMITS: Records[RegisteredLimit] = Records(registered_limits, RegisteredLimit)
LIMITS: Records[Limit] = Records(limits, Limit)


async def has_children(tx: Transaction, region_id: str) -> bool:
    """Whether regions name it as their parent."""
    return await tx.first(select(regions.c.id).where(regions.c.parent_region_id == region_id)) is not None


async def is_used(tx: Transaction, region_id: str) -> bool:
    """Whether endpoints or registered limits are in the region."""
    for table in (endpoints, registered_limits):
        if await tx.first(select(table.c.id).where(table.c.region_id == region_id)) is not None:
            return True
    return False


async def limits_on(tx: Transaction, registered_limit_id: str) -> list[Limit]:
    """Limits that replace the default of a registered limit."""
    return await LIMITS.where(tx, limits.c.registered_limit_id == registered_limit_id)
