"""The bar code scanner: lines of text that end in CR or LF, as hand scanners type them.

A register reads goods and function codes from it.
"""

from __future__ import annotations

from edge_agents.devices.text_line import TextDevice


class Scanner(TextDevice):
    """A scanner on a serial line; one reader at a time."""

    name = "scanner"
