"""The engines that the tests of the shards run on."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import PostgresServer, postgres_server
from tests.unit.server.shards.parts import Stores

__all__ = ["postgres_server"]

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(params=ENGINES)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """Give places for shards: files, schemas of a server, or ("mix") both in turn."""
    if request.param == "sqlite":
        yield Stores(tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    urls = (server.url, "") if request.param == "mix" else (server.url,)
    places = Stores(tmp_path, urls, secrets.token_hex(8))
    yield places
    places.remove()
