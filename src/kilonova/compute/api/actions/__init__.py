"""Actions on one server (POST /servers/{id}/action): one file a family."""
