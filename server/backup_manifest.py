"""backup.json: the mark of a backup that is whole. It is written last, and read first.

It names every file with its hash, and of which moment the books are. The folder beside it is laid
out as a data folder, so `kessai ledger verify --data BACKUP` reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kessai.complaint import Complaint
from kessai.durable_file import write_durably
from kessai.json_file import read_json

MANIFEST = "backup.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    `moment_us`: all that was acknowledged before is in it, microseconds since 1970. `sequences` and
    `urls` give, by shard, the last log row and its address then; `files` a hash by name.
    """

    format: int
    books_id: str
    moment_us: int
    was_running: bool
    sequences: Sequence[int]
    urls: Sequence[str]
    files: Mapping[str, str]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it durably: from here on the backup is whole."""
    write_durably(folder / MANIFEST, json.dumps(asdict(manifest), indent=1).encode())


def read_manifest(folder: Path) -> Manifest:
    """Read it; Complaint if the folder is no whole backup."""
    path = folder / MANIFEST
    try:
        values = read_json(path)
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}, this release reads {FORMAT}")
        return _of_right_kinds(Manifest(**values))
    except FileNotFoundError:
        raise Complaint(
            f"{folder} is no whole backup: it has no {MANIFEST}, which is written last. Nothing "
            "was changed. Name the folder that kessai backup wrote."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Complaint(f"{path} cannot be read ({error}). Nothing was changed.") from None


def _of_right_kinds(manifest: Manifest) -> Manifest:
    numbers = (manifest.moment_us, *manifest.sequences)
    files = manifest.files
    texts = (manifest.books_id, *manifest.urls, *files.keys(), *files.values())
    if not all(isinstance(number, int) for number in numbers):
        raise ValueError("a moment or place is no number")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("an id, address, name or hash is no text")
    return manifest


def file_faults(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Name what is missing, further, or other than it was written."""
    present = set(files_of(folder))
    for name in sorted(set(manifest.files) | present):
        if name not in present:
            yield f"{name} is missing"
        elif name not in manifest.files:
            yield f"{name} was put in afterwards"
        elif hash_of(folder / name) != manifest.files[name]:
            yield f"{name} is not what was written"


def files_of(folder: Path) -> list[str]:
    """The names of all files of a backup but its manifest, relative to it."""
    found = [path for path in folder.rglob("*") if path.is_file() and not _is_a_readers(path)]
    return sorted({str(path.relative_to(folder)) for path in found} - {MANIFEST})


def _is_a_readers(path: Path) -> bool:
    # Whoever reads a database leaves these beside it; a WAL that holds something is no reader's.
    is_empty_wal = path.name.endswith("-wal") and not path.stat().st_size
    return path.name.endswith("-shm") or is_empty_wal


def tidy(folder: Path) -> None:
    """Remove what readers of the databases have left beside them."""
    for path in folder.rglob("*.db-*"):
        if _is_a_readers(path):
            path.unlink()


def hash_of(path: Path) -> str:
    """SHA-256 of a file, in hex; OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
