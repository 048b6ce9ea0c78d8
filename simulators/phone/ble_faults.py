"""The fault menu of a phone on BLE: what it says instead of an answer, and how its radio fails.

Used by `ble_field`, named by its option `fault=`. Faults of the radio itself are played by the air
(`simulators/air/peripheral.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from kessai.ble_profile import fragments

AIR_FAULTS = ("refuse", "vanish")
FAULTS = (
    *AIR_FAULTS,
    "silent",  # never answers
    "garbage",  # answers with what is no fragment
    "babble",  # answers with whole messages that mean nothing
    "disorder",  # sends the fragments of an answer in the wrong order
    "endless",  # sends a message that never ends
    "twice",  # gives each answer twice
    "slow",  # takes half a second for each fragment
)

_SLOW_S = 0.5
_ENDLESS = b"\x01" + bytes(19)


async def speak(answer: bytes, value_bytes: int, fault: str) -> AsyncIterator[bytes]:
    """Give the values that are notified for an answer, each at its time."""
    right = list(fragments(answer, value_bytes))
    if fault == "silent":
        return
    if fault == "garbage":
        right = [b"\x7f" + value[1:] for value in right]
    elif fault == "babble":
        right = [b"\x00" + bytes(reversed(answer))[: value_bytes - 1]]
    elif fault == "disorder":
        right = [*right[1:], right[0]]
    elif fault == "twice":
        right = [*right, *right]
    while fault == "endless":
        await asyncio.sleep(0)
        yield _ENDLESS
    for value in right:
        await asyncio.sleep(_SLOW_S if fault == "slow" else 0)
        yield value
