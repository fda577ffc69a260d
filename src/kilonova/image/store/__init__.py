"""Tables and queries of the image service: the only SQL."""
