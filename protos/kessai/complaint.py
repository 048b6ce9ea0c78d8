"""Errors for people: what happened, what it means for the money, what to do next.

Raised anywhere below a command; `cli.main` prints the one line and ends with a non-zero exit code,
with no traceback.
"""


class Complaint(Exception):
    """One clear line for the person at the keyboard."""
