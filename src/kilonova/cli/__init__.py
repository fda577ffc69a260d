"""The ``kilonova`` command: starting, stopping, looking at, and explaining a cloud."""
