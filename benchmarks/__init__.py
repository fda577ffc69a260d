"""Figures and ratios, printed and never asserted. ``python -m benchmarks`` runs them all on a cloud made for it."""
