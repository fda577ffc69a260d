"""The network service's errors: status, the name clients look for, and a sentence for the reader.

The class name is the ``type`` on the wire, as upstream's plugins name them; clients branch on these names.
"""

from __future__ import annotations

from kilonova.kernel import errors


class HTTPBadRequest(errors.BadRequest):
    text = "{reason}"


class PolicyNotAuthorized(errors.Forbidden):
    text = "{rule} is disallowed by policy."


class HTTPNotFound(errors.NotFound):
    text = "The resource could not be found."


class RevisionNumberConstraintFailed(errors.PreconditionFailed):
    text = "The request expects revision {expected}, but the current revision is {current}."


# --- not found --------------------------------------------------------------------------------------------


class NetworkNotFound(errors.NotFound):
    text = "Network {id} could not be found."


class SubnetNotFound(errors.NotFound):
    text = "Subnet {id} could not be found."


class SubnetPoolNotFound(errors.NotFound):
    text = "Subnet pool {id} could not be found."


class PortNotFound(errors.NotFound):
    text = "Port {id} could not be found."


class PortBindingNotFound(errors.NotFound):
    text = "Binding for port {port_id} on host {host} could not be found."


class RouterNotFound(errors.NotFound):
    text = "Router {id} could not be found."


class RouterInterfaceNotFound(errors.NotFound):
    text = "Router {router_id} does not have an interface with id {port_id}."


class RouterInterfaceNotFoundForSubnet(errors.NotFound):
    text = "Router {router_id} has no interface on subnet {subnet_id}."


class FloatingIPNotFound(errors.NotFound):
    text = "Floating IP {id} could not be found."


class ExternalGatewayForFloatingIPNotFound(errors.NotFound):
    text = (
        "External network {network_id} is not reachable from subnet {subnet_id}; no router joins them, so port "
        "{port_id} cannot get a floating IP from it."
    )


class SecurityGroupNotFound(errors.NotFound):
    text = "Security group {id} does not exist."


class SecurityGroupRuleNotFound(errors.NotFound):
    text = "Security group rule {id} does not exist."


class RbacPolicyNotFound(errors.NotFound):
    text = "RBAC policy {id} could not be found."


class AgentNotFound(errors.NotFound):
    text = "Agent {id} could not be found."


class ExtensionNotFound(errors.NotFound):
    text = "Extension with alias {alias} does not exist."


class TagNotFound(errors.NotFound):
    text = "Tag {tag} could not be found."


class TenantQuotaNotFound(errors.NotFound):
    text = "Quota for project {project_id} could not be found."


# --- conflicts --------------------------------------------------------------------------------------------


class NetworkInUse(errors.Conflict):
    text = "Unable to complete operation on network {id}. There are one or more ports still in use on the network."


class SubnetInUse(errors.Conflict):
    text = "Unable to complete operation on subnet {id}: {reason}"


class SubnetPoolInUse(errors.BadRequest):
    text = "Unable to complete operation on subnet pool {id}: subnets were allocated from it."
    code = "SubnetPoolDeleteError"


class PortInUse(errors.Conflict):
    text = (
        "Unable to complete operation on port {port_id} for network {network_id}. Port already has an attached "
        "device {device_id}."
    )


class ServicePortInUse(errors.Conflict):
    text = "Port {port_id} cannot be deleted directly via the port API: {reason}."


class PortBindingAlreadyActive(errors.Conflict):
    text = "Binding for port {port_id} on host {host} is already active."


class PortBindingAlreadyExists(errors.Conflict):
    text = "Binding for port {port_id} on host {host} already exists."


class PortBindingError(errors.Conflict):
    text = "Binding for port {port_id} on host {host} could not be created or updated."


class MacAddressInUse(errors.Conflict):
    text = "Unable to complete operation for network {network_id}. The MAC address {mac} is in use."


class IpAddressAlreadyAllocated(errors.Conflict):
    text = "IP address {ip} already allocated in subnet {subnet_id}."


class IpAddressGenerationFailure(errors.Conflict):
    text = "No more IP addresses available on network {network_id}."


class OverlappingAllocationPools(errors.Conflict):
    text = "Found overlapping allocation pools {pool_1} {pool_2} for subnet {cidr}."


class OutOfBoundsAllocationPool(errors.BadRequest):
    text = "The allocation pool {pool} spans beyond the subnet {cidr}."


class GatewayConflictWithAllocationPools(errors.Conflict):
    text = "Gateway IP {ip} conflicts with allocation pool {pool}."


class GatewayIpInUse(errors.Conflict):
    text = "Current gateway IP {ip} is already in use by port {port_id}. Unable to update."


class VlanIdInUse(errors.Conflict):
    text = "Unable to create the network. The VLAN {segmentation_id} on physical network {physical_network} is in use."


class FlatNetworkInUse(errors.Conflict):
    text = "Unable to create the flat network. Physical network {physical_network} is in use."


class TunnelIdInUse(errors.Conflict):
    text = "Unable to create the network. The tunnel ID {segmentation_id} is in use."


class NoNetworkAvailable(errors.ServiceUnavailable):
    text = "Unable to create the network. No segment of a tenant network type is available."


class SubnetAllocationError(errors.Conflict):
    text = "Failed to allocate subnet: {reason}."


class RouterInUse(errors.Conflict):
    text = "Router {id} still has ports or routes: {reason}."


class RouterInterfaceInUseByFloatingIP(errors.Conflict):
    text = (
        "Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it is required by one "
        "or more floating IPs."
    )


class RouterInterfaceInUseByRoute(errors.Conflict):
    text = (
        "Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it is required by one "
        "or more routes."
    )


class RouterExternalGatewayInUseByFloatingIp(errors.Conflict):
    text = (
        "Gateway cannot be updated for router {router_id}, since a gateway to external network {network_id} is "
        "required by one or more floating IPs."
    )


