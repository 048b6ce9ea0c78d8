"""A data folder: made by `kessai init`, locked by whoever writes in it, described while it runs.

kessai.toml      the configuration
directory.db     merchants, devices, certificates, settings
books.json       where the account stores are, and which of them keeps which accounts
shards/          the account stores that are files
identity/        the switch's keys and issuing authorities
offline-root/    the root key; to be moved off the machine
operator/        the identity of the operator who works on this machine
running.json     where the running switch listens
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from kessai.complaint import Complaint
from kessai.durable_file import begin_folder, close_to_others, write_durably
from kessai.identity_path import OPERATOR, IdentityError, format_identity, parse_identity
from kessai.json_file import read_json
from server.aside import refuse_mount_point
from server.backup_manifest import MANIFEST
from server.config import CONFIG_FILE, ServerConfig, write_sample
from server.identity.authority import Authority
from server.identity.keyring import Keyring
from server.identity.operators import Operators
from server.ledger.chart import MAX_SHARDS
from server.shards.books_file import Books as Books
from server.shards.books_file import read_books as read_books
from server.shards.books_file import write_books
from server.shards.directory import Directory
from server.shards.placement import SlotMap
from server.shards.shard_lock import no_locks, take_in_time
from server.shards.store import StoreUnavailable

OPERATOR_NAME = "operator"

_LOCK_FILE = "kessai.lock"
# A switch that was killed may have a process that still ends its last commit.
_LOCK_WAIT_S = 3.0
_RUNNING_FILE = "running.json"
_COPY = "directory-copy-"


@dataclass(frozen=True, slots=True)
class Running:
    """Where a running switch listens: host:port each, and its process id."""

    pid: int
    address: str
    pairing_address: str
    metrics_address: str


def create(
    folder: Path,
    domain: str,
    urls: Sequence[str],
    config: ServerConfig,
    now_us: Callable[[], int],
    random_bytes: Callable[[int], bytes],
) -> None:
    """Make a data folder and its shards, all or nothing; Complaint if something is there already.

    `urls` are the addresses of the shards (`server/shards/address.py`).
    """
    _refuse_what_cannot_be(folder, domain, len(urls))
    folder = folder.absolute()
    partial = folder.with_name(folder.name + ".partial")
    try:
        begin_folder(partial)
        books = Books(
            random_bytes(8).hex(),
            tuple(urls),
            SlotMap.even(len(urls)),
            for_tests=config.test_amounts,
        )
        with ExitStack() as undo:
            for address in books.addresses(partial):
                address.create()
                undo.callback(address.remove)
            write_books(partial, books)
            _create_identities(partial, domain, config, now_us, random_bytes)
            write_durably(partial / CONFIG_FILE, write_sample(config).encode())
            if folder.exists():
                folder.rmdir()
            partial.rename(folder)
            undo.pop_all()
    except (OSError, StoreUnavailable) as error:
        raise Complaint(f"{folder} cannot be made: {error}. Nothing was left behind.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class Lock:
    """The right to write in a data folder; it ends with the process at the latest."""

    def __init__(self, folder: Path) -> None:
        """Take the lock; Complaint if another process has it, or there is no such folder.

        From then on no other user of the machine can read the folder, or hold its lock.
        """
        if (folder / MANIFEST).exists():
            raise Complaint(
                f"{folder} is a backup, and stays as it is. Make a data folder of it first: "
                f"kessai restore {folder} --data FOLDER"
            )
        try:
            close_to_others(folder)
            self._file = os.open(folder / _LOCK_FILE, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise Complaint(
                f"{folder} is not a data folder that can be used ({error.strerror}). "
                f"Make one with: kessai init --data {folder}"
            ) from None
        if not take_in_time(self._file, _LOCK_WAIT_S, folder / _LOCK_FILE):
            raise Complaint(
                f"a switch is already running on {folder}. Only one may; nothing was changed."
            )

    def fileno(self) -> int:
        """Give the descriptor that has the lock; a process that is given it has the lock too."""
        return self._file

    def release(self) -> None:
        """Give the lock back; again is no error."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def is_locked(folder: Path) -> bool:
    """Whether a switch runs on a data folder; Complaint if that cannot be told."""
    try:
        with open(folder / _LOCK_FILE) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        raise no_locks(folder / _LOCK_FILE, error) from None
    return False


def running_here(address: str, pairing_address: str, metrics_address: str) -> Running:
    """Describe this process."""
    return Running(os.getpid(), address, pairing_address, metrics_address)


def announce(folder: Path, running: Running) -> None:
    """Say where the switch listens, once it does."""
    write_durably(folder / _RUNNING_FILE, json.dumps(asdict(running)).encode())


def withdraw(folder: Path) -> None:
    """Say that the switch no longer listens."""
    (folder / _RUNNING_FILE).unlink(missing_ok=True)


def read_running(folder: Path) -> Running | None:
    """Tell where a switch listens, if one runs on a data folder."""
    try:
        running = Running(**read_json(folder / _RUNNING_FILE))
        os.kill(running.pid, 0)
    except (OSError, ValueError, TypeError, OverflowError):
        return None
    return running


def directory_copies(folder: Path, directory: Directory) -> Callable[[str], str]:
    """Give what copies the directory into the folder, under a name; the file's name comes back.

    What was left of earlier copies is removed, now and at each call.
    """

    def remove_all() -> None:
        for left in folder.glob(f"{_COPY}*"):
            left.unlink(missing_ok=True)

    def copy(name: str) -> str:
        remove_all()
        file_name = f"{_COPY}{name}.db"
        directory.file.copy_to(folder / file_name)
        return file_name

    remove_all()
    return copy


def _create_identities(
    folder: Path,
    domain: str,
    config: ServerConfig,
    now_us: Callable[[], int],
    random_bytes: Callable[[int], bytes],
) -> None:
    authority = Authority.create(folder / "identity", folder / "offline-root", domain, now_us)
    keyring = Keyring.create(folder / "identity", random_bytes)
    directory = Directory(folder / "directory.db")
    operators = Operators(directory, authority, keyring, now_us, random_bytes)
    operators.add(OPERATOR_NAME, folder / "operator", address_of(config))
    directory.close()


def _refuse_what_cannot_be(folder: Path, domain: str, shards: int) -> None:
    if not 1 <= shards <= MAX_SHARDS:
        raise Complaint(f"a switch has 1 to {MAX_SHARDS} shards; nothing was made.")
    try:
        parse_identity(format_identity(domain, f"{OPERATOR}/{OPERATOR_NAME}"))
    except IdentityError:
        raise Complaint(f'"{domain}" is no domain like pay.example; nothing was made.') from None
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise Complaint(f"{folder} is not an empty folder; nothing was changed. Choose another.")
    refuse_mount_point(folder)


def address_of(config: ServerConfig) -> str:
    """Where devices and operators call: host:port of the main port."""
    return f"{config.public_host}:{config.listen.rpartition(':')[2]}"
