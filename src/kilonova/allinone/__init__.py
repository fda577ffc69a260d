"""The whole cloud in one process: joins the services, adds nothing of its own."""
