"""A phone and terminals in Node, written from docs/protocols alone, against a real switch.

The vectors first; then the story of `node/story.mjs`, which tells what each scene came to.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from kessai.money import Money
from kessai.v1 import ticket_pb2
from kessai.v1.ticket_pb2_grpc import TicketServiceStub
from tests.interop.node_phone import run_node
from tests.make_vectors import FOLDER as VECTORS
from tests.running import CALL_LIMIT_S, RunningSwitch, fresh_id
from tests.vectors.pages import examples

MERCHANT, NAME = "harbour-line", "Harbour Line"
CASH, PRICE = 1_000_00, 25_00
HOUR_S = 3_600


def offer_ticket(switch: RunningSwitch) -> dict[str, object]:
    """Put a ticket on sale, for one person and now; what the devices are told of it."""
    now_s = int(time.time())
    offer = ticket_pb2.TicketOffer(
        offer_id="day-pass",
        merchant_id=MERCHANT,
        event_id="old-town-hall",
        event_name="Old Town Hall",
        title="Adult",
        kind=ticket_pb2.TICKET_KIND_ADMISSION,
        price=Money(PRICE, "EUR").to_proto(),
        admits=1,
    )
    offer.valid_from_time.FromSeconds(now_s - HOUR_S)
    offer.valid_until_time.FromSeconds(now_s + HOUR_S)
    request = ticket_pb2.CreateTicketOfferRequest(request_id=fresh_id(), offer=offer)
    with switch.channel() as channel:
        TicketServiceStub(channel).CreateTicketOffer(request, timeout=CALL_LIMIT_S)
    return {"offer_id": offer.offer_id, "event_id": offer.event_id, "price": PRICE}


@pytest.fixture(scope="module")
def accounts(switch: RunningSwitch) -> tuple[str, str]:
    """A passenger's account and a carrier's, on the two shards of the switch or on one."""
    payee = switch.open_account(f"merchant/{MERCHANT}", 301)
    switch.create_merchant(MERCHANT, NAME, payee, "4111")
    return switch.open_account("wallet/noor", 302, CASH), payee


@pytest.fixture(scope="module")
def story(switch: RunningSwitch, node_folder: Path, accounts: tuple[str, str]) -> dict[str, Any]:
    """What the story came to, scene by scene."""
    terminals = {
        name: switch.pair_terminal(MERCHANT, f"{name}-1") for name in ("till", "entry", "exit")
    }
    phone = switch.pair_phone("noor", "noors-phone", accounts[0])
    friend = switch.pair_phone("bo", "bos-phone", switch.open_account("wallet/bo", 303))
    given = {"phone": phone, "friend": friend, "offer": offer_ticket(switch), **terminals}
    return run_node(node_folder, "story.mjs", says=json.dumps(given))


def test_the_vectors_are_reproduced(node_folder: Path) -> None:
    checked = run_node(node_folder, "vectors.mjs", str(VECTORS))
    assert checked.keys() == {path.name for path in VECTORS.glob("*.json")}
    assert all(count >= 10 for count in checked.values())


def test_the_worked_examples_of_the_pages_are_reproduced(node_folder: Path) -> None:
    assert run_node(node_folder, "pages.mjs", str(VECTORS)) == examples()


def test_a_purchase(story: dict[str, Any]) -> None:
    """Paid once, however it is asked again; refused where the pages say so."""
    assert story["paid"] == ["SETTLED", 748, "RECEIPT_ACCEPTED"]
    assert story["again"] == [True, True]
    assert story["byId"] == "SETTLED"
    assert story["otherContent"] == "REQUEST_ID_REUSED"
    assert story["declined"] == "CUSTOMER_DECLINED"
    assert story["tooMuch"] == ["DECLINED", "INSUFFICIENT_FUNDS"]
    assert story["stale"] == "REQUEST_ID_STALE"
    assert story["mismatch"] == "AUTHORIZATION_MISMATCH"
    assert story["sameExchange"] is True


def test_limits_are_inclusive(story: dict[str, Any]) -> None:
    """A lifetime of 120 s, and one of a microsecond more, for phone and switch."""
    assert story["longest"] == "SETTLED"
    assert story["tooLong"] == ["REQUEST_REFUSED", "REQUEST_MALFORMED"]


def test_holds(story: dict[str, Any]) -> None:
    assert story["held"] == "HELD"
    assert story["whileHeld"] == [CASH - 848, CASH - 848 - 1_000]
    assert story["captured"] == ["SETTLED", 300, 300]
    assert story["voided"] == "VOIDED"


def test_a_phone_submits_by_its_own_line(story: dict[str, Any]) -> None:
    assert story["submitting"] == "SUBMITTING"
    assert story["direct"] == ["SETTLED", "SETTLED"]
    assert story["followed"] == "SETTLED"


def test_streams_and_evidence(story: dict[str, Any]) -> None:
    """The log's hash at a receipt's place, and a deny list that is complete."""
    assert story["log"] == ["PRESENT", True]
    assert story["attached"] == [True, 0]


def test_a_payment_that_may_be_deferred(story: dict[str, Any]) -> None:
    """The terminal verified the holder's proof over the request and the sealed bytes."""
    assert story["deferred"] == "SETTLED"


def test_a_ride(story: dict[str, Any]) -> None:
    assert story["unknownHolder"] == "HOLDER_UNKNOWN"
    assert story["entered"] == "ADMISSION_KEPT"
    assert story["confirmedAgain"] == "UNSPECIFIED"
    assert story["left"] == "ADMISSION_CLOSED"
    assert story["afterwards"] == "ADMISSION_MISSING"
    assert story["twice"] == "ADMISSION_USED"


def test_an_entrance(story: dict[str, Any]) -> None:
    assert story["bought"] == "RECEIPT_ACCEPTED"
    assert story["tickets"] == 1
    shown = {"told": "UNSPECIFIED", "again": "UNSPECIFIED", "phone": "ENTRY_SHOWN"}
    assert story["admitted"] == shown
    assert story["full"] == "TICKET_USED"


def test_over_ble(story: dict[str, Any]) -> None:
    """Both ends of a session in Node, fragments of 19 bytes and of 511."""
    assert story["overBle"] == ["SETTLED", "RECEIPT_ACCEPTED"] * 2
    assert story["nonsense"] == "no fragment"


def test_texts_are_plain(story: dict[str, Any]) -> None:
    """No mark that turns the direction, no line break, no blank at an end."""
    assert story["odd"] == ["REQUEST_REFUSED", "REQUEST_MALFORMED"] * 3


def test_a_payer_asks_for_what_his_wallet_paid(story: dict[str, Any]) -> None:
    assert story["payersTickets"] == 1
    assert story["heldAndEnded"] == ["HELD", "SETTLED"]


def test_a_bill(story: dict[str, Any]) -> None:
    assert story["bill"] == ["SETTLED", "RECEIPT_ACCEPTED"]


def test_the_money_is_where_the_story_says(
    story: dict[str, Any], switch: RunningSwitch, accounts: tuple[str, str]
) -> None:
    """After a renewal, too."""
    assert story["renewed"] == "SETTLED"
    spent, to_bo = 748 + 2 * 5 + 30 + 100 + 300 + 200 + 150 + 320 + PRICE + 10, 625
    assert story["balance"] == [CASH - spent - to_bo] * 2
    assert switch.balance(accounts[0]) == CASH - spent - to_bo
    deadline = time.monotonic() + CALL_LIMIT_S
    while switch.balance(accounts[1]) != spent:
        assert time.monotonic() < deadline, "the carrier's money does not arrive"
        time.sleep(0.02)
