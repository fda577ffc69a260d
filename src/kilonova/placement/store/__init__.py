"""The tables of Placement and their statements by noun. The only SQL of the service."""
