"""Who may do what: upstream's rule names and defaults, for what exists here.

``<verb>_<noun>:<attribute>`` guards one attribute: on create and update it is asked when the caller sends the
attribute, on read it decides whether the attribute is shown. Targets carry the wire names of the object and
``network:project_id`` or ``security_group:project_id`` of its parent. ``field:noun:attribute=value`` compares
an attribute of the target.
"""

from __future__ import annotations

from kilonova.kernel.policy import Rule

ADMIN = "rule:admin_only"
SERVICE = "rule:service_api"
ADMIN_OR_SERVICE = "(rule:admin_only) or (rule:service_api)"
MEMBER = "(rule:admin_only) or (role:member and project_id:%(project_id)s)"
READER = "(rule:admin_only) or (role:reader and project_id:%(project_id)s)"
MANAGER = "(rule:admin_only) or (role:manager and project_id:%(project_id)s)"
MEMBER_OR_SERVICE = f"{MEMBER} or rule:service_api"
MEMBER_OR_ADVSVC = f"{MEMBER} or rule:context_is_advsvc"
NETWORK_MEMBER_OR_SERVICE = "(rule:admin_only) or (rule:service_api) or role:member and rule:network_owner"
NETWORK_MEMBER_OR_SHARED = f"{NETWORK_MEMBER_OR_SERVICE} or rule:shared"
OWNER_OR_NETWORK_MEMBER = (
    "role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)"
)

