"""Payments to send: signed by terminals and phones and sealed, before any clock starts.

Signing is the phones' and the terminals' work, not the switch's, so it is done beforehand, in
processes of its own. Answers are checked there as well, after the clock has stopped. `start_with`
is the pool's initializer. Used by `wire.py`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from kessai.envelope import (
    PAYMENT_AUTHORIZATION,
    PAYMENT_REQUEST,
    RECEIPT,
    EnvelopeError,
    open_signed,
    sign,
)
from kessai.request_id import format_request_id
from kessai.seal import seal
from kessai.v1 import payment_pb2
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import (
    PaymentRequest,
    Receipt,
    SettlePaymentRequest,
    SettlePaymentResponse,
)
from simulators.load.books import Population
from simulators.load.documents import DEAREST_MINOR, agree, ask
from simulators.load.parties import Parties
from simulators.load.processes import die_quietly


@dataclass(frozen=True, slots=True)
class Payment:
    """A serialised SettlePaymentRequest, whose terminal sends it, and how to know its receipt."""

    terminal: int
    message: bytes
    request_id: bytes
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A payment and what the switch answered: a serialised SettlePaymentResponse."""

    payment: Payment
    response: bytes


@dataclass(slots=True)
class Checked:
    """How many receipts say settled, over how much, and what is wrong with the others."""

    settled: int = 0
    settled_minor: int = 0
    faults: list[str] = field(default_factory=list)


class _Signers:
    """The keys of all terminals and wallets, loaded once in each process."""

    def __init__(self, parties: Parties, population: Population) -> None:
        self.population = population
        self.terminals = [
            (party.merchant_id, party.terminal_id, Ed25519PrivateKey.from_private_bytes(raw))
            for party in parties.terminals
            for raw in (party.signing_key,)
        ]
        self.wallets = [_load_wallet(key) for key in parties.wallet_keys]
        identity = parties.terminals[0].identity
        self.sealing_key: X25519PublicKey = identity.sealing_key
        self.switch_key = identity.switch_key


_signers: _Signers


def start_with(parties: Parties, population: Population) -> None:
    """Load the keys in a process that will prepare payments or check answers."""
    global _signers  # noqa: PLW0603
    die_quietly()
    _signers = _Signers(parties, population)


def prepare(count: int, seed: int) -> list[Payment]:
    """Make payments between customers and terminals that the seed draws evenly."""
    dice = random.Random(seed)  # noqa: S311
    return [_prepare(dice) for _ in range(count)]


def check(answers: list[Answered]) -> Checked:
    """Verify receipts as a terminal does: the switch's signature, the request, the amount."""
    checked = Checked()
    for answered in answers:
        fault = _fault(answered)
        if fault:
            checked.faults.append(fault)
        else:
            checked.settled += 1
            checked.settled_minor += answered.payment.amount_minor
    return checked


def _prepare(dice: random.Random) -> Payment:
    signers = _signers
    terminal = dice.randrange(len(signers.terminals))
    request, signed_request = _ask(terminal, dice.randrange(1, DEAREST_MINOR))
    index = signers.population.payer(dice)
    message = SettlePaymentRequest(
        request_id=format_request_id(request.request_id),
        payment_request=signed_request,
        sealed_authorization=_authorize(index, request, signed_request),
    )
    amount = request.total.amount_minor
    return Payment(terminal, message.SerializeToString(), request.request_id, amount)


def _ask(terminal: int, price: int) -> tuple[PaymentRequest, Signed]:
    merchant_id, terminal_id, terminal_key = _signers.terminals[terminal]
    request = ask(merchant_id, terminal_id, price)
    return request, sign(PAYMENT_REQUEST, request, terminal_key)


def _authorize(index: int, request: PaymentRequest, signed_request: Signed) -> Sealed:
    signers = _signers
    account, _ = signers.population.account(index)
    authorization = agree(request, signed_request, account)
    wallet_key = signers.wallets[index % signers.population.wallets]
    opened = sign(PAYMENT_AUTHORIZATION, authorization, wallet_key).SerializeToString()
    return seal(opened, signers.sealing_key, authorization.request_hash)


def _fault(answered: Answered) -> str:
    signed = SettlePaymentResponse.FromString(answered.response).receipt
    try:
        receipt = open_signed(signed, RECEIPT, _signers.switch_key, Receipt.FromString)
    except EnvelopeError as error:
        return f"a receipt is not good: {error}"
    if receipt.request_id != answered.payment.request_id:
        return "a receipt is another payment's"
    if receipt.outcome != payment_pb2.PAYMENT_OUTCOME_SETTLED:
        return f"a payment was declined for reason {receipt.decline_reason}"
    if receipt.amount.amount_minor != answered.payment.amount_minor:
        return "a receipt is over another amount"
    return ""


def _load_wallet(der: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(der, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("a wallet's key is of P-256")
    return key
