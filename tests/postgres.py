"""A real PostgreSQL server for tests: in a temporary folder, as an unprivileged user, on a socket.

`postgres_server` is the fixture; a test that stops or kills a server starts one of its own with
`PostgresServer.create`. Where no PostgreSQL is installed, the tests that need it are skipped and
say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import pytest

from simulators.load import postgres_server as real
from simulators.load.postgres_server import MISSING, find_binaries


class PostgresServer(real.PostgresServer):
    """A server for tests."""

    @classmethod
    def create(cls, *settings: str) -> Self:
        """Make and start a server, with lines of postgresql.conf; skips where there is none."""
        binaries = find_binaries()
        if binaries is None:
            pytest.skip(MISSING)
        return cls.create_in(binaries, None, *settings)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give a server that the tests share; it is deleted at the end."""
    server = PostgresServer.create()
    yield server
    server.remove()
