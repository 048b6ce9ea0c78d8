"""The engines that invariants may be tested on."""

from __future__ import annotations

from tests.unit.server.shards.conftest import postgres_server, stores

__all__ = ["postgres_server", "stores"]
