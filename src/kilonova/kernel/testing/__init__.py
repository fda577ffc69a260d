"""For tests: a clock to turn, a client without sockets, callers without an identity service, databases in memory."""

from kilonova.kernel.testing.app import Answer, TestClient, fake_identity
from kilonova.kernel.testing.clock import FakeClock
from kilonova.kernel.testing.database import memory_database

__all__ = ["Answer", "FakeClock", "TestClient", "fake_identity", "memory_database"]
