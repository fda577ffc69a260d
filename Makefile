# Two commands set up a fresh Debian 12 machine: `make up` (a whole cloud with a real server) and `make test`.
#   HYPERVISOR=fake   the same cloud without QEMU and OVN, unprivileged
#   STATE_DIR=DIR     where the cloud keeps its data      PORT=N   its API port on loopback
HYPERVISOR ?= libvirt
STATE_DIR ?=
PORT ?=
kilonova = .venv/bin/kilonova
where = $(if $(STATE_DIR),--state-dir $(STATE_DIR))
how = $(where) $(if $(PORT),--set DEFAULT.api_port=$(PORT)) --set compute.hypervisor=$(HYPERVISOR)

.PHONY: up down clean status test check test-unit test-real test-engines bench docs install install-test

up: install
	$(kilonova) $(how) up --detach
	$(kilonova) $(how) demo

down:
	$(if $(wildcard $(kilonova)),$(kilonova) $(where) down,@echo "Nothing is installed here.")

clean:
	$(if $(wildcard $(kilonova)),$(kilonova) $(where) down --data,@echo "Nothing is installed here.")

status:
	$(kilonova) $(where) status

ifeq ($(HYPERVISOR),fake)
install:
	@python3 -c 'import ensurepip' 2>/dev/null || scripts/install-deps base
	@scripts/install-python client
else
install:
	@scripts/install-deps real
	@scripts/install-python client,libvirt
endif

install-test:
	@if [ "$$(id -u)" = 0 ]; then scripts/install-deps test; else scripts/install-deps base; fi
	@if pkg-config --exists libvirt 2>/dev/null; then scripts/install-python client,libvirt,test; \
	 else scripts/install-python client,test; fi

test: install-test check test-unit test-real

check:
	.venv/bin/ruff check src tests benchmarks scripts
	.venv/bin/ruff format --check -q src tests benchmarks scripts
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache

test-unit:
	.venv/bin/pytest -n 2 -m "not real"

test-real:
	.venv/bin/pytest -m real -rs

# The stories again on RabbitMQ, PostgreSQL and MariaDB, each started for the run. ENGINES="mariadb" for one of them.
test-engines: install-test
	@scripts/install-deps engines
	@scripts/install-python client,test,rabbit,postgresql,mariadb
	.venv/bin/python -m tests.engines $(ENGINES)

bench: install-test
	.venv/bin/python -m benchmarks

docs:
	.venv/bin/python -m scripts.reference
