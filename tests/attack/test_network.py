"""A network in hostile hands: it delays and denies, and changes nothing."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from kessai.v1 import payment_pb2
from kessai.v1.payment_pb2 import GetPaymentRequest, SettlePaymentRequest
from server.identity.certificates import Validity, make_root
from tests.attack.network import HostileNetwork, honest
from tests.attack.parties import Answer, HostileTerminal
from tests.attack.world import SETTLE, World

GET = "/kessai.v1.PaymentService/GetPayment"
CUTS = 6
# gRPC says UNKNOWN of a line that breaks while an answer comes ("Stream removed").
LOST = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
)


@pytest.fixture
def network(world: World) -> Iterator[HostileNetwork]:
    """A network between the terminal and the switch."""
    with closing(HostileNetwork(world.switch.address)) as between:
        yield between


def behind(network: HostileNetwork, world: World) -> HostileTerminal:
    """The world's terminal, on a line of its own through the network."""
    identity = replace(world.terminal.identity, server_address=network.address)
    return HostileTerminal(identity, world.terminal.key)


def payment(world: World) -> SettlePaymentRequest:
    """An honest payment, ready to be sent."""
    asked = world.terminal.ask()
    message: SettlePaymentRequest = world.terminal.settlement(asked, world.phone.agree(asked))
    return message


def is_settled(world: World, answer: Answer) -> bool:
    """Whether a call was answered with the receipt of a settled payment."""
    if answer.response is None:
        return False
    outcome = world.receipt(answer.response.receipt).outcome
    return outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED


@pytest.mark.parametrize("way", ["to_switch", "to_party"])
def test_an_altered_line_breaks_and_moves_nothing_twice(
    world: World, network: HostileNetwork, way: str, random_seed: int
) -> None:
    """A bit turned around on the line ends it; the same payment, sent again, is settled once."""
    dice = random.Random(random_seed)
    before = world.switch.balance(world.phone.account_number)
    message = payment(world)
    with closing(behind(network, world)) as terminal:
        assert terminal.call(GET, GetPaymentRequest(request_id=message.request_id)).reason

        def turn_one_bit(content: bytes) -> bytes | None:
            altered = bytearray(content)
            altered[dice.randrange(5, len(altered))] ^= 1 << dice.randrange(8)
            return bytes(altered)

        setattr(network, way, turn_one_bit)
        assert terminal.call(SETTLE, message).code in LOST
        setattr(network, way, honest)
    assert is_settled(world, world.terminal.call(SETTLE, message))
    paid = before - world.switch.balance(world.phone.account_number)
    assert paid == _amount(message)


def test_a_line_that_is_cut_anywhere_leaves_a_payment_whole_or_absent(
    world: World, network: HostileNetwork, random_seed: int
) -> None:
    """Whatever was carried until the cut: asking by id tells, and sending again pays once."""
    dice = random.Random(random_seed)
    for _ in range(CUTS):
        before = world.switch.balance(world.phone.account_number)
        message, left = payment(world), [dice.randrange(1, 3_000)]

        def cut_after(content: bytes, left: list[int] = left) -> bytes | None:
            left[0] -= len(content)
            return content if left[0] > 0 else None

        with closing(behind(network, world)) as terminal:
            assert terminal.call(GET, GetPaymentRequest(request_id=message.request_id)).reason
            setattr(network, dice.choice(("to_switch", "to_party")), cut_after)
            terminal.call(SETTLE, message)
            network.to_switch = network.to_party = honest
        found = world.terminal.call(GET, GetPaymentRequest(request_id=message.request_id))
        moved = before - world.switch.balance(world.phone.account_number)
        assert moved == (_amount(message) if is_settled(world, found) else 0)
        assert is_settled(world, world.terminal.call(SETTLE, message))
        assert before - world.switch.balance(world.phone.account_number) == _amount(message)


def test_another_server_in_the_middle_is_not_spoken_to(
    world: World, network: HostileNetwork
) -> None:
    """One with a certificate of another root learns nothing of what would have been sent."""
    seen = bytearray()

    def listen(content: bytes) -> bytes | None:
        seen.extend(content)
        return content

    network.to_switch = listen
    now_us = time.time_ns() // 1000
    root = make_root("a root of mine", "spiffe://mine", Validity.days(now_us, 1)).certificate
    identity = replace(
        world.terminal.identity,
        server_address=network.address,
        root_pem=root.public_bytes(Encoding.PEM),
    )
    message = payment(world)
    with closing(HostileTerminal(identity, world.terminal.key)) as terminal:
        assert terminal.call(SETTLE, message).code in LOST
    assert message.payment_request.payload[:16] not in bytes(seen)
    world.assert_unharmed()


def _amount(message: SettlePaymentRequest) -> int:
    request = payment_pb2.PaymentRequest.FromString(message.payment_request.payload)
    return request.total.amount_minor
