"""A data folder: made whole or not at all, locked by one writer, and described while it runs."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from kessai.complaint import Complaint
from server import data_folder
from server.config import ServerConfig, load_config
from server.data_folder import Lock, announce, read_books, read_running, running_here, withdraw
from server.shards.address import sqlite_urls
from tests.unit.server.domain.commands import NOW_US


def create(folder: Path, shards: int = 3) -> Path:
    """Make a data folder."""
    data_folder.create(
        folder,
        "switch.test",
        sqlite_urls(shards),
        ServerConfig(listen="127.0.0.1:0"),
        lambda: NOW_US,
        os.urandom,
    )
    return folder


def test_all_of_it_is_made(tmp_path: Path) -> None:
    folder = create(tmp_path / "data")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["data"]
    names = {entry.name for entry in folder.iterdir()}
    assert names == {
        "books.json", "directory.db", "identity", "kessai.toml",
        "offline-root", "operator", "shards",
    }  # fmt: skip
    assert len(list((folder / "shards").glob("*.db"))) == 3
    books = read_books(folder)
    assert (books.shards, set(books.slots.shard_of_slot)) == (3, {0, 1, 2})
    assert load_config(folder).listen == "127.0.0.1:0"


def test_secrets_are_for_the_owner_alone(tmp_path: Path) -> None:
    folder = create(tmp_path / "data")
    secrets = [path for path in folder.rglob("*") if path.suffix in (".key", ".secret")]
    assert len(secrets) >= 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_an_empty_folder_will_do_also_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    create(Path("."))
    assert read_books(tmp_path / "data").shards == 3


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "photo.jpg").write_bytes(b"dear")
    (tmp_path / "file").write_bytes(b"dear")
    for path in (tmp_path / "data", tmp_path / "file", create(tmp_path / "made")):
        with pytest.raises(Complaint, match="nothing was changed"):
            create(path)
    assert (tmp_path / "file").read_bytes() == b"dear"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["data", "file", "made"]


@pytest.mark.parametrize("shards", [0, -1, 1001])
def test_there_are_1_to_1000_shards(tmp_path: Path, shards: int) -> None:
    with pytest.raises(Complaint, match="1 to 1000 shards"):
        create(tmp_path / "data", shards)
    assert not (tmp_path / "data").exists()


def test_what_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    """The parent is a file; and a domain that cannot be one."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Complaint, match="cannot be made"):
        create(tmp_path / "file" / "data")
    with pytest.raises(Complaint):
        data_folder.create(
            tmp_path / "data",
            "no domain!",
            sqlite_urls(1),
            ServerConfig(),
            lambda: NOW_US,
            os.urandom,
        )
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_only_one_has_the_lock(tmp_path: Path) -> None:
    first = Lock(tmp_path)
    with pytest.raises(Complaint, match="already running"):
        Lock(tmp_path)
    first.release()
    Lock(tmp_path).release()
    with pytest.raises(Complaint, match="kessai init"):
        Lock(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"id": "a", "urls": ["a", "b"], "slots": 5}',
        '{"id": "a", "urls": ["a", "b"], "slots": []}',
        '{"id": "a", "urls": ["a", "b"], "slots": [[0, 1023, 0], [1000, 1023, 1]]}',
        '{"id": "a", "urls": ["a", "b"], "slots": [[0, 1000, 0], [1002, 1023, 1]]}',
        '{"id": "a", "urls": ["a", "b"], "slots": [[0, 1023, 2]]}',
        '{"id": "a", "urls": 2, "slots": [[0, 1023, 0]]}',
    ],
)
def test_damaged_books_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "books.json").write_text(text)
    with pytest.raises(Complaint, match="No money was moved"):
        read_books(tmp_path)


def test_where_it_runs_is_known_while_it_runs(tmp_path: Path) -> None:
    running = running_here("127.0.0.1:1", "127.0.0.1:2", "")
    assert read_running(tmp_path) is None
    announce(tmp_path, running)
    assert read_running(tmp_path) == running
    withdraw(tmp_path)
    withdraw(tmp_path)
    assert read_running(tmp_path) is None


def test_one_that_was_killed_does_not_run(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait(timeout=60)
    announce(tmp_path, running_here("a", "b", "c"))
    values = json.loads((tmp_path / "running.json").read_text())
    for text in (json.dumps(values | {"pid": ended.pid}), "{}", "[]", "x"):
        (tmp_path / "running.json").write_text(text)
        assert read_running(tmp_path) is None
