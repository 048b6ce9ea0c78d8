"""Extreme values in every field of every request and of every signed document of a payment.

Whatever is sent, the call ends with a status that the method's comment names, never with a fault of
ours, and the switch serves on. KESSAI_EXAMPLES takes more values of each field.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from kessai.v1 import payment_pb2
from server.identity.permissions import PERMISSIONS
from tests.attack.extremes import extremes
from tests.attack.parties import Answer, Attacker, method_named
from tests.attack.plausible import plausible
from tests.attack.world import SETTLE, World

# Of all extreme values of a request, as many are tried.
EXAMPLES = int(os.environ.get("KESSAI_EXAMPLES") or 12)
FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)
METHODS = sorted(name for name in PERMISSIONS if name.startswith("/kessai."))


def drawn(message: Message, seed: int) -> Iterator[tuple[str, Message]]:
    """Some of the extreme copies of a message, or all."""
    every = list(extremes(message))
    dice = random.Random(seed)
    yield from every if len(every) <= EXAMPLES else dice.sample(every, EXAMPLES)


def callers(world: World, method: str) -> list[Attacker]:
    """Those who may call a method."""
    kinds = {str(kind.value) for kind in PERMISSIONS[method]}
    parties: list[Attacker] = [world.terminal, world.phone, world.operator]
    return [party for party in parties if party.identity.device.split("/")[0] in kinds]


def is_fault(answer: Answer) -> bool:
    """Whether a call ended with a fault of ours."""
    return answer.code in FAULTS


@pytest.mark.timeout(600)
@pytest.mark.parametrize("method", METHODS)
def test_no_request_is_a_fault(world: World, method: str, random_seed: int) -> None:
    """Each field of a plausible request in turn, by each kind of caller who may make it."""
    kind = GetMessageClass(method_named(method).input_type)
    for caller in callers(world, method):
        found = {
            said: answer
            for said, request in drawn(plausible(kind(), world), random_seed)
            if is_fault(answer := caller.call(method, request))
        }
        assert found == {}
        assert not is_fault(caller.call(method, b"\xff\xff\xff"))
        assert not is_fault(caller.call(method, b""))


@pytest.mark.timeout(600)
def test_no_payment_request_is_a_fault(world: World, random_seed: int) -> None:
    """A terminal signs extreme requests, and a phone agrees to each of them."""
    request, _ = world.terminal.ask()
    for said, changed in drawn(request, random_seed):
        asked = world.terminal.ask(alter=lambda own, to=changed: own.CopyFrom(to))  # type: ignore[misc]
        message = world.terminal.settlement(asked, world.phone.agree(asked))
        answer = world.terminal.call(SETTLE, message)
        assert not is_fault(answer), f"{said}: {answer}"
    world.assert_unharmed()


@pytest.mark.timeout(600)
def test_no_authorization_is_a_fault_or_moves_another_amount(
    world: World, random_seed: int
) -> None:
    """A phone agrees with extreme values, well signed: it pays what was asked for, or nothing."""
    asked = world.terminal.ask()
    authorization = payment_pb2.PaymentAuthorization()
    world.phone.agree(asked, authorization.CopyFrom)
    for said, changed in drawn(authorization, random_seed):
        before = world.switch.balance(world.phone.account_number)
        asked = world.terminal.ask()
        request_hash = payment_pb2.PaymentAuthorization()
        world.phone.agree(asked, request_hash.CopyFrom)

        def alter(own: payment_pb2.PaymentAuthorization, to: Message = changed) -> None:
            keeps = own.request_hash if ".request_hash" not in said else None  # noqa: B023
            own.CopyFrom(to)  # type: ignore[arg-type]
            if keeps is not None:
                own.request_hash = keeps

        message = world.terminal.settlement(asked, world.phone.agree(asked, alter))
        answer = world.terminal.call(SETTLE, message)
        assert answer.code is grpc.StatusCode.OK, f"{said}: {answer}"
        receipt = world.receipt(answer.response.receipt)
        settled = receipt.outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED
        paid = before - world.switch.balance(world.phone.account_number)
        assert paid == (asked[0].total.amount_minor if settled else 0), said
    world.assert_unharmed()
