"""A hostile fleet's server at the switch: whatever it passes or invents, nothing moves wrongly.

It holds a good certificate, and every call that its machines signed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from kessai.envelope import RELAYED_CALL, read_verified, sign
from kessai.relayed import (
    CAPTURE_PAYMENT,
    GET_PAYMENT,
    RENEW_CERTIFICATE,
    SETTLE_PAYMENT,
    VOID_PAYMENT,
)
from kessai.v1 import payment_pb2 as pb
from kessai.v1.device_pb2 import RenewCertificateRequest, RenewCertificateResponse
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.relay_pb2 import GetRelayRequest, PassCallRequest, RelayedAnswer, RelayedCall
from tests.attack.parties import Answer
from tests.attack.world import FLEET, World
from tests.running import fresh_id

PRICE = 100
TOTAL = PRICE + 2 * 199
FLIPS = int(os.environ.get("KESSAI_EXAMPLES") or 40)
GET_RELAY = "/kessai.v1.RelayService/GetRelay"


def held(request: pb.PaymentRequest) -> None:
    """Make it a request that only holds the money, as vending machines do."""
    request.terms, request.hold_seconds = pb.SETTLEMENT_TERMS_HOLD, 300


def sale(
    world: World, alter: Callable[[pb.PaymentRequest], None] = held
) -> pb.SettlePaymentRequest:
    """What a machine asks the switch once a phone has agreed."""
    asked = world.terminal.ask(PRICE, alter)
    message: pb.SettlePaymentRequest = world.terminal.settlement(asked, world.phone.agree(asked))
    return message


def available(world: World) -> int:
    """What the customer can spend."""
    return world.switch.available(world.phone.account_number)


def receipt(world: World, answer: RelayedAnswer, kind: type[Message]) -> pb.Receipt:
    """The receipt in an answer, which must be no error."""
    assert answer.WhichOneof("result") == "response", answer
    response = kind()
    response.ParseFromString(answer.response)
    opened: pb.Receipt = world.receipt(response.receipt)  # type: ignore[attr-defined]
    return opened


def reason_in(answer: RelayedAnswer) -> str:
    """The ErrorReason of an answer that is an error."""
    assert answer.WhichOneof("result") == "status", answer
    info = ErrorInfo()
    for detail in Status.FromString(answer.status).details:
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def test_what_a_machine_signed_is_served_as_if_it_had_called(world: World) -> None:
    """Held, found, captured; the same request over its own line gets the same answer."""
    before, message = available(world), sale(world)
    ask = world.terminal.signed_call
    answer = world.relay.answer(ask(SETTLE_PAYMENT, message))
    first = receipt(world, answer, pb.SettlePaymentResponse)
    assert first.outcome == pb.PAYMENT_OUTCOME_HELD
    assert available(world) == before - TOTAL
    found = world.relay.answer(
        ask(GET_PAYMENT, pb.GetPaymentRequest(request_id=message.request_id))
    )
    assert receipt(world, found, pb.GetPaymentResponse) == first
    direct = world.terminal.call("/kessai.v1.PaymentService/SettlePayment", message)
    assert world.receipt(direct.response.receipt) == first
    capture = pb.CapturePaymentRequest(request_id=fresh_id(), payment_id=message.request_id)
    capture.amount.CopyFrom(first.amount)
    for _ in range(2):
        captured = world.relay.answer(ask(CAPTURE_PAYMENT, capture))
        outcome = receipt(world, captured, pb.CapturePaymentResponse).outcome
        assert outcome == pb.PAYMENT_OUTCOME_SETTLED
    assert world.switch.balance(world.phone.account_number) == available(world) == before - TOTAL


def test_a_machine_renews_its_certificate(world: World) -> None:
    """The answer is for its key, and signed."""
    request = RenewCertificateRequest(
        request_id=fresh_id(), certificate_signing_request=_signing_request()
    )
    answer = world.relay.answer(world.terminal.signed_call(RENEW_CERTIFICATE, request))
    renewed = RenewCertificateResponse.FromString(answer.response)
    assert renewed.certificate_chain.startswith(b"-----BEGIN CERTIFICATE")


@pytest.mark.timeout(300)
def test_no_altered_call_moves_anything(world: World, random_seed: int) -> None:
    """One bit anywhere: refused, or the same call; afterwards the true one holds once."""
    before, message = available(world), sale(world)
    call = world.terminal.signed_call(SETTLE_PAYMENT, message)
    content = PassCallRequest(call=call).SerializeToString(deterministic=True)
    dice = random.Random(random_seed)
    for position in dice.sample(range(len(content)), min(FLIPS, len(content))):
        altered = bytearray(content)
        altered[position] ^= 1 << dice.randrange(8)
        answer = world.relay.call("/kessai.v1.RelayService/PassCall", bytes(altered))
        assert answer.response is None, position
        assert available(world) == before
    world.relay.answer(call)
    assert available(world) == before - TOTAL


def test_a_repeat_has_one_effect(world: World) -> None:
    """Whatever is repeated, and in whatever order, long after it was served."""
    before, message = available(world), sale(world)
    settle = world.terminal.signed_call(SETTLE_PAYMENT, message)
    void = world.terminal.signed_call(
        VOID_PAYMENT, pb.VoidPaymentRequest(request_id=fresh_id(), payment_id=message.request_id)
    )
    first = world.relay.answer(settle)
    assert available(world) == before - TOTAL
    assert world.relay.answer(settle).response == first.response
    world.relay.answer(void)
    for call in (settle, void, settle, settle):
        world.relay.answer(call)
    assert available(world) == before
    found = pb.GetPaymentRequest(request_id=message.request_id)
    now = world.relay.answer(world.terminal.signed_call(GET_PAYMENT, found))
    assert receipt(world, now, pb.GetPaymentResponse).outcome == pb.PAYMENT_OUTCOME_VOIDED


@pytest.mark.parametrize("seconds", [-125, 125])
def test_an_old_or_early_call_is_not_served(world: World, seconds: int) -> None:
    before = available(world)

    def shift(call: RelayedCall) -> None:
        call.create_time.seconds += seconds

    stale = world.terminal.signed_call(SETTLE_PAYMENT, sale(world), alter=shift)
    assert refused(world.relay.pass_call(stale)) == "REQUEST_ID_STALE"
    assert available(world) == before


def refused(answer: Answer) -> str:
    """Why PassCall itself failed."""
    assert answer.response is None
    return answer.reason


def test_only_machines_of_its_merchants_and_calls_for_itself(world: World) -> None:
    """Neither another merchant's machine, nor what was given to another fleet's server."""
    other = world.relay_of("other", "rival")
    find = pb.GetPaymentRequest(request_id=fresh_id())
    theirs = world.rival.signed_call(GET_PAYMENT, find)
    assert refused(world.relay.pass_call(theirs)) == "CALLER_NOT_PERMITTED"
    ours = world.terminal.signed_call(GET_PAYMENT, find)
    assert refused(other.pass_call(ours)) == "CALLER_NOT_PERMITTED"
    misled = world.terminal.signed_call(GET_PAYMENT, find, fleet_id="other")
    assert refused(other.pass_call(misled)) == "CALLER_NOT_PERMITTED"
    assert reason_in(world.relay.answer(ours)) == "RESOURCE_UNKNOWN"


def test_one_machine_s_call_is_not_another_s(world: World) -> None:
    """The signature says who calls: a neighbour's payment is not there for it."""
    neighbour = world.terminal_of("neighbour", "till-1")
    both = world.relay_of("both", "corner", "neighbour")
    message = sale(world)
    both.answer(world.terminal.signed_call(SETTLE_PAYMENT, message, fleet_id="both"))
    before = available(world)
    void = pb.VoidPaymentRequest(request_id=fresh_id(), payment_id=message.request_id)
    answer = both.answer(neighbour.signed_call(VOID_PAYMENT, void, fleet_id="both"))
    assert reason_in(answer) == "RESOURCE_UNKNOWN"
    stolen = both.answer(neighbour.signed_call(SETTLE_PAYMENT, message, fleet_id="both"))
    declined = receipt(world, stolen, pb.SettlePaymentResponse)
    assert declined.outcome == pb.PAYMENT_OUTCOME_DECLINED
    assert available(world) == before


