"""A vending machine's cashless reader port: MDB/ICP behind an adapter that speaks lines of ASCII.

The adapter is the cashless peripheral (MDB/ICP 4.2 section 7, address 10H) on the machine's bus,
with its 5 ms answers and checksums; what it hears and is to say goes over a serial line, in the
"cashless slave" words of Qibixx's adapters, selection first:

    C,1                    ours: be there for the machine
    c,STATUS,<state>       INACTIVE, DISABLED, ENABLED (no vend), IDLE (a vend ends)
    c,STATUS,VEND,1.50,7   the machine asks: price, item number (VEND REQUEST)
    C,VEND,1.50            ours: approved, give it out (VEND APPROVED)
    C,STOP                 ours: denied (VEND DENIED)
    c,VEND,SUCCESS         it was given out (VEND SUCCESS)
    c,ERR,VEND 3           it was not (VEND FAILURE)
    c,ERR,"cashless is on" C,1 once more: whatever goes on goes on
    C,DISPLAY,<text>       ours, where configured: show it (DISPLAY REQUEST), at most 32 characters

Written after the maker's pages; no adapter of theirs was at hand. Used by `edge_agents/vending`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_agents.devices.glyphs import glyphs
from edge_agents.devices.text_line import TextDevice

ENABLE = "C,1"
DENY = "C,STOP"
MAX_DISPLAY = 32

_REQUEST = re.compile(r"c,STATUS,VEND,([0-9]{1,7}(?:\.[0-9]{1,3})?),([0-9]{1,5})")
_STATUS = re.compile(r"c,STATUS,(INACTIVE|DISABLED|ENABLED|IDLE)")
_FAILURE = re.compile(r"c,ERR,VEND ?([0-9]{0,3})")


@dataclass(frozen=True, slots=True)
class VendRequest:
    """The machine asks for money: the price as it writes it, such as "1.50", and the item."""

    price: str
    item: int


@dataclass(frozen=True, slots=True)
class VendResult:
    """The item was given out, or not."""

    delivered: bool


@dataclass(frozen=True, slots=True)
class Status:
    """The reader's state on the bus: INACTIVE, DISABLED, ENABLED or IDLE."""

    name: str


Word = VendRequest | VendResult | Status


def read_word(line: str) -> Word | None:
    """Read a line of the adapter; None for what means nothing here, garbage included."""
    line = line.strip()
    if request := _REQUEST.fullmatch(line):
        return VendRequest(request[1], int(request[2]))
    if status := _STATUS.fullmatch(line):
        return Status(status[1])
    if line == "c,VEND,SUCCESS":
        return VendResult(True)
    return VendResult(False) if _FAILURE.fullmatch(line) else None


def approve(price: str) -> str:
    """Write that an amount, such as "1.50", is approved."""
    return f"C,VEND,{price}"


def display(text: str) -> str:
    """Write what the machine's display is to show; what its line cannot carry becomes "?"."""
    shown = glyphs(text, "ascii")[:MAX_DISPLAY].replace(",", ";")
    return f"C,DISPLAY,{shown}"


class MdbAdapter(TextDevice):
    """The adapter on a serial line."""

    name = "machine"
