"""Errors for people: what happened, what it means for the money, what to do next.

Raised anywhere below a command; `cli.main` prints the one line and ends with a non-zero exit code,
with no traceback.
"""

from typing import ClassVar


class Complaint(Exception):
    """One clear line for the person at the keyboard."""

    exit_code: ClassVar[int] = 1


class Interrupted(Complaint):
    """One clear line for the person who pressed Ctrl-C: what is not known now."""

    exit_code = 130
