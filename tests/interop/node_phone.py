"""A phone in Node as a process: `node/touch.mjs`, spoken to in lines of JSON."""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import google.rpc.status_pb2  # type: ignore[import-untyped]

from tests.house.tree import ROOT

PROTOS = f"{ROOT / 'protos'}:{Path(google.rpc.status_pb2.__file__).parents[2]}"
ENVIRONMENT = os.environ | {"PROTOS": PROTOS}
LIMIT_S = 60.0


class NodePhone:
    """The process; each method waits for its answer."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["node", "touch.mjs"], cwd=folder, env=ENVIRONMENT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def do(self, verb: str, what: object = True) -> Any:  # noqa: ANN401
        """Do something, and give what it came to."""
        pipe, answers = self._process.stdin, self._process.stdout
        assert pipe is not None
        assert answers is not None
        pipe.write(json.dumps({verb: what}) + "\n")
        pipe.flush()
        assert select.select([answers], [], [], LIMIT_S)[0], f"{verb}: no answer"
        line = answers.readline()
        assert line, f"{verb}: the phone has ended"
        return json.loads(line)

    @contextmanager
    def held_to(self, reader: str) -> Iterator[None]:
        """Be held to a reader, "udp:HOST:PORT" or "ble:unix:path=AIR,code=DIGITS", for a while."""
        if reader.startswith("ble:"):
            air, code = reader.removeprefix("ble:unix:path=").split(",code=")
            self.do("advertise", [air, code])
        else:
            self.do("lie", int(reader.rsplit(":", 1)[1]))
        yield
        self.do("leave")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def run_node(folder: Path, *words: str, says: str = "") -> dict[str, Any]:
    """Run a script to its end; the line of JSON that it prints."""
    ended = subprocess.run(
        ["node", *words], cwd=folder, env=ENVIRONMENT, input=says,
        check=False, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told
