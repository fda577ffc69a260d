"""Programs that break a running cloud on purpose, and look whether anything was lost."""
