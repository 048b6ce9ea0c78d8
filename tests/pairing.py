"""Pairing in a test's own process: what `kessai agent pair` and `kessai phone pair` run.

The commands themselves have tests of their own. A world with many people is made this way, because
a process for each of them takes longer than all that it does. Used by `tests/scenarios`.
"""

from __future__ import annotations

from pathlib import Path

from edge_agents.cli import pair_terminal as _pair_terminal
from simulators.phone.pairing_cli import pair_phone as _pair_phone
from simulators.phone.pairing_cli import pay_without_pin as _without_pin


def pair_agent(folder: Path, pairing_uri: str) -> None:
    """Make a folder a terminal's, with the one-time code that the operator gave."""
    _pair_terminal(folder, pairing_uri)


def pair_phone(folder: Path, pin: str, pairing_uri: str) -> None:
    """Make a folder a phone's, with the one-time code that the bank gave; not in an event loop."""
    _pair_phone(folder, pairing_uri, pin)


def allow_without_pin(folder: Path, limit: str, pin: str) -> None:
    """Let a phone pay without its PIN up to an amount, such as "5.00 EUR"."""
    _without_pin(folder, limit, pin)
