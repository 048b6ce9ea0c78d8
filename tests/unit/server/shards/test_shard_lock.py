"""One shard file has one writer, by whatever name the file is reached."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kessai.complaint import Complaint
from server.data_folder import Lock, is_locked
from server.shards import shard_lock
from server.shards.address import addresses
from server.shards.books_file import read_books, write_books
from server.shards.shard_lock import ShardLock
from tests.unit.server.domain.commands import accounts_on, open_account
from tests.unit.server.shards.parts import BOOKS_ID, make_files
from tests.unit.server.switch.in_process import make_folder, served

HOLDS = """\
import sys, pathlib
from server.shards.shard_lock import ShardLock
lock = ShardLock(pathlib.Path(sys.argv[1]))
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _no_long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_lock, "_WAIT_S", 0.1)


def test_a_copied_folder_with_an_absolute_address_cannot_write(tmp_path: Path) -> None:
    """Neither by the file's own name nor by a link to it; afterwards it can."""
    make_files(tmp_path)
    file = tmp_path / "shards" / "0000.db"
    link = tmp_path / "link.db"
    link.symlink_to(file)
    store = addresses(["sqlite:///shards/0000.db"], tmp_path, BOOKS_ID)[0].open_store()
    for name in (file, link):
        [there] = addresses([f"sqlite:///{name}"], tmp_path / "copy", BOOKS_ID)
        with pytest.raises(Complaint, match=f"another switch .process {os.getpid()}"):
            there.open_store()
        there.open_reader().close()
    store.close()
    there.open_store().close()
    assert there.prepare() == ""


async def test_a_switch_on_a_copied_folder_does_not_start(tmp_path: Path) -> None:
    """Its books.json names the first one's file; the first one serves on."""
    folder, copy = tmp_path / "data", tmp_path / "copy"
    make_folder(folder, 1)
    books = read_books(folder)
    write_books(folder, replace(books, urls=(f"sqlite:///{folder}/shards/0000.db",)))
    shutil.copytree(folder, copy)
    async with served(folder) as running:
        with pytest.raises(Complaint, match="is written by another switch"):
            async with served(copy):
                pass
        account = next(accounts_on(0, 1))
        assert not (await running.switch._shards.submit(open_account(account))).decline


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "0000.db"
    command = [sys.executable, "-c", HOLDS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"taken\n"
        with pytest.raises(Complaint, match=f"process {holder.pid}"):
            ShardLock(path)
        holder.kill()
        holder.wait()
    ShardLock(path).release()


def test_a_missing_file_gets_no_lock(tmp_path: Path) -> None:
    [there] = addresses(["sqlite:///shards/0000.db"], tmp_path, BOOKS_ID)
    with pytest.raises(Complaint, match="cannot be read"):
        there.prepare()
    assert list(tmp_path.rglob("*.lock")) == []


def test_a_file_system_without_locks_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a shard file and of a data folder; that another switch writes it is not known."""
    make_folder(tmp_path / "data", 1)

    def without(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", without)
    for act in (
        lambda: ShardLock(tmp_path / "0000.db"),
        lambda: Lock(tmp_path / "data"),
        lambda: is_locked(tmp_path / "data"),
    ):
        with pytest.raises(Complaint, match=r"No locks available.*its file system has no locks"):
            act()
