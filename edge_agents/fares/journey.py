"""The cost of rides that follow each other, and so what is still due for the last one of them.

A passenger pays at each exit what his journey costs until there, less what he paid for it before.
Of all prices that its rides may have, and the transfers between them, the cheapest sum counts. A
discount that would take more off than is due is kept for the next ride: no gate pays out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edge_agents.fares.ride import Offer, Ride
from edge_agents.fares.transfers import TransferRule, TransferRules


@dataclass(frozen=True, slots=True)
class Journey:
    """Rides that led to one another by transfers, oldest first, and what was charged for them.

    In minor units, before daily caps.
    """

    rides: tuple[Ride, ...] = ()
    charged_minor: int = 0


@dataclass(frozen=True, slots=True)
class Costs:
    """The sum due for a ride, minor units, and the journey that it belongs to from now on."""

    due_minor: int
    journey: Journey


@dataclass(frozen=True, slots=True)
class _State:
    """One way to price the rides so far.

    `closed` is the cost of those before `start`, `joined` that from there on; `key` and `count` say
    by which rules the last transfers went, how many of them, and since which ride.
    """

    group: str
    closed: int
    joined: int
    start: int
    key: tuple[str, str] | None = None
    count: int = 0
    since: int = 0

    @property
    def total(self) -> int:
        return self.closed + self.joined


class JourneyCosts:
    """Prices the last ride of a journey.

    `offers` lists what a ride may cost, `cheapest` what a product costs; None if it is not sold.
    """

    def __init__(
        self,
        transfers: TransferRules,
        offers: Callable[[Ride], list[Offer]],
        cheapest: Callable[[str], int | None],
    ) -> None:
        self._transfers, self._offers, self._cheapest = transfers, offers, cheapest

    def add(self, before: Journey, ride: Ride) -> Costs | None:
        """The costs of a ride after a journey; None if the tables do not have the ride."""
        states, rides = [_State("", 0, 0, 0)], list[Ride]()
        begin = closed = 0
        for each in (*before.rides, ride):
            offers = self._offers(each)
            if not offers and each is not ride:
                return self.add(Journey(), ride)  # a ride that this feed does not know joins none
            rides.append(each)
            last = len(rides) - 1
            states = _fewest(
                [new for old in states for new in self._after(old, rides, offers)], last
            )
            if all(state.start == last for state in states):
                # No price of the ride before leads on to one of this: what was before is settled.
                begin = last
                closed = min((state.closed for state in states), default=0)
                states = [state for state in states if state.closed == closed]
        if not states:
            return None
        due = max(0, min(state.total for state in states) - before.charged_minor)
        charged = before.charged_minor + due - closed
        return Costs(due, Journey(tuple(rides[begin:]), charged))

    def _after(self, state: _State, rides: Sequence[Ride], offers: list[Offer]) -> Iterator[_State]:
        last = len(rides) - 1
        for offer in offers:
            price = offer.price.minor
            joined = list(self._joined(state, rides, offer)) if last else []
            yield from joined
            if not joined:
                yield _State(offer.group, state.total, price, last)

    def _joined(self, state: _State, rides: Sequence[Ride], offer: Offer) -> Iterator[_State]:
        """The states after a transfer; none if no rule joins the two rides."""
        key, last = self._transfers.key_of(state.group, offer.group), len(rides) - 1
        if key is None:
            return
        goes_on = key == state.key and key[0] == key[1]
        count, since = (state.count + 1, state.since) if goes_on else (1, last - 1)
        for rule in self._transfers.matching(key, count, rides[since], rides[last]):
            price = self._price(rule)
            if price is None:
                continue
            is_first = state.start == last - 1
            before = state.joined if rule.pays_from or not is_first else 0
            joined = before + price + (offer.price.minor if rule.pays_to else 0)
            yield _State(offer.group, state.closed, joined, state.start, key, count, since)

    def _price(self, rule: TransferRule) -> int | None:
        return self._cheapest(rule.product) if rule.product else 0


def _fewest(states: list[_State], last: int) -> list[_State]:
    """Of states that go on alike after the `last` ride only the cheapest.

    A transfer may take the place of a ride's own price only if the state starts with that ride. Of
    all others the total alone counts from here on, or there were as many as there are sums.
    """
    kept: dict[tuple[object, ...], _State] = {}
    for state in states:
        replaced = state.joined if state.start == last else None
        alike = (state.group, replaced, state.key, state.count, state.since)
        if alike not in kept or state.total < kept[alike].total:
            kept[alike] = state
    return list(kept.values())
