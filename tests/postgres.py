"""A real PostgreSQL server for tests: in a temporary folder, as an unprivileged user, on a socket.

`postgres_server` is the fixture; a test that stops or kills a server starts one of its own with
`PostgresServer.create`. The binaries are those in $PG_BIN, or Debian's; where there are none, the
tests that need them are skipped and say so. Nothing is changed on the machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

_NOBODY = 65534
_PORT = 5432
_START_LIMIT_S = 30.0
_MISSING = "no PostgreSQL here: install it (Debian: postgresql), or name its binaries in PG_BIN"


@dataclass
class PostgresServer:
    """A server that listens on a unix socket in its own folder only, so no port is in its way."""

    binaries: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def create(cls, *settings: str) -> PostgresServer:
        """Make and start a server, with lines of postgresql.conf; skips where there is none."""
        binaries = _binaries()
        if binaries is None:
            pytest.skip(_MISSING)
        folder = Path(tempfile.mkdtemp(prefix="kessai-pg-"))
        if os.geteuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        server = cls(binaries, folder)
        initdb = (
            binaries / "initdb", "--pgdata", folder / "data", "--username", "postgres",
            "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync",
        )  # fmt: skip
        subprocess.run(initdb, check=True, capture_output=True, timeout=60, **_unprivileged())
        with open(folder / "data" / "postgresql.conf", "a") as config:
            config.writelines(f"{setting}\n" for setting in settings)
        server.start()
        return server

    @property
    def url(self) -> str:
        """Where it is, as an operator would write it."""
        return f"postgresql://postgres@/postgres?host={self.folder}&port={_PORT}"

    @property
    def socket_path(self) -> str:
        """The file on which it listens."""
        return str(self.folder / f".s.PGSQL.{_PORT}")

    def start(self) -> None:
        """Start it and wait until it answers."""
        postgres = (
            self.binaries / "postgres", "-D", self.folder / "data",
            "-k", self.folder, "-h", "", "-p", str(_PORT),
        )  # fmt: skip
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(postgres, stdout=log, stderr=log, **_unprivileged())
        deadline = time.monotonic() + _START_LIMIT_S
        while True:
            try:
                psycopg.connect(self.url).close()
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Stop it as an operator does who will not wait for clients ("fast")."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Stop it without a checkpoint ("immediate"): the next start recovers from its log."""
        self._end(signal.SIGQUIT)

    def remove(self) -> None:
        """Stop it and delete everything."""
        self.crash()
        shutil.rmtree(self.folder)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=_START_LIMIT_S)
            self.process = None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give a server that the tests share; it is deleted at the end."""
    server = PostgresServer.create()
    yield server
    server.remove()


def _binaries() -> Path | None:
    places = [Path(os.environ["PG_BIN"])] if os.environ.get("PG_BIN") else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


def _unprivileged() -> dict[str, Any]:
    # PostgreSQL refuses to run as root.
    as_nobody = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
    return {"cwd": "/"} | (as_nobody if os.geteuid() == 0 else {})
