"""The states of a sale: goods are handed over in one of them, and only receipts lead there."""

from __future__ import annotations

import pytest

from edge_agents.counter.sale import NEXT_STATES, Sale, SaleState, WrongStep
from edge_agents.register.basket import Basket
from tests.unit.edge_agents.parties import make_pending


def test_every_state_has_its_steps() -> None:
    assert set(NEXT_STATES) == set(SaleState)


def test_settled_is_reached_from_the_switch_s_answer_only() -> None:
    before = {state for state, following in NEXT_STATES.items() if SaleState.SETTLED in following}
    assert before == {SaleState.SETTLING, SaleState.UNKNOWN, SaleState.WAITING_FOR_TAP}
    assert not NEXT_STATES[SaleState.SETTLED]


@pytest.mark.parametrize("state", list(SaleState))
def test_other_steps_are_refused(state: SaleState) -> None:
    for following in set(SaleState) - NEXT_STATES[state]:
        sale = Sale(Basket("EUR"), state)
        with pytest.raises(WrongStep):
            sale.advance(following)
        assert sale.state is state


def test_a_new_try_forgets_the_former_request() -> None:
    sale = Sale(Basket("EUR"), SaleState.WAITING_FOR_TAP, make_pending())
    sale.advance(SaleState.SCANNING)
    assert sale.pending is None
