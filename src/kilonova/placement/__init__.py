"""Placement: who offers which resources, and who has taken them. Serves upstream's API 1.0 to 1.39."""
