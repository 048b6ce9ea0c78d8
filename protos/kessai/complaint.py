"""Errors for people: what happened, what it means for the money, what to do next.

Raised anywhere below a command; `cli.main` prints the one line and ends with a non-zero exit code,
with no traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar


class Complaint(Exception):
    """One clear line for the person at the keyboard."""

    exit_code: ClassVar[int] = 1


class Interrupted(Complaint):
    """One clear line for the person who pressed Ctrl-C: what was done, and what is not known."""

    exit_code = 130


@contextmanager
def told_if_stopped(tell: Callable[[], str]) -> Iterator[None]:
    """Ctrl-C within ends as Interrupted; `tell` says what was done by then, and what was not."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {tell()}") from None
