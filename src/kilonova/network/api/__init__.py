"""The network service's HTTP side, one file a noun. Wire words live here and nowhere deeper."""
