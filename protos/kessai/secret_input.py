"""Secrets on their way in: a PIN or a pairing code is typed, piped in, or read from a file.

Never from the arguments, which every user of a machine can read (`/proc/PID/cmdline`), nor from the
environment, which every child process gets. A file must be its owner's alone.
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
from pathlib import Path

from kessai.complaint import Complaint

_MAX_CHARACTERS = 4_096


def read_secret(what: str, file: Path | None, option: str, argument: str = "") -> str:
    """One line: from `file`, else asked for at a terminal, else the next line of standard input.

    Complaint if there is none, if the file is open to others, or if it came as an `argument`.
    `what` names it for people ("pairing code"), `option` is the file's ("--uri-file").
    """
    if argument:
        raise Complaint(
            f"A {what} among the arguments can be read by anybody on this machine: leave it out, "
            f"and type it when asked, pipe it in, or name its file with {option}. Nothing was done."
        )
    if file is not None:
        return _required(_first_line(file, what), what, option)
    if sys.stdin.isatty():
        return _required(getpass.getpass(f"{what[0].upper()}{what[1:]}: "), what, option)
    return _required(sys.stdin.readline(_MAX_CHARACTERS), what, option)


def _first_line(file: Path, what: str) -> str:
    try:
        with open(file) as opened:
            status = os.fstat(opened.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                raise Complaint(
                    f"{file} holds a {what}, and others may read it: chmod 600 {file}, then again."
                )
            return opened.readline(_MAX_CHARACTERS)
    except (OSError, UnicodeDecodeError) as error:
        raise Complaint(f"The {what} cannot be read from {file}: {error}.") from None


def _required(line: str, what: str, option: str) -> str:
    secret = line.strip()
    if not secret:
        raise Complaint(
            f"There is no {what}: type it when asked, pipe it in, or name its file with {option}."
        )
    return secret
