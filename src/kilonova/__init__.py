"""Kilonova: an OpenStack-compatible cloud in one Python distribution."""

__version__ = "0.1.0"
