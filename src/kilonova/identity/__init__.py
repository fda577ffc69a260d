"""Identity (Keystone's API v3.14): who may do what, where things are, and the tokens that say so."""
