"""Files are written whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kessai.durable_file import make_folder, move_durably, remove_durably, write_durably


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """The new content stands under the name, and nothing else is left in the folder."""
    path = tmp_path / "file"
    write_durably(path, b"old")
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_private_file_is_never_open_to_others(tmp_path: Path) -> None:
    """Also when it takes the place of a file that was."""
    path = tmp_path / "key"
    write_durably(path, b"public")
    write_durably(path, b"secret", private=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    """As if it had never begun; what a crash left behind does not disturb the next one."""
    path = tmp_path / "file"
    write_durably(path, b"old")
    with pytest.raises(TypeError):
        write_durably(path, "no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_moving_and_removing(tmp_path: Path) -> None:
    """A move takes the other's place; removing what is not there is no error."""
    source, target = tmp_path / "a", tmp_path / "b"
    write_durably(source, b"a")
    write_durably(target, b"b")
    move_durably(source, target)
    assert target.read_bytes() == b"a"
    remove_durably(target)
    remove_durably(target)
    assert list(tmp_path.iterdir()) == []


def test_folders_are_for_their_owner(tmp_path: Path) -> None:
    """All that are made; one that exists stays as it is."""
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
