"""Typed calls to each service's public REST API: the only way from one service to another. Wire words live here."""
