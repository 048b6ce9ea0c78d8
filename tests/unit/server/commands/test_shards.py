"""`kessai shards` on a running switch: added, moved, shown, and what is refused in one line."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from server.shards.books_file import read_books, write_books
from tests.running import RunningSwitch, kessai

LIMIT_S = 60.0


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwitch]:
    """A running switch with two shards, and money in it."""
    running = RunningSwitch.start(tmp_path_factory.mktemp("shards") / "data", shards=2)
    yield running
    running.stop()


def test_a_shard_is_added_and_gets_its_share(switch: RunningSwitch) -> None:
    """Without a restart; all accounts have what they had, and the books verify, also afterwards."""
    data = ("--data", str(switch.folder))
    accounts = [switch.open_account("wallet/ann", number, cash=number) for number in range(1, 30)]
    added = kessai("shards", "add", "sqlite:///shards/new.db", *data)
    assert "shard 2 is there" in added.stdout
    assert slots_in(kessai("shards", "status", *data).stdout) == ["512", "512", "0"]
    moved = kessai("shards", "rebalance", *data)
    assert "342, 341, 341" in moved.stdout
    assert "\x1b" not in moved.stdout + moved.stderr
    status = kessai("shards", "status", *data).stdout
    assert "Each slot is where it belongs." in status
    assert "new.db" in status.replace("\n", "").replace(" ", "")
    assert [switch.balance(account) for account in accounts] == list(range(1, 30))
    switch.verify()
    kessai("shards", "rebalance", "--slots", "0-9", "--to", "2", *data)
    switch.kill()
    switch.restart()
    assert [switch.balance(account) for account in accounts] == list(range(1, 30))
    status = kessai("shards", "status", *data).stdout
    assert slots_in(status) == ["332", "341", "351"]
    switch.verify()


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "no such shard": (("rebalance", "--slots", "0-9", "--to", "77"), "there is no shard 77"),
    "no such slots": (("rebalance", "--slots", "9-2000", "--to", "0"), "0 to 1023"),
    "no target": (("rebalance", "--slots", "1-2"), "--to"),
    "no address": (("add", "mysql://here"), "sqlite:/// or postgresql://"),
    "no server": (("add", "postgresql://teller@127.0.0.1:1/bank"), "shard_servers"),
    "a password": (("add", "postgresql://teller:hush@127.0.0.1:1/bank"), "~/.pgpass"),
    "a shard already": (("add", "sqlite:///shards/0000.db"), "same file"),
    "something there": (("add", "sqlite:///kessai.toml"), "shard_roots"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_wrong_is_one_line(switch: RunningSwitch, what: str) -> None:
    words, says = REFUSED[what]
    before = (switch.folder / "books.json").read_bytes()
    refused = kessai("shards", *words, "--data", str(switch.folder), check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
    assert says in refused.stderr
    assert "hush" not in refused.stderr
    assert (switch.folder / "books.json").read_bytes() == before


def test_a_disk_that_is_missing_at_start_is_named(tmp_path: Path) -> None:
    """The switch does not start without a shard that was added."""
    running = RunningSwitch.start(tmp_path / "data", shards=1)
    running.stop()
    config = running.folder / "kessai.toml"
    text = config.read_text()
    assert "shard_roots = []" in text
    config.write_text(text.replace("shard_roots = []", f'shard_roots = ["{tmp_path}/disk"]'))
    running.restart()
    kessai("shards", "add", f"sqlite:///{tmp_path}/disk/new.db", "--data", str(running.folder))
    running.stop()
    (tmp_path / "disk" / "new.db").unlink()
    refused = kessai("serve", "--data", str(running.folder), check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
    assert "disk/new.db" in refused.stderr


def test_a_plan_goes_on_after_a_start(tmp_path: Path) -> None:
    """What was planned before the switch stopped is moved by itself."""
    running = RunningSwitch.start(tmp_path / "data", shards=2)
    account = running.open_account("wallet/ann", 42, cash=5)
    running.stop()
    books = read_books(running.folder)
    assert books.plan is None
    write_books(running.folder, replace(books, plan=books.slots.with_range(0, 9, 1)))
    running.restart()
    deadline = time.monotonic() + LIMIT_S
    while read_books(running.folder).plan is not None:
        assert time.monotonic() < deadline, shown(running)
        time.sleep(0.02)
    status = shown(running)
    assert "Each slot is where it belongs" in status
    assert slots_in(status) == ["502", "522"]
    assert running.balance(account) == 5
    running.stop()
    running.verify()


def slots_in(status: str) -> list[str]:
    """Read from the table how many slots each shard keeps."""
    return re.findall(r"(?m)^ +\d+ +([\d,]+) +[\d,]+ +\S", status)


def shown(running: RunningSwitch) -> str:
    """What the status says."""
    return kessai("shards", "status", "--data", str(running.folder)).stdout