# fmt: off
# ruff: noqa: E501
RULES: tuple[Rule, ...] = (
    # base
    Rule("context_is_admin", "role:admin"),
    Rule("service_api", "role:service"),
    Rule("owner", "project_id:%(project_id)s"),
    Rule("context_is_advsvc", "role:advsvc"),
    Rule("admin_or_network_owner", "rule:context_is_admin or project_id:%(network:project_id)s"),
    Rule("admin_owner_or_network_owner", "rule:owner or rule:admin_or_network_owner"),
    Rule("network_owner", "project_id:%(network:project_id)s"),
    Rule("admin_only", "rule:context_is_admin"),
    Rule("regular_user", ""),
    Rule("shared", "field:networks:shared=True"),
    Rule("admin_or_owner", "rule:context_is_admin or rule:owner"),
    Rule("default", "rule:admin_or_owner"),
    Rule("sg_owner", "project_id:%(security_group:project_id)s"),
    # network
    Rule("external", "field:networks:router:external=True"),
    Rule("create_network", MEMBER, "Create network", (("POST", "/v2.0/networks"),)),
    Rule("create_network:shared", ADMIN, "Set shared when creating a network"),
    Rule("create_network:router:external", ADMIN, "Set router:external when creating a network"),
    Rule("create_network:is_default", ADMIN, "Set is_default when creating a network"),
    Rule("create_network:port_security_enabled", MEMBER, "Set port_security_enabled when creating a network"),
    Rule("create_network:provider:network_type", ADMIN, "Set provider:network_type when creating a network"),
    Rule("create_network:provider:physical_network", ADMIN, "Set provider:physical_network when creating a network"),
    Rule("create_network:provider:segmentation_id", ADMIN, "Set provider:segmentation_id when creating a network"),
    Rule("create_network:tags", MEMBER, "Set tags when creating a network"),
    Rule("get_network", "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:service_api or rule:shared or rule:external or rule:context_is_advsvc", "Get network", (("GET", "/v2.0/networks"), ("GET", "/v2.0/networks/{id}"),)),
    Rule("get_network:provider:network_type", ADMIN, "See provider:network_type of a network"),
    Rule("get_network:provider:physical_network", ADMIN, "See provider:physical_network of a network"),
    Rule("get_network:provider:segmentation_id", ADMIN, "See provider:segmentation_id of a network"),
    Rule("get_network:tags", "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared or rule:external or rule:context_is_advsvc", "See tags of a network"),
    Rule("update_network", MEMBER, "Update network", (("PUT", "/v2.0/networks/{id}"),)),
    Rule("update_network:shared", ADMIN, "Change shared of a network"),
    Rule("update_network:provider:network_type", ADMIN, "Change provider:network_type of a network"),
    Rule("update_network:provider:physical_network", ADMIN, "Change provider:physical_network of a network"),
    Rule("update_network:provider:segmentation_id", ADMIN, "Change provider:segmentation_id of a network"),
    Rule("update_network:router:external", ADMIN, "Change router:external of a network"),
    Rule("update_network:is_default", ADMIN, "Change is_default of a network"),
    Rule("update_network:port_security_enabled", MEMBER, "Change port_security_enabled of a network"),
    Rule("update_network:tags", MEMBER, "Change tags of a network"),
    Rule("delete_network", MEMBER, "Delete network", (("DELETE", "/v2.0/networks/{id}"),)),
    Rule("delete_network:tags", MEMBER, "Remove tags of a network"),
    # subnet
    Rule("external_network", "field:subnets:router:external=True"),
    Rule("create_subnet", "(rule:admin_only) or (role:member and rule:network_owner)", "Create subnet", (("POST", "/v2.0/subnets"),)),
    Rule("create_subnet:service_types", ADMIN, "Set service_types when creating a subnet"),
    Rule("create_subnet:tags", OWNER_OR_NETWORK_MEMBER, "Set tags when creating a subnet"),
    Rule("get_subnet", "role:reader and project_id:%(project_id)s or rule:shared or rule:external_network or (rule:admin_only) or (role:reader and rule:network_owner) or rule:service_api", "Get subnet", (("GET", "/v2.0/subnets"), ("GET", "/v2.0/subnets/{id}"),)),
    Rule("get_subnet:tags", "role:reader and project_id:%(project_id)s or rule:shared or rule:external_network or (rule:admin_only) or (role:reader and rule:network_owner)", "See tags of a subnet"),
    Rule("update_subnet", OWNER_OR_NETWORK_MEMBER, "Update subnet", (("PUT", "/v2.0/subnets/{id}"),)),
    Rule("update_subnet:service_types", ADMIN, "Change service_types of a subnet"),
    Rule("update_subnet:tags", OWNER_OR_NETWORK_MEMBER, "Change tags of a subnet"),
    Rule("delete_subnet", OWNER_OR_NETWORK_MEMBER, "Delete subnet", (("DELETE", "/v2.0/subnets/{id}"),)),
    Rule("delete_subnet:tags", OWNER_OR_NETWORK_MEMBER, "Remove tags of a subnet"),
    # port
    Rule("network_device", "field:port:device_owner=~^network:"),
    Rule("compute_device", "field:port:device_owner=~^compute:"),
    Rule("baremetal_device", "field:port:device_owner=~^baremetal:"),
    Rule("manila_device", "field:port:device_owner=~^manila:"),
    Rule("create_port", NETWORK_MEMBER_OR_SHARED, "Create port", (("POST", "/v2.0/ports"),)),
    Rule("create_port:device_id", MEMBER_OR_SERVICE, "Set device_id when creating a port"),
    Rule("create_port:device_owner", "not rule:network_device or (rule:admin_only) or (rule:service_api) or role:member and rule:network_owner", "Set device_owner when creating a port"),
    Rule("create_port:mac_address", NETWORK_MEMBER_OR_SERVICE, "Set mac_address when creating a port"),
    Rule("create_port:fixed_ips", NETWORK_MEMBER_OR_SHARED, "Set fixed_ips when creating a port"),
    Rule("create_port:fixed_ips:ip_address", NETWORK_MEMBER_OR_SERVICE, "Set fixed_ips:ip_address when creating a port"),
    Rule("create_port:fixed_ips:subnet_id", NETWORK_MEMBER_OR_SHARED, "Set fixed_ips:subnet_id when creating a port"),
    Rule("create_port:port_security_enabled", NETWORK_MEMBER_OR_SERVICE, "Set port_security_enabled when creating a port"),
    Rule("create_port:binding:host_id", ADMIN_OR_SERVICE, "Set binding:host_id when creating a port"),
    Rule("create_port:binding:profile", SERVICE, "Set binding:profile when creating a port"),
    Rule("create_port:binding:vnic_type", MEMBER_OR_SERVICE, "Set binding:vnic_type when creating a port"),
    Rule("create_port:allowed_address_pairs", NETWORK_MEMBER_OR_SERVICE, "Set allowed_address_pairs when creating a port"),
    Rule("create_port:allowed_address_pairs:mac_address", NETWORK_MEMBER_OR_SERVICE, "Set allowed_address_pairs:mac_address when creating a port"),
    Rule("create_port:allowed_address_pairs:ip_address", NETWORK_MEMBER_OR_SERVICE, "Set allowed_address_pairs:ip_address when creating a port"),
    Rule("create_port:tags", MEMBER_OR_ADVSVC, "Set tags when creating a port"),
    Rule("get_port", "(rule:admin_only) or (rule:service_api) or role:reader and rule:network_owner or role:reader and project_id:%(project_id)s", "Get port", (("GET", "/v2.0/ports"), ("GET", "/v2.0/ports/{id}"),)),
    Rule("get_port:binding:vif_type", ADMIN_OR_SERVICE, "See binding:vif_type of a port"),
    Rule("get_port:binding:vif_details", ADMIN_OR_SERVICE, "See binding:vif_details of a port"),
    Rule("get_port:binding:host_id", ADMIN_OR_SERVICE, "See binding:host_id of a port"),
    Rule("get_port:binding:profile", ADMIN_OR_SERVICE, "See binding:profile of a port"),
    Rule("get_port:tags", "rule:context_is_advsvc or (rule:admin_only) or (role:reader and rule:network_owner) or role:reader and project_id:%(project_id)s", "See tags of a port"),
    Rule("update_port", MEMBER_OR_SERVICE, "Update port", (("PUT", "/v2.0/ports/{id}"),)),
    Rule("update_port:device_id", MEMBER_OR_SERVICE, "Change device_id of a port"),
    Rule("update_port:device_owner", "not rule:network_device or (rule:admin_only) or (rule:service_api) or role:member and rule:network_owner", "Change device_owner of a port"),
    Rule("update_port:mac_address", "(rule:admin_only) or (rule:service_api) or role:manager and rule:network_owner", "Change mac_address of a port"),
    Rule("update_port:fixed_ips", NETWORK_MEMBER_OR_SERVICE, "Change fixed_ips of a port"),
    Rule("update_port:fixed_ips:ip_address", NETWORK_MEMBER_OR_SERVICE, "Change fixed_ips:ip_address of a port"),
    Rule("update_port:fixed_ips:subnet_id", NETWORK_MEMBER_OR_SHARED, "Change fixed_ips:subnet_id of a port"),
    Rule("update_port:port_security_enabled", NETWORK_MEMBER_OR_SERVICE, "Change port_security_enabled of a port"),
    Rule("update_port:binding:host_id", ADMIN_OR_SERVICE, "Change binding:host_id of a port"),
    Rule("update_port:binding:profile", SERVICE, "Change binding:profile of a port"),
    Rule("update_port:binding:vnic_type", MEMBER_OR_SERVICE, "Change binding:vnic_type of a port"),
    Rule("update_port:allowed_address_pairs", NETWORK_MEMBER_OR_SERVICE, "Change allowed_address_pairs of a port"),
    Rule("update_port:allowed_address_pairs:mac_address", NETWORK_MEMBER_OR_SERVICE, "Change allowed_address_pairs:mac_address of a port"),
    Rule("update_port:allowed_address_pairs:ip_address", NETWORK_MEMBER_OR_SERVICE, "Change allowed_address_pairs:ip_address of a port"),
    Rule("update_port:tags", MEMBER_OR_ADVSVC, "Change tags of a port"),
    Rule("delete_port", "(rule:admin_only) or (rule:service_api) or (service_roles:service and (role:member and rule:network_owner or role:member and project_id:%(project_id)s)) or (not rule:compute_device and not rule:baremetal_device and not rule:manila_device and (role:member and rule:network_owner or role:member and project_id:%(project_id)s))", "Delete port", (("DELETE", "/v2.0/ports/{id}"),)),
    Rule("delete_port:tags", "rule:context_is_advsvc or role:member and project_id:%(project_id)s or (rule:admin_only) or (role:member and rule:network_owner)", "Remove tags of a port"),
    # port bindings
    Rule("get_port_binding", ADMIN_OR_SERVICE, "Get port binding", (("GET", "/v2.0/ports/{port_id}/bindings"),)),
    Rule("create_port_binding", SERVICE, "Create port binding", (("POST", "/v2.0/ports/{port_id}/bindings"),)),
    Rule("delete_port_binding", SERVICE, "Delete port binding", (("DELETE", "/v2.0/ports/{port_id}/bindings/{host}"),)),
    Rule("activate", SERVICE, "Activate", (("PUT", "/v2.0/ports/{port_id}/bindings/{host}/activate"),)),
    # router
    Rule("create_router", MEMBER, "Create router", (("POST", "/v2.0/routers"),)),
    Rule("create_router:distributed", ADMIN, "Set distributed when creating a router"),
    Rule("create_router:ha", ADMIN, "Set ha when creating a router"),
    Rule("create_router:external_gateway_info", MEMBER, "Set external_gateway_info when creating a router"),
    Rule("create_router:external_gateway_info:network_id", MEMBER, "Set external_gateway_info:network_id when creating a router"),
    Rule("create_router:external_gateway_info:enable_snat", ADMIN, "Set external_gateway_info:enable_snat when creating a router"),
    Rule("create_router:external_gateway_info:external_fixed_ips", ADMIN, "Set external_gateway_info:external_fixed_ips when creating a router"),
    Rule("create_router:tags", MEMBER, "Set tags when creating a router"),
    Rule("get_router", READER, "Get router", (("GET", "/v2.0/routers"), ("GET", "/v2.0/routers/{id}"),)),
    Rule("get_router:distributed", ADMIN, "See distributed of a router"),
    Rule("get_router:ha", ADMIN, "See ha of a router"),
    Rule("get_router:tags", READER, "See tags of a router"),
    Rule("update_router", MEMBER, "Update router", (("PUT", "/v2.0/routers/{id}"),)),
    Rule("update_router:distributed", ADMIN, "Change distributed of a router"),
    Rule("update_router:ha", ADMIN, "Change ha of a router"),
    Rule("update_router:external_gateway_info", MEMBER, "Change external_gateway_info of a router"),
    Rule("update_router:external_gateway_info:network_id", MEMBER, "Change external_gateway_info:network_id of a router"),
    Rule("update_router:external_gateway_info:enable_snat", ADMIN, "Change external_gateway_info:enable_snat of a router"),
    Rule("update_router:external_gateway_info:external_fixed_ips", ADMIN, "Change external_gateway_info:external_fixed_ips of a router"),
    Rule("update_router:tags", MEMBER, "Change tags of a router"),
    Rule("delete_router", MEMBER, "Delete router", (("DELETE", "/v2.0/routers/{id}"),)),
    Rule("delete_router:tags", MEMBER, "Remove tags of a router"),
    Rule("add_router_interface", MEMBER, "Add router interface", (("PUT", "/v2.0/routers/{id}/add_router_interface"),)),
    Rule("remove_router_interface", MEMBER, "Remove router interface", (("PUT", "/v2.0/routers/{id}/remove_router_interface"),)),
    Rule("add_extraroutes", MEMBER, "Add extraroutes", (("PUT", "/v2.0/routers/{id}/add_extraroutes"),)),
    Rule("remove_extraroutes", MEMBER, "Remove extraroutes", (("PUT", "/v2.0/routers/{id}/remove_extraroutes"),)),
    # floatingip
    Rule("create_floatingip", MEMBER, "Create floatingip", (("POST", "/v2.0/floatingips"),)),
    Rule("create_floatingip:floating_ip_address", MANAGER, "Set floating_ip_address when creating a floatingip"),
    Rule("create_floatingip:router_id", MEMBER, "Set router_id when creating a floatingip"),
    Rule("create_floatingip:tags", MEMBER, "Set tags when creating a floatingip"),
    Rule("get_floatingip", READER, "Get floatingip", (("GET", "/v2.0/floatingips"), ("GET", "/v2.0/floatingips/{id}"),)),
    Rule("get_floatingip:tags", READER, "See tags of a floatingip"),
    Rule("update_floatingip", MEMBER, "Update floatingip", (("PUT", "/v2.0/floatingips/{id}"),)),
    Rule("update_floatingip:router_id", MEMBER, "Change router_id of a floatingip"),
    Rule("update_floatingip:tags", MEMBER, "Change tags of a floatingip"),
    Rule("delete_floatingip", MEMBER, "Delete floatingip", (("DELETE", "/v2.0/floatingips/{id}"),)),
    Rule("delete_floatingip:tags", MEMBER, "Remove tags of a floatingip"),
    # security group
    Rule("admin_or_sg_owner", "rule:context_is_admin or project_id:%(security_group:project_id)s"),
    Rule("admin_owner_or_sg_owner", "rule:owner or rule:admin_or_sg_owner"),
    Rule("shared_security_group", "field:security_groups:shared=True"),
    Rule("rule_default_sg", "field:security_group_rules:belongs_to_default_sg=True"),
    Rule("create_default_security_group", "(rule:admin_only) or (rule:service_api) or role:reader and project_id:%(project_id)s", "Create default security group"),
    Rule("create_security_group", MEMBER, "Create security group", (("POST", "/v2.0/security-groups"),)),
    Rule("create_security_group:tags", MEMBER, "Set tags when creating a security group"),
    Rule("get_security_group", "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared_security_group", "Get security group", (("GET", "/v2.0/security-groups"), ("GET", "/v2.0/security-groups/{id}"),)),
    Rule("get_security_group:tags", "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared_security_group", "See tags of a security group"),
    Rule("update_security_group", MEMBER, "Update security group", (("PUT", "/v2.0/security-groups/{id}"),)),
    Rule("update_security_group:tags", MEMBER, "Change tags of a security group"),
    Rule("delete_security_group", MEMBER, "Delete security group", (("DELETE", "/v2.0/security-groups/{id}"),)),
    Rule("delete_security_group:tags", MEMBER, "Remove tags of a security group"),
    Rule("create_security_group_rule", "(rule:admin_only) or (role:member and rule:sg_owner)", "Create security group rule", (("POST", "/v2.0/security-group-rules"),)),
    Rule("get_security_group_rule", "(rule:admin_only) or (role:reader and rule:sg_owner)", "Get security group rule", (("GET", "/v2.0/security-group-rules"), ("GET", "/v2.0/security-group-rules/{id}"),)),
    Rule("delete_security_group_rule", "(rule:admin_only) or (role:member and rule:sg_owner)", "Delete security group rule", (("DELETE", "/v2.0/security-group-rules/{id}"),)),
    # rbac
    Rule("restrict_wildcard", "(not field:rbac_policy:target_tenant=* and not field:rbac_policy:target_project=*) or rule:admin_only"),
    Rule("create_rbac_policy", MEMBER, "Create rbac policy", (("POST", "/v2.0/rbac-policies"),)),
    Rule("create_rbac_policy:target_tenant", "rule:admin_only or (not field:rbac_policy:target_tenant=* and not field:rbac_policy:target_project=*)", "Set target_tenant when creating a rbac policy"),
    Rule("create_rbac_policy:target_project", "rule:admin_only or not field:rbac_policy:target_project=*", "Set target_project when creating a rbac policy"),
    Rule("update_rbac_policy", MEMBER, "Update rbac policy", (("PUT", "/v2.0/rbac-policies/{id}"),)),
    Rule("update_rbac_policy:target_tenant", "rule:admin_only or (not field:rbac_policy:target_tenant=* and not field:rbac_policy:target_project=*)", "Change target_tenant of a rbac policy"),
    Rule("update_rbac_policy:target_project", "rule:admin_only or not field:rbac_policy:target_project=*", "Change target_project of a rbac policy"),
    Rule("get_rbac_policy", READER, "Get rbac policy", (("GET", "/v2.0/rbac-policies"), ("GET", "/v2.0/rbac-policies/{id}"),)),
    Rule("delete_rbac_policy", MEMBER, "Delete rbac policy", (("DELETE", "/v2.0/rbac-policies/{id}"),)),
    # quotas
    Rule("get_quota", MANAGER, "Get quota", (("GET", "/v2.0/quotas"), ("GET", "/v2.0/quotas/{id}"),)),
    Rule("update_quota", ADMIN, "Update quota", (("PUT", "/v2.0/quotas/{id}"),)),
    Rule("delete_quota", ADMIN, "Delete quota", (("DELETE", "/v2.0/quotas/{id}"),)),
    # agent
    Rule("get_agent", ADMIN, "Get agent", (("GET", "/v2.0/agents"), ("GET", "/v2.0/agents/{id}"),)),
    Rule("update_agent", ADMIN, "Update agent", (("PUT", "/v2.0/agents/{id}"),)),
    Rule("delete_agent", ADMIN, "Delete agent", (("DELETE", "/v2.0/agents/{id}"),)),
    # availability zone
    Rule("get_availability_zone", "role:reader", "Get availability zone", (("GET", "/v2.0/availability_zones"),)),
    # network ip availability
    Rule("get_network_ip_availability", ADMIN_OR_SERVICE, "Get network ip availability", (("GET", "/v2.0/network-ip-availabilities"), ("GET", "/v2.0/network-ip-availabilities/{network_id}"),)),
    # auto allocated topology
    Rule("get_auto_allocated_topology", READER, "Get the network made for a project", (("GET", "/v2.0/auto-allocated-topology/{project_id}"),)),
    Rule("delete_auto_allocated_topology", MEMBER, "Delete the network made for a project", (("DELETE", "/v2.0/auto-allocated-topology/{project_id}"),)),
    # subnetpool
    Rule("shared_subnetpools", "field:subnetpools:shared=True"),
    Rule("create_subnetpool", MEMBER, "Create subnetpool", (("POST", "/v2.0/subnetpools"),)),
    Rule("create_subnetpool:shared", ADMIN, "Set shared when creating a subnetpool"),
    Rule("create_subnetpool:is_default", ADMIN, "Set is_default when creating a subnetpool"),
    Rule("create_subnetpool:tags", MEMBER, "Set tags when creating a subnetpool"),
    Rule("get_subnetpool", "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared_subnetpools", "Get subnetpool", (("GET", "/v2.0/subnetpools"), ("GET", "/v2.0/subnetpools/{id}"),)),
    Rule("get_subnetpool:tags", "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or rule:shared_subnetpools", "See tags of a subnetpool"),
    Rule("update_subnetpool", MEMBER, "Update subnetpool", (("PUT", "/v2.0/subnetpools/{id}"),)),
    Rule("update_subnetpool:is_default", ADMIN, "Change is_default of a subnetpool"),
    Rule("update_subnetpool:tags", MEMBER, "Change tags of a subnetpool"),
    Rule("delete_subnetpool", MEMBER, "Delete subnetpool", (("DELETE", "/v2.0/subnetpools/{id}"),)),
    Rule("delete_subnetpool:tags", MEMBER, "Remove tags of a subnetpool"),
    Rule("add_prefixes", MEMBER, "Add prefixes", (("PUT", "/v2.0/subnetpools/{id}/add_prefixes"),)),
    Rule("remove_prefixes", MEMBER, "Remove prefixes", (("PUT", "/v2.0/subnetpools/{id}/remove_prefixes"),)),
)
# fmt: on
