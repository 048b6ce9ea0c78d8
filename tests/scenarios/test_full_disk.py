"""A disk without room, or without the right to write: plain words, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningSwitch, kessai

FREE = "127.0.0.1:0"
INIT = ("--shards", "2", "--listen", FREE, "--pairing-listen", FREE, "--metrics-listen", "")
PAGE = 4096


def mount(*words: str) -> bool:
    """Mount; whether that is allowed here."""
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)):
        pytest.skip("needs to mount a small disk: run as root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, free_pages: int) -> None:
    """Leave room for so many pages."""
    (disk / "fill").unlink(missing_ok=True)
    room = os.statvfs(disk).f_bavail - free_pages
    (disk / "fill").write_bytes(bytes(PAGE * room))


def refused(*words: str) -> str:
    """What a command says that must end with an error and no traceback."""
    ended = kessai(*words, check=False)
    assert ended.returncode not in (0, 2), ended.stdout
    assert "Traceback" not in ended.stderr
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("kessai: "), ended.stderr
    return last


@pytest.mark.parametrize("pages", [0, 20, 45])
def test_a_data_folder_is_not_made_by_halves(disk: Path, pages: int) -> None:
    fill(disk, pages)
    says = refused("init", "--data", str(disk / "data"), *INIT)
    assert "is full" in says or "No space left" in says
    assert [path.name for path in disk.iterdir()] == ["fill"]


def test_a_switch_starts_on_a_full_disk_or_says_why_not(disk: Path) -> None:
    """And when there is room again it serves, with all the money that was there."""
    folder = disk / "data"
    kessai("init", "--data", str(folder), *INIT)
    switch = RunningSwitch.start(folder)
    account = switch.open_account("wallet/ann", 42, cash=500)
    switch.stop()
    for pages in (0, 7):
        fill(disk, pages)
        assert "ull" in refused("serve", "--data", str(folder))
    (disk / "fill").unlink()
    switch.restart()
    assert switch.balance(account) == 500
    switch.stop()
    switch.verify()


def test_a_read_only_disk_is_named(disk: Path) -> None:
    folder = disk / "data"
    kessai("init", "--data", str(folder), *INIT)
    assert mount("-o", "remount,ro", str(disk))
    assert str(folder) in refused("serve", "--data", str(folder))
    assert "cannot be made" in refused("init", "--data", str(disk / "other"), *INIT)


def test_a_backup_that_finds_no_room_says_so(disk: Path, tmp_path: Path) -> None:
    """SQLite's own word for it is "not an error"."""
    folder = tmp_path / "data"
    kessai("init", "--data", str(folder), *INIT)
    fill(disk, 30)
    says = refused("backup", str(disk / "backup"), "--data", str(folder))
    assert "disk is full" in says or "No space left" in says
    assert [path.name for path in disk.iterdir()] == ["fill"]
