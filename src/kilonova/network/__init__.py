"""The network service: networks, subnets, ports, routers, floating IPs and security groups."""
