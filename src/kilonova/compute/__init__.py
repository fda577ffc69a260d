"""The compute service: servers, and all that is needed to run them on hosts."""
