"""B10: a door or a turnstile fails in each way that it can, while somebody stands before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulators.devices.barrier import BarrierFault
from tests.scenarios.shop import Shop
from tests.scenarios.venue import EntranceAgent, TurnstileAgent, Venue


@pytest.fixture(scope="module")
def venue(shop: Shop) -> Iterator[Venue]:
    opened = Venue(shop)
    yield opened
    opened.close()


def test_a_jammed_door_gives_the_entry_back(
    shop: Shop, venue: Venue, lone_door: EntranceAgent
) -> None:
    """Nobody got in, so the ticket is as it was."""
    ivy = shop.customer("ivy", 100_00)
    venue.sell(ivy)
    lone_door.door.jam()
    lone_door.tap(ivy)
    lone_door.steps.next("door_not_opened")
    lone_door.steps.next("given_back")
    lone_door.door.jam(False)
    lone_door.let_in(ivy)


def test_what_the_doors_reader_reports(shop: Shop, venue: Venue, lone_door: EntranceAgent) -> None:
    """Tamper is told, and people go in; without its contact nobody could see whether they do."""
    amy, door = shop.customer("amy", 100_00), lone_door.door
    venue.sell(amy)
    door.tamper()
    assert "tampered" in str(lone_door.steps.next("door_fault")["why"])
    door.cut_contact()
    assert "contact" in str(lone_door.steps.next("door_fault")["why"])
    assert lone_door.turn_away(amy) == "ENTRANCE_OUT_OF_SERVICE"
    door.cut_contact(False)
    assert "contact" in str(lone_door.steps.next("door_fault_over")["why"])
    lone_door.let_in(amy)
    door.tamper(False)
    lone_door.steps.next("door_fault_over")


def test_a_turnstile_that_fails(shop: Shop, venue: Venue, turnstile: TurnstileAgent) -> None:
    """Jammed, silent, noise, unplugged: nobody is let in. Nobody walks: the entry is given back."""
    leo = shop.customer("leo", 100_00)
    venue.sell(leo)
    board = turnstile.turnstile
    board.set_fault(BarrierFault.JAM)
    turnstile.steps.next("door_not_ready")
    assert turnstile.turn_away(leo) == "ENTRANCE_OUT_OF_SERVICE"
    board.set_fault(BarrierFault.SILENT)
    turnstile.steps.next("device_lost")
    board.set_fault(BarrierFault.GARBAGE)
    assert turnstile.turn_away(leo) == "ENTRANCE_OUT_OF_SERVICE"
    board.line.unplug()
    board.line.plug()
    board.set_fault(BarrierFault.NONE)
    turnstile.steps.next("door_ready")
    turnstile.tap(leo)
    turnstile.steps.next("door_not_opened")
    turnstile.steps.next("given_back")
    board.wait_until_shut()
    turnstile.send_phones_away()
    board.set_fault(BarrierFault.SLOW)
    turnstile.tap(leo)
    board.wait_until_open()
    assert board.walk_through()
    turnstile.steps.next("passed")
    board.set_fault(BarrierFault.NONE)


def test_a_turnstile_whose_board_restarts(
    shop: Shop, venue: Venue, turnstile: TurnstileAgent
) -> None:
    """It forgets who went in: one entry is uncertain and counts, and no crowd went in."""
    mia, board = shop.customer("mia", 100_00), turnstile.turnstile
    ticket = venue.sell(mia)
    board.restart(100)
    turnstile.tap(mia)
    board.wait_until_open()
    board.restart()
    assert "now it says 0" in str(turnstile.steps.next("entry_uncertain")["why"])
    venue.wait_until_told(ticket, 1)
    turnstile.send_phones_away()
    assert turnstile.turn_away(mia) == "TICKET_USED"
