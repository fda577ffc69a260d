"""HTTP: one file a noun. Handlers are short stories."""
