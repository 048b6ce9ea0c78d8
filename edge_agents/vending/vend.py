"""A vend, its states, and what a vending machine's reader works with. Used by `vending`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from edge_agents.devices.mdb_adapter import VendRequest
from edge_agents.events import Events
from edge_agents.hold_ends import HoldEnds
from edge_agents.journal import Journal
from edge_agents.payment_request import PendingPayment, RequestMaker
from edge_agents.vending.items import Items


class VendState(Enum):
    """Where a vend stands."""

    WAITING_FOR_TAP = "waiting for a tap"
    SETTLING = "settling"
    DISPENSING = "dispensing"


@dataclass
class Vend:
    """A vend: what the machine asked for, and whether it still waits for the answer.

    `is_left`: the machine is ready for another one and has not told how this one ended.
    """

    asked: VendRequest
    pending: PendingPayment
    state: VendState = VendState.WAITING_FOR_TAP
    is_wanted: bool = True
    is_left: bool = False


@dataclass(frozen=True, slots=True)
class VendingParts:
    """What a vending machine's reader works with. `items` is None where any number is sold."""

    terminal_id: str
    currency: str
    items: Items | None
    journal: Journal
    requests: RequestMaker
    ends: HoldEnds
    events: Events
    say: Callable[[str], None]
    show: Callable[[str], None]
    phone_wanted: asyncio.Event
    now_us: Callable[[], int]
    vend_s: float
    ask_s: float
    hold_s: int
