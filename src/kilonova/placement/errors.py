"""What Placement refuses, with upstream's status and code. Some phrases are matched by Nova and are kept (marked)."""

from __future__ import annotations

from kilonova.kernel.errors import BadRequest, Conflict, NotFound

CONCURRENT_UPDATE = "placement.concurrent_update"
INVENTORY_IN_USE = "placement.inventory.inuse"
DUPLICATE_NAME = "placement.duplicate_name"


class NoSuchProvider(NotFound):
    text = "No resource provider with uuid {uuid} found."


class NoSuchInventory(NotFound):
    text = "Resource provider {provider} has no inventory of class {resource_class}."


class NoSuchClass(NotFound):
    text = "No such resource class: {name}."


class NoSuchTrait(NotFound):
    text = "No such trait(s): {names}."


class NoAllocations(NotFound):
    text = "Consumer {consumer} has no allocations."


class UnknownClass(BadRequest):
    text = "Invalid resource class in the request: no such resource class {names}."


class UnknownTraits(BadRequest):
    text = "No such trait(s): {names}. Create custom traits with PUT /traits/NAME first."


class UnknownProvider(BadRequest):
    code = "placement.resource_provider.not_found"
    text = "The request names resource provider {uuid}, which does not exist."


class AllocationOnUnknownProvider(BadRequest):
    text = "Allocation for resource provider {uuid} that does not exist."


class BadQuery(BadRequest):
    text = "Invalid query string parameters: {why}"


class BadQueryValue(BadQuery):
    code = "placement.query.bad_value"


class MissingQueryValue(BadQuery):
    code = "placement.query.missing_value"


class RepeatedQueryKey(BadQuery):
    code = "placement.query.duplicate_key"


class BadParent(BadRequest):
    text = "Unable to set the parent of resource provider {uuid}: {why}"


class BadCapacity(BadRequest):
    text = (
        "Invalid inventory for '{resource_class}' on resource provider '{provider}': "
        "the reserved value {reserved} must be {relation} the total {total}."
    )


class StandardName(BadRequest):
    text = "{name} is a standard {what}: only names that begin with CUSTOM_ can be changed."


class BadCustomName(BadRequest):
    text = "{name!r} is no valid custom {what}: CUSTOM_ followed by A-Z, 0-9 and _, at most 255 characters."


class BadConsumer(BadRequest):
    text = "Malformed consumer_uuid: {uuid!r} is not a UUID."


class NameTaken(Conflict):
    text = "The {what} {name} exists already."


class ProviderTaken(Conflict):
    code = DUPLICATE_NAME
    text = "Conflicting resource provider {which} already exists."


class NameInUse(Conflict):
    text = "The {what} {name} is in use by a resource provider."


class ProviderHasAllocations(Conflict):
    code = "placement.resource_provider.inuse"
    text = "Unable to delete resource provider {uuid}: it has allocations."


class ProviderHasChildren(Conflict):
    code = "placement.resource_provider.cannot_delete_parent"
    text = "Unable to delete parent resource provider {uuid}: it has child resource providers."


class ProviderGenerationConflict(Conflict):
    """Nova looks for the first four words."""

    code = CONCURRENT_UPDATE
    text = "resource provider generation conflict: {uuid} has changed since you read it; read it again and retry."


class ConsumerGenerationConflict(Conflict):
    """Nova looks for the first three words."""

    code = CONCURRENT_UPDATE
    text = "consumer generation conflict - {consumer} is at generation {actual}, the request expects {given}."


class ChangedMeanwhile(Conflict):
    """Another request won the race between our reading and our writing. Retried by the service before it is told."""

    code = CONCURRENT_UPDATE
    text = "Inventory and/or allocations changed while attempting to allocate: {what} was changed; retry."


class InventoryExists(Conflict):
    code = CONCURRENT_UPDATE
    text = "Resource provider {provider} has an inventory of class {resource_class} already."


class InventoryInUse(Conflict):
    """Nova looks for this sentence."""

    code = INVENTORY_IN_USE
    text = "Inventory for '{resource_classes}' on resource provider '{provider}' in use."


class OneInventoryInUse(InventoryInUse):
    """Deleting a single inventory: upstream gives the code of a race here."""

    code = CONCURRENT_UPDATE


class DoesNotFit(Conflict):
    text = "Unable to allocate inventory: {why}"
