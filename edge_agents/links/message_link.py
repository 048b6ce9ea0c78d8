"""What a terminal needs of a radio: find a phone, exchange messages with it, see it leave.

The same for every radio, so `register` never learns which one it is. `radio.open_radio` gives one.
"""

from __future__ import annotations

from typing import Protocol

MAX_MESSAGE_BYTES = 64 * 1024


class LinkLost(Exception):
    """The phone left, or what came was no answer. Present the same request at the next tap."""


class MessageLink(Protocol):
    """One phone, for as long as it stays in the field."""

    async def exchange(self, message: bytes, timeout_s: float) -> bytes:
        """Send a message (at most 64 KiB) and give the answer; LinkLost if there is none.

        After a LinkLost the phone may or may not have read the message, and the link is of no more
        use: wait for a phone again.
        """
        ...


class Radio(Protocol):
    """A terminal's radio. It deals with one phone at a time."""

    @property
    def code(self) -> str | None:
        """The code that the customer enters on the phone, to be shown; None if touch is enough.

        The radio may change it by itself: look again from time to time.
        """
        ...

    def new_code(self) -> None:
        """Begin something new: phones that were given the former code are not meant any more."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether the reader works, as far as it knows; False while it is unplugged."""
        ...

    async def wait_for_phone(self, timeout_s: float) -> MessageLink | None:
        """Wait for a phone that runs our app; None if none came in time.

        Other cards in the field, and a reader that is unplugged for a while, only pass the time.
        """
        ...

    async def wait_until_gone(self, timeout_s: float) -> bool:
        """Wait until the field is empty; False if something still lies there after that time."""
        ...

    async def close(self) -> None:
        """Switch the field off and let go of the reader."""
        ...
