"""How the network service talks to what carries the packets: the contract, OVN behind it, and a fake."""
