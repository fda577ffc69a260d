"""The network service's SQL, by noun."""
