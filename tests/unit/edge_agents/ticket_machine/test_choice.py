"""What a customer chose: counts, currencies, limits, and what is asked for."""

from __future__ import annotations

import pytest

from edge_agents.ticket_machine.choice import MAX_TICKETS, Choice, DoesNotFit
from kessai.money import Money
from tests.unit.edge_agents.parties import make_terminal
from tests.unit.edge_agents.ticket_machine.offers import make_maker, make_offer

ADULT, CHILD = make_offer("adult", 2500), make_offer("child", 1200)


def test_orders_and_items_go_together() -> None:
    choice = Choice()
    for offer in (ADULT, CHILD, CHILD):
        choice.add(offer)
    assert choice.total == Money(4900, "EUR")
    assert [(o.offer_id, o.count) for o in choice.orders()] == [("adult", 1), ("child", 2)]
    assert [(i.quantity, i.unit_price_minor) for i in choice.items()] == [(1, 2500), (2, 1200)]


def test_a_request_is_chosen_again() -> None:
    choice = Choice()
    choice.add(ADULT)
    choice.count_newest(3)
    maker = make_maker(make_terminal())
    pending = maker.make("1", choice.items(), choice.total, ticket_orders=choice.orders())
    again = Choice.of_request(pending.request)
    assert (again.items(), again.orders()) == (choice.items(), choice.orders())
    assert again.is_offered([ADULT])


def test_what_was_chosen_last_is_counted_and_taken_back() -> None:
    choice = Choice()
    assert choice.count_newest(2) is None
    choice.add(ADULT)
    choice.add(CHILD)
    choice.count_newest(4)
    choice.add(ADULT)  # now this one is the last
    choice.count_newest(0)
    assert [(o.offer_id, o.count) for o in choice.orders()] == [("child", 4)]
    choice.count_newest(0)
    assert not choice


def test_no_more_than_a_payment_may_buy() -> None:
    choice = Choice()
    choice.add(ADULT)
    choice.count_newest(MAX_TICKETS)
    with pytest.raises(DoesNotFit):
        choice.add(CHILD)
    with pytest.raises(DoesNotFit):
        choice.count_newest(MAX_TICKETS + 1)
    assert choice.total == Money(MAX_TICKETS * 2500, "EUR")


def test_one_currency_at_a_time() -> None:
    choice = Choice()
    choice.add(ADULT)
    with pytest.raises(DoesNotFit, match="Pay those first"):
        choice.add(make_offer("foreign", 900, currency="CHF"))
    assert choice.total == Money(2500, "EUR")


def test_gone_or_dearer_is_noticed() -> None:
    choice = Choice()
    choice.add(ADULT)
    assert choice.is_offered([CHILD, ADULT])
    assert not choice.is_offered([CHILD])
    assert not choice.is_offered([make_offer("adult", 2600)])
    assert not choice.is_offered([make_offer("adult", 2500, currency="CHF")])


def test_a_long_name_is_cut_to_what_a_request_carries() -> None:
    choice = Choice()
    choice.add(make_offer("long", 100, title="t" * 40, event_name="e" * 60))
    assert len(choice.items()[0].description) == 60
