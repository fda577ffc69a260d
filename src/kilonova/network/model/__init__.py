"""The nouns of networking and their rules. Pure: no SQL, no HTTP, no clock, no randomness of its own."""
