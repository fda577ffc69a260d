"""HTTP: one file a noun. Handlers read the world, ask policy, write in one transaction, answer."""
