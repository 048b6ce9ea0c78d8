"""A line to a PostgreSQL server that can be made to break at a COMMIT: before it, or after it.

A TCP port that passes bytes on, both ways. Used by `test_postgres_store.py`.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from tests.postgres import PostgresServer

_BYTES_AT_ONCE = 65536


class HalfLine:
    """Listens on a free port of 127.0.0.1 and passes on to a server, until closed."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server.socket_path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._breaks: bytes | None = None
        self._from_client = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens, as an operator would write it."""
        return f"postgresql://postgres@127.0.0.1:{self._listener.getsockname()[1]}/postgres"

    def break_at_commit(self, *, reaches: bool) -> None:
        """Break once: at the next COMMIT, before the server gets it, or with its answer to it."""
        self._from_client = not reaches
        self._breaks = b"COMMIT\0"

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                ways = ((client, server, True), (server, client, False))
                for way in ways:
                    threading.Thread(target=self._pass_on, args=way, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, from_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_BYTES_AT_ONCE):
                if self._breaks and from_client == self._from_client and self._breaks in data:
                    self._breaks = None
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
