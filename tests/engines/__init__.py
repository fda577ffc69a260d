"""The stories on real engines: RabbitMQ, PostgreSQL and MariaDB, started for the run (`make test-engines`)."""
