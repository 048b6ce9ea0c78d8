"""Another user of the switch's or the till's machine: he can neither read, nor list, nor lock."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kessai.device_identity import load_identity
from tests.pairing import pair_agent, pair_phone
from tests.running import KESSAI, RunningSwitch, kessai

NOBODY = 65534
# Plain tools, because nobody may not be able to reach this interpreter either.
ATTEMPTS = {
    "list": ["ls", "{folder}"],
    "read balances": ["cat", "{folder}/shards/0000.db"],
    "read the WAL": ["cat", "{folder}/shards/0000.db-wal"],
    "read a key": ["cat", "{folder}/identity/signing.key"],
    "hold the switch's lock": ["flock", "--timeout", "10", "{folder}/kessai.lock", "true"],
    "hold a lock of SQLite": ["flock", "--nonblock", "{folder}/shards/0000.db-shm", "true"],
    "put something there": ["touch", "{folder}/running.json"],
}

needs_another_user = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs to become another user: run as root"
)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody can enter."""
    folder = Path(tempfile.mkdtemp(prefix="kessai-others-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def open_to_all(folder: Path) -> None:
    """Give everything in a folder the rights that it had before they were closed."""
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):  # a writer tidies up when its switch is gone
            path.chmod(0o755 if path.is_dir() else 0o644)


def what_nobody_can(folder: Path) -> list[str]:
    """Try everything as another user; what worked."""
    can = []
    for name, words in ATTEMPTS.items():
        command = [word.format(folder=folder) for word in words]
        tried = subprocess.run(
            command, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False
        )
        can += [name] if tried.returncode == 0 else []
    return can


def open_to_others(folder: Path) -> list[str]:
    """What others have any right to, but for links and sockets."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [str(path) for path in (folder, *files) if path.stat().st_mode & 0o077]


@needs_another_user
def test_another_user_can_do_nothing_with_a_data_folder(place: Path) -> None:
    """Also where an earlier version left it open: it is closed when the switch starts."""
    folder = place / "data"
    switch = RunningSwitch.start(folder, shards=1)
    switch.open_account("wallet/ann", 1, cash=100)
    try:
        assert what_nobody_can(folder) == []
        switch.kill()
        open_to_all(folder)
        assert {"list", "read balances", "hold the switch's lock"} <= set(what_nobody_can(folder))
        switch.restart()
        assert what_nobody_can(folder) == []
        switch.stop()
        assert what_nobody_can(folder) == []
    finally:
        switch.kill()


def test_whatever_a_command_writes_is_its_users_own(tmp_path: Path) -> None:
    """With an umask that would leave it open, as it usually is."""
    folder = tmp_path / "data"
    subprocess.run(
        [KESSAI, "init", "--data", str(folder), "--shards", "1"], check=True, umask=0o000,
        capture_output=True,
    )  # fmt: skip
    assert open_to_others(folder) == []


def test_a_shard_outside_the_data_folder_is_closed_too(place: Path) -> None:
    folder, shard = place / "data", place / "0000.db"
    free = ("--listen", "127.0.0.1:0", "--pairing-listen", "127.0.0.1:0", "--metrics-listen", "")
    kessai("init", "--data", str(folder), "--shard", f"sqlite:///{shard}", *free)
    assert stat.S_IMODE(shard.stat().st_mode) == 0o600
    shard.chmod(0o644)
    switch = RunningSwitch.start(folder)
    try:
        files = list(place.glob("0000.db*"))
        assert {path.suffix for path in files} == {".db", ".db-wal", ".db-shm", ".lock"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    finally:
        switch.stop()


def test_the_folders_of_agents_and_phones_are_closed(tmp_path: Path) -> None:
    """When they are paired, and when they are used again after somebody opened them."""
    switch = RunningSwitch.start(tmp_path / "data", shards=1)
    try:
        account = switch.open_account("wallet/ann", 1)
        switch.create_merchant("shop", "Shop", switch.open_account("merchant/shop", 2))
        till, phone = tmp_path / "till", tmp_path / "phone"
        for folder in (till, phone):
            folder.mkdir(mode=0o755)
        pair_agent(till, switch.pair_terminal("shop", "till-1"))
        pair_phone(phone, "4711", switch.pair_phone("ann", "pixel", account))
        for folder in (till, phone):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            folder.chmod(0o755)
            load_identity(folder)
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        switch.stop()
