"""One sale at a counter, and the states that it goes through.

    scanning -> waiting for a tap -> authorised -> settling -> settled
        ^              |                              | +----> declined -> scanning
        +--------------+------------------------------+ +----> unknown -> as from settling

Goods are handed over in state SETTLED and in no other; a payment that was accepted without the
switch (`offline_decision`) is there, too. From UNKNOWN only a verified receipt leads on, or the
switch's word that it never took the payment up. What the phone submits (row B2) may be settled or
declined while the till still waits for a tap, and is unknown when its time is up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from edge_agents.payment_request import PendingPayment
from kessai.money import Money


class Basket(Protocol):
    """What a customer is about to buy."""

    def __bool__(self) -> bool:
        """Tell whether there is anything in it."""
        ...

    @property
    def total(self) -> Money:
        """What is to be paid."""
        ...


B = TypeVar("B", bound=Basket)


class SaleState(Enum):
    """Where a sale stands."""

    SCANNING = "scanning"
    WAITING_FOR_TAP = "waiting for a tap"
    AUTHORIZED = "authorized"
    SETTLING = "settling"
    SETTLED = "settled"
    DECLINED = "declined"
    UNKNOWN = "unknown"


NEXT_STATES: dict[SaleState, set[SaleState]] = {
    SaleState.SCANNING: {SaleState.WAITING_FOR_TAP},
    SaleState.WAITING_FOR_TAP: {
        SaleState.AUTHORIZED,
        SaleState.SCANNING,
        SaleState.SETTLED,
        SaleState.DECLINED,
        SaleState.UNKNOWN,
    },
    SaleState.AUTHORIZED: {SaleState.SETTLING},
    SaleState.SETTLING: {
        SaleState.SETTLED,
        SaleState.DECLINED,
        SaleState.UNKNOWN,
        SaleState.SCANNING,
    },
    SaleState.UNKNOWN: {SaleState.SETTLED, SaleState.DECLINED, SaleState.SCANNING},
    SaleState.DECLINED: {SaleState.SCANNING},
    SaleState.SETTLED: set(),
}


# No payment is under way: the customer may choose, and the display may say so.
AT_REST = (SaleState.SCANNING, SaleState.SETTLED, SaleState.DECLINED)


class WrongStep(Exception):
    """A step that the sale's state does not allow."""


@dataclass
class Sale(Generic[B]):
    """A basket, the request that was made of it if any, and the state."""

    basket: B
    state: SaleState = SaleState.SCANNING
    pending: PendingPayment | None = None

    def advance(self, state: SaleState) -> None:
        """Go on to another state; WrongStep if the table above does not have it."""
        if state not in NEXT_STATES[self.state]:
            raise WrongStep(f"a sale does not go from {self.state.value} to {state.value}")
        self.state = state
        if state is SaleState.SCANNING:
            self.pending = None