def test_it_invents_nothing(world: World) -> None:
    """By its own key or a phone's there is no call; nor one under a machine's name."""
    message = sale(world)
    world.relay.answer(world.terminal.signed_call(SETTLE_PAYMENT, message))
    before = available(world)
    void = pb.VoidPaymentRequest(request_id=fresh_id(), payment_id=message.request_id)
    good = world.terminal.signed_call(VOID_PAYMENT, void)
    call = read_verified(good, RelayedCall)
    forged = sign(RELAYED_CALL, call, world.relay.key)
    renamed = Signed()
    renamed.CopyFrom(forged)
    renamed.key_id = good.key_id
    by_phone = sign(RELAYED_CALL, call, world.phone.key)
    as_request = Signed()
    as_request.CopyFrom(message.payment_request)
    as_request.type = RELAYED_CALL
    for invented in (forged, renamed, by_phone, as_request, message.payment_request, Signed()):
        assert refused(world.relay.pass_call(invented)) == "FIELD_INVALID"
    assert available(world) == before


@pytest.mark.parametrize(
    "method",
    [
        "PaymentService/SubmitBatch",
        "LedgerService/GetLogHash",
        "FareService/ConfirmTravel",
        "DeviceService/RevokeDevice",
        "AccountService/GetAccount",
        "RelayService/PassCall",
        "/kessai.v1.PaymentService/GetPayment",
        "",
    ],
)
def test_no_other_method_is_passed(world: World, method: str) -> None:
    """Not even if the machine itself asks for it."""
    call = world.terminal.signed_call(method, pb.GetPaymentRequest(request_id=fresh_id()))
    assert refused(world.relay.pass_call(call)) == "CALLER_NOT_PERMITTED"


