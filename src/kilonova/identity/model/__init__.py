"""Nouns and rules, pure: tokens, scopes, role expansion, revocation, passwords, the catalog."""