class FloatingIPPortAlreadyAssociated(errors.Conflict):
    text = (
        "Cannot associate floating IP {ip} with port {port_id} using fixed IP {fixed_ip}, as that fixed IP already "
        "has a floating IP on external network {network_id}."
    )


class SecurityGroupInUse(errors.Conflict):
    text = "Security Group {id} in use."


class SecurityGroupCannotRemoveDefault(errors.Conflict):
    text = "Insufficient rights for removing default security group."


class SecurityGroupCannotUpdateDefault(errors.Conflict):
    text = "Updating default security group not allowed."


class SecurityGroupDefaultAlreadyExists(errors.Conflict):
    text = "Default security group already exists."


class SecurityGroupRuleExists(errors.Conflict):
    text = "Security group rule already exists. Rule id is {rule_id}."


class OverQuota(errors.Conflict):
    text = "Quota exceeded for resources: {resources}."


class DuplicateRbacPolicy(errors.Conflict):
    code = "DuplicateRbacPolicy"
    text = "An RBAC policy already exists with those values."


class RbacPolicyInUse(errors.Conflict):
    text = "RBAC policy on object {object_id} cannot be removed because other objects depend on it: {reason}."


class AutoAllocationFailure(errors.Conflict):
    text = "Deployment error: {reason}."


class AutoAllocatedTopologyNotFound(errors.NotFound):
    code = "AutoAllocatedTopologyNotFound"
    text = "No network was made for project {id}."


class InvalidSharedSetting(errors.Conflict):
    text = "Unable to reconfigure sharing settings for network {id}. Multiple projects are using it."


class ExternalNetworkInUse(errors.Conflict):
    text = "External network {id} cannot be updated to be made non-external, since it has existing gateway ports."


class DefaultExternalNetworkExists(errors.Conflict):
    text = "A default external network already exists: {id}."


class SecurityGroupsNeedAddress(errors.BadRequest):
    code = "PortSecurityAndIPRequiredForSecurityGroups"
    text = "Port security must be enabled and port must have an IP address in order to use security groups."


class PortSecurityPortHasSecurityGroup(errors.Conflict):
    text = "The port has security groups; remove them before port security or its addresses are taken away."


class AddressPairAndPortSecurityRequired(errors.Conflict):
    text = "Port security must be enabled in order to have allowed address pairs on a port."


# --- bad requests -----------------------------------------------------------------------------------------


class BadRequest(errors.BadRequest):
    text = "Bad {resource} request: {reason}."


class InvalidInput(errors.BadRequest):
    text = "Invalid input for operation: {reason}."


class InvalidIpForNetwork(errors.BadRequest):
    text = "IP address {ip} is not a valid IP for any of the subnets on the specified network."


class InvalidIpForSubnet(errors.BadRequest):
    text = "IP address {ip} is not a valid IP for the specified subnet."


class InvalidAllocationPool(errors.BadRequest):
    text = "The allocation pool {pool} is not valid."


class DuplicateAddressPairInRequest(errors.BadRequest):
    text = "Request contains duplicate address pair: mac_address {mac} ip_address {ip}."


class AddressPairsExhausted(errors.BadRequest):
    code = "AllowedAddressPairExhausted"
    text = "The number of allowed address pairs exceeds the maximum {limit}."


class InvalidRoutes(errors.BadRequest):
    text = "Invalid format for routes: {routes}, {reason}."


class SecurityGroupInvalidPortRange(errors.BadRequest):
    text = "For TCP/UDP protocols, port_range_min must be <= port_range_max."


class SecurityGroupInvalidPortValue(errors.BadRequest):
    text = "Invalid value for port {port}."


class SecurityGroupInvalidIcmpValue(errors.BadRequest):
    text = "Invalid value for ICMP {field} ({attr}) {value}. It must be 0 to 255."


class SecurityGroupMissingIcmpType(errors.BadRequest):
    text = "ICMP code (port-range-max) {value} is provided but ICMP type (port-range-min) is missing."


class SecurityGroupInvalidProtocolType(errors.BadRequest):
    code = "SecurityGroupRuleInvalidProtocol"
    text = "Security group rule protocol {protocol} not supported. It may be a number from 0 to 255 or one of {values}."


class SecurityGroupProtocolRequiredWithPorts(errors.BadRequest):
    text = "Must also specify protocol if port range is given."


class SecurityGroupInvalidProtocolForPort(errors.BadRequest):
    text = "Invalid protocol {protocol} for port range, only supported for {valid_protocols}."


class SecurityGroupEthertypeConflictWithProtocol(errors.BadRequest):
    text = "Invalid ethertype {ethertype} for protocol {protocol}."


class SecurityGroupRemoteGroupAndRemoteIpPrefix(errors.BadRequest):
    text = "Only one of remote_ip_prefix, remote_group_id or remote_address_group_id may be provided."
    code = "SecurityGroupMultipleRemoteEntites"


class SecurityGroupRuleParameterConflict(errors.BadRequest):
    text = "Conflicting value ethertype {ethertype} for CIDR {cidr}."


class SecurityGroupRuleInvalidEtherType(errors.BadRequest):
    text = "Security group rule for ethertype '{ethertype}' not supported. Allowed values are {values}."


class InvalidQuotaValue(errors.Conflict):
    text = "Change would make usage less than 0 for the following resources: {resources}."


class NetworkMacAddressGenerationFailure(errors.ServiceUnavailable):
    code = "MacAddressGenerationFailure"
    text = "Unable to generate a unique MAC on network {network_id}."


class DriverUnavailable(errors.ServiceUnavailable):
    code = "ServiceUnavailable"
    text = "The network backend cannot be reached now; the change is kept and will be carried out."
