"""HTTP: one file a noun. Handlers parse, call the store or the snapshot, and answer."""
