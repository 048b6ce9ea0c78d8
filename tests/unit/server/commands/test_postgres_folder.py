"""`kessai init` and `serve` with shards on PostgreSQL and in a file, as processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import psycopg
import pytest

from kessai.account_number import make_account
from server.shards.placement import SlotMap
from tests.placing import shard_of
from tests.postgres import PostgresServer
from tests.running import RunningSwitch, kessai

FREE = "127.0.0.1:0"
SLOTS = SlotMap.even(2)
# The first account numbers of branch 1 on either shard.
ON_SERVER, ON_FILE = (
    next(number for number in range(1, 100) if shard_of(SLOTS, make_account(1, number)) == shard)
    for shard in (0, 1)
)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Give a server that the test may stop."""
    server = PostgresServer.create()
    yield server
    server.remove()


def init(folder: Path, *urls: str) -> str:
    """Make a data folder; what went wrong comes back."""
    shards = [word for url in urls for word in ("--shard", url)]
    ports = ("--listen", FREE, "--pairing-listen", FREE, "--metrics-listen", FREE)
    return kessai("init", "--data", str(folder), *ports, *shards, check=False).stderr


def schemas(server: PostgresServer) -> int:
    """Count the shards on a server."""
    with psycopg.connect(server.url) as db:
        rows = db.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'kessai_%'")
        return len(rows.fetchall())


def test_a_switch_on_a_mix(server: PostgresServer, tmp_path: Path) -> None:
    """While the server is away its shard is unavailable and the other goes on."""
    folder = tmp_path / "data"
    assert init(folder, server.url, "sqlite:///shards/one.db") == ""
    assert (folder / "books.json").stat().st_mode & 0o777 == 0o600
    switch = RunningSwitch.start(folder)
    far = switch.open_account("wallet/ann", ON_SERVER, cash=500)
    near = switch.open_account("wallet/bob", ON_FILE, cash=70)
    assert (switch.balance(far), switch.balance(near)) == (500, 70)
    server.crash()
    for _ in range(3):
        with pytest.raises(grpc.RpcError) as error:
            switch.balance(far)
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        assert switch.balance(near) == 70
    server.start()
    await_balance(switch, far, 500)
    switch.stop()
    switch.verify()
    server.stop()
    refused = kessai("serve", "--data", str(folder), check=False)
    assert refused.returncode != 0
    assert "the server of shard 0" in refused.stderr
    assert "Traceback" not in refused.stderr


def await_balance(switch: RunningSwitch, account: str, amount: int) -> None:
    """Ask until the switch has found its server again, or the test's time is over."""
    while True:
        try:
            assert switch.balance(account) == amount
            return
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise


def test_what_cannot_be_made_leaves_nothing_behind(server: PostgresServer, tmp_path: Path) -> None:
    """Neither a folder nor a schema, if the second shard cannot be made; and no password shown.

    None is taken, either: others could read it among the arguments.
    """
    folder = tmp_path / "data"
    for other, says in (
        ("postgresql://teller:hush@127.0.0.1:1/bank", "among the arguments"),
        ("postgresql://127.0.0.1:1/bank?password=hush", "among the arguments"),
        ("postgresql://teller@127.0.0.1:1/bank", "127.0.0.1:1/bank"),
        ("mysql://teller@127.0.0.1/bank", "must begin with sqlite:/// or postgresql://"),
        ("sqlite:///../taken.db", "exists already"),
    ):
        (tmp_path / "taken.db").write_bytes(b"")
        error = init(folder, server.url, other)
        assert says in " ".join(error.split())
        assert "hush" not in error
        assert "Traceback" not in error
        assert [entry.name for entry in tmp_path.iterdir()] == ["taken.db"]
        assert schemas(server) == 0
    assert init(folder, server.url, server.url) == ""
    assert schemas(server) == 2
    assert json.loads((folder / "books.json").read_text())["urls"] == [server.url] * 2