def test_what_the_machine_did_wrong_is_a_signed_answer(world: World) -> None:
    """As on a line of its own: bytes that are no request, an id that is none."""
    for request in (pb.GetPaymentRequest(request_id="x"), pb.SettlePaymentRequest()):
        answer = world.relay.answer(world.terminal.signed_call(SETTLE_PAYMENT, request))
        assert reason_in(answer) == "FIELD_INVALID"


def test_a_revoked_machine_is_not_served(world: World) -> None:
    """Its key is known, and good for nothing."""
    gone = world.terminal_of("gone", "till-1")
    relay = world.relay_of("gone", "gone")
    call = gone.signed_call(GET_PAYMENT, pb.GetPaymentRequest(request_id=fresh_id()), "gone")
    assert reason_in(relay.answer(call)) == "RESOURCE_UNKNOWN"
    world.switch.revoke(gone.identity.device)
    assert refused(relay.pass_call(call)) == "CERTIFICATE_REFUSED"


def test_a_revoked_server_passes_nothing(world: World) -> None:
    """And one whose list was changed passes for those on the new one."""
    relay = world.relay_of("ends", "corner")
    call = world.terminal.signed_call(GET_PAYMENT, pb.GetPaymentRequest(), "ends")
    assert reason_in(relay.answer(call)) == "FIELD_INVALID"
    world.switch.pair_relay("ends", "rival")
    assert relay.call(GET_RELAY, GetRelayRequest()).response.merchant_ids == ["rival"]
    assert refused(relay.pass_call(call)) == "CALLER_NOT_PERMITTED"
    world.switch.revoke("relay/ends")
    assert relay.pass_call(call).code is grpc.StatusCode.UNAUTHENTICATED


def test_nothing_of_it_harmed_anybody(world: World) -> None:
    assert world.relay.call(GET_RELAY, GetRelayRequest()).response.fleet_id == FLEET
    world.assert_unharmed()


def _signing_request() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec

    from kessai.enrollment.tls_key import signing_request

    return signing_request(ec.generate_private_key(ec.SECP256R1()))
