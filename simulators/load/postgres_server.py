"""A real PostgreSQL server in a folder of its own, as an unprivileged user, on a socket; pgbench.

The binaries are those in $PG_BIN, or Debian's. Nothing is changed on the machine. Used by the
benches, whose rival it is, and by the tests.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from kessai.complaint import Complaint

MISSING = "no PostgreSQL here: install it (Debian: postgresql), or name its binaries in PG_BIN"

_NOBODY = 65534
_PORT = 5432
_LIMIT_S = 60.0
_LOOK_EVERY_S = 0.02


def find_binaries() -> Path | None:
    """Find the folder of initdb, postgres and pgbench, the newest version's; None without one."""
    places = [Path(os.environ["PG_BIN"])] if os.environ.get("PG_BIN") else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


@dataclass
class PostgresServer:
    """A server that listens on a unix socket in its own folder only, so no port is in its way."""

    binaries: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def create_in(cls, binaries: Path, parent: Path | None, *settings: str) -> Self:
        """Make and start a server, with lines of postgresql.conf, in a new folder of `parent`.

        None stands for the system's folder for temporary files.
        """
        folder = Path(tempfile.mkdtemp(prefix="kessai-pg-", dir=parent))
        if os.geteuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        server = cls(binaries, folder)
        server._run(
            "initdb", "--pgdata", str(folder / "data"), "--username", "postgres",
            "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync",
        )  # fmt: skip
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
        deadline = time.monotonic() + _LIMIT_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "log").read_text()[-2000:]
                raise Complaint(f"PostgreSQL did not start: {said}")
            time.sleep(_LOOK_EVERY_S)

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

    def prepare_pgbench(self, scale: int) -> None:
        """Make pgbench's tables: 100,000 accounts and one branch for each unit of scale."""
        self._run("pgbench", "--initialize", "--quiet", f"--scale={scale}", *self._where())

    def pgbench(self, clients: int, seconds: int) -> float:
        """Run TPC-B with prepared statements; transactions a second, without connecting."""
        said = self._run(
            "pgbench", "--protocol=prepared", "--no-vacuum", f"--client={clients}",
            f"--jobs={min(clients, 2)}", f"--time={seconds}", *self._where(),
            limit_s=_LIMIT_S + seconds,
        )  # fmt: skip
        found = re.search(r"^tps = ([0-9.]+)", said, re.MULTILINE)
        if found is None:
            raise Complaint(f"pgbench told no tps: {said}")
        return float(found[1])

    def _where(self) -> tuple[str, ...]:
        return f"--host={self.folder}", f"--port={_PORT}", "--username=postgres", "postgres"

    def _answers(self) -> bool:
        words = [str(self.binaries / "pg_isready"), "-q", *self._where()[:2]]
        asked = subprocess.run(words, check=False, timeout=_LIMIT_S, **_unprivileged())
        return asked.returncode == 0

    def _run(self, program: str, *words: str, limit_s: float = _LIMIT_S) -> str:
        command = [str(self.binaries / program), *words]
        try:
            done: subprocess.CompletedProcess[str] = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                timeout=limit_s,
                **_unprivileged(),
            )
        except subprocess.TimeoutExpired:
            raise Complaint(f"{program} did not end within {limit_s:g} s") from None
        if done.returncode:
            raise Complaint(f"{program} failed: {done.stderr}")
        return done.stdout

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=_LIMIT_S)
            self.process = None


def _unprivileged() -> dict[str, Any]:
    # PostgreSQL refuses to run as root.
    as_nobody = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
    return {"cwd": "/"} | (as_nobody if os.geteuid() == 0 else {})
