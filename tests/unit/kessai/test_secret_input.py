"""Secrets come in by a pipe, a file of one's own, or a hidden prompt; never as an argument."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from kessai.complaint import Complaint
from kessai.secret_input import read_secret


def _pipe(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_lines_are_read_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    _pipe(monkeypatch, "kessai://pair?x \n4711\n")
    assert read_secret("pairing code", None, "--uri-file") == "kessai://pair?x"
    assert read_secret("PIN", None, "--pin-file") == "4711"


def test_a_file_is_read_only_if_it_is_one_s_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _pipe(monkeypatch, "0000\n")
    file = tmp_path / "pin"
    file.write_text("4711\nmore\n")
    file.chmod(0o644)
    with pytest.raises(Complaint, match="others may read it: chmod 600"):
        read_secret("PIN", file, "--pin-file")
    file.chmod(0o600)
    assert read_secret("PIN", file, "--pin-file") == "4711"
    with pytest.raises(Complaint, match="cannot be read"):
        read_secret("PIN", tmp_path / "none", "--pin-file")


def test_a_pipe_may_be_named_as_a_file() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"4711\n")
    os.close(writing)
    assert read_secret("PIN", Path(f"/dev/fd/{reading}"), "--pin-file") == "4711"
    os.close(reading)


def test_nothing_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    _pipe(monkeypatch, "  \n")
    with pytest.raises(Complaint, match="There is no PIN"):
        read_secret("PIN", None, "--pin-file")


def test_an_argument_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _pipe(monkeypatch, "4711\n")
    with pytest.raises(Complaint, match="anybody on this machine"):
        read_secret("PIN", None, "--pin-file", argument="4711")


def test_a_terminal_is_asked_without_an_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the library's own prompt, which turns the echo off."""
    main, side = os.openpty()
    with open(side, closefd=False) as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", terminal)
        patch.setattr("getpass.getpass", lambda prompt: f"typed at {prompt}")
        assert read_secret("PIN", None, "--pin-file") == "typed at PIN:"
    os.close(side)
    os.close(main)
