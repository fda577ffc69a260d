"""What can go wrong in compute, each with its status and a sentence that says what to change."""

from __future__ import annotations

from kilonova.kernel import errors


class ServerNotFound(errors.NotFound):
    text = "Instance {id} could not be found."


class FlavorNotFound(errors.NotFound):
    text = "Flavor {id} could not be found."


class FlavorUnknown(errors.BadRequest):
    text = "Flavor {id} could not be found: name one that you may use."


class FlavorExists(errors.Conflict):
    text = "A flavor with the {what} {value} exists already."


class FlavorAccessNotFound(errors.NotFound):
    text = "Project {project_id} has no access to flavor {id} that could be taken away."


class FlavorAccessExists(errors.Conflict):
    text = "Project {project_id} has access to flavor {id} already."


class ExtraSpecNotFound(errors.NotFound):
    text = "Flavor {id} has no extra spec {key}."


class KeypairNotFound(errors.NotFound):
    text = "Keypair {name} not found for user {user_id}."


class KeypairUnknown(errors.BadRequest):
    text = "Key pair {name} of user {user_id} does not exist: create or import it first."


class KeypairExists(errors.Conflict):
    text = "Key pair {name} already exists."


class BadPublicKey(errors.BadRequest):
    text = "The public key cannot be read: {why}."


class AggregateNotFound(errors.NotFound):
    text = "Aggregate {id} could not be found."


class AggregateHostNotFound(errors.NotFound):
    text = "Aggregate {id} has no host {host}."


class AggregateExists(errors.Conflict):
    text = "An aggregate named {name} exists already."


class AggregateHostExists(errors.Conflict):
    text = "Aggregate {id} has host {host} already."


class AggregateHasHosts(errors.BadRequest):
    text = "Aggregate {id} still has hosts; remove them first."


class HostInAnotherZone(errors.Conflict):
    text = "Host {host} is in availability zone {zone} already; a host can be in one zone only."


class HostHasServers(errors.Conflict):
    text = "Host {host} has servers, so its availability zone cannot change; move or delete them first."


class HostNotFound(errors.NotFound):
    text = "Compute host {host} could not be found."


class NotAbleOnHost(errors.NotImplementedHere):
    text = "The hypervisor of host {host} cannot do this; use the host's own means, or disable its service."


class HostUnknown(errors.BadRequest):
    text = "Compute host {host} could not be found: name one from the list of hypervisors."


class ServiceNotFound(errors.NotFound):
    text = "Service {id} could not be found."


class ServiceHasServers(errors.Conflict):
    text = "Host {host} still has servers; move or delete them before its service is deleted."


class ZoneUnknown(errors.BadRequest):
    text = "The requested availability zone is not available: no host is in zone {zone}."


class GroupNotFound(errors.NotFound):
    text = "Server group {id} could not be found."


class GroupUnknown(errors.BadRequest):
    text = "Server group {id} could not be found: name one of your project."


class ImageUnknown(errors.BadRequest):
    text = "Can not find requested image {id}: name one that you can see."


class ImageNotActive(errors.BadRequest):
    text = "Image {id} is not active (it is {status}), so no server can be made from it."


class FlavorTooSmall(errors.BadRequest):
    text = "Flavor {flavor} has {has} {unit} of {what}, the image needs {needs}: choose a larger flavor."


class NetworkUnknown(errors.BadRequest):
    text = "Network {id} could not be found: name one that you can see."


class PortUnknown(errors.BadRequest):
    text = "Port {id} could not be found: name one of your project."


class PortInUse(errors.Conflict):
    text = "Port {id} is in use by {device}; detach it there first."


class NetworkAmbiguous(errors.Conflict):
    text = "More than one network could be meant ({count}): name the networks, or ask for none."


class NetworkNeedsSubnet(errors.BadRequest):
    text = "Network {id} has no subnet, so a server on it would have no address: add a subnet, or name a port."


class SecurityGroupUnknown(errors.BadRequest):
    text = "Security group {name} not found for project {project_id}."


class SecurityGroupAmbiguous(errors.Conflict):
    text = "More than one security group is named {name}: give its id."


class NotBuiltYet(errors.BadRequest):
    text = "{what} cannot be asked for in this cloud yet."


class WrongState(errors.Conflict):
    text = "Cannot '{action}' instance {id} while it is in {attribute} {value}"


class NeverLaunched(errors.Conflict):
    text = "Cannot '{action}' instance {id}: it was never active."


class NotReady(errors.Conflict):
    text = "Instance {id} is on no host yet; try again when it is."


class ServerLocked(errors.Conflict):
    text = "Instance {id} is locked"


class HostDown(errors.ServiceUnavailable):
    text = "The host of instance {id} does not answer now; try again later."


class CannotHere(errors.Conflict):
    text = "Instance {id} does not allow this: {why}."


class QuotaExceeded(errors.Forbidden):
    text = "Quota exceeded for {what}: Requested {asked}, but already used {used} of {limit} {what}"


class PortQuotaExceeded(errors.Forbidden):
    text = "Quota exceeded for ports: {needs} are needed, there is room for {room}: delete some or ask for more."


class QuotaLimitTooLow(errors.BadRequest):
    text = "Quota limit {limit} for {resource} must be in the range of {low} and {high}."


class MarkerUnknown(errors.BadRequest):
    text = "marker [{marker}] not found"


class BadValue(errors.BadRequest):
    text = "Invalid input for field/attribute {field}. Value: {value}. {why}"


class MetadataItemNotFound(errors.NotFound):
    text = "Metadata item {key} was not found"


class TagNotFound(errors.NotFound):
    text = "Server {id} has no tag '{tag}'"


class TooManyTags(errors.BadRequest):
    text = "The number of tags exceeded the per-server limit {limit}"


class ActionNotFound(errors.NotFound):
    text = "Action for request_id {request_id} on instance {id} not found"


class InterfaceNotFound(errors.NotFound):
    text = "Instance {id} has no interface with port {port_id}."


class WrongProject(errors.BadRequest):
    text = "Malformed request URL: URL's project_id '{url}' doesn't match Context's project_id '{context}'"


class NoSuchResourceAnyMore(errors.Gone):
    text = "This part of the API was removed; it answers nothing in any microversion."
