"""Settlements to bring to the shards directly: commands with signed documents, as the switch makes.

They are what `server/switch/register_purchase.py` builds once it has verified a purchase. Prepared
in processes of their own, before any clock starts; `start_with` is the pool's initializer. Used by
`engine.py` and the benches that measure the account store without a wire.
"""

from __future__ import annotations

import random
from itertools import accumulate

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.currency import BY_CODE
from kessai.envelope import PAYMENT_AUTHORIZATION, PAYMENT_REQUEST, sign
from kessai.v1.payment_pb2 import PaymentEvidence
from server.domain.history import expire_us_of, payment_input_hash
from server.domain.payment import SettlePayment
from simulators.load.books import Payees, Population, die_quietly, merchant_name
from simulators.load.documents import DEAREST_MINOR, agree, ask

_TERMINAL_ID = "till-1"


class _Town:
    """Who pays whom. All terminals have one key and so have all phones: nobody verifies here."""

    def __init__(self, population: Population, payees: Payees) -> None:
        self.population = population
        self.terminal_key = Ed25519PrivateKey.generate()
        self.wallet_key = ec.generate_private_key(ec.SECP256R1())
        self.payees = range(population.merchants)
        self.weights = list(accumulate(payees.weight(rank) for rank in self.payees))


_town: _Town


def start_with(population: Population, payees: Payees) -> None:
    """Say, in a process that will prepare settlements, between whom they are."""
    global _town  # noqa: PLW0603
    die_quietly()
    _town = _Town(population, payees)


def prepare(count: int, seed: int) -> list[SettlePayment]:
    """Make settlements from customers drawn evenly to payees drawn by their weights."""
    dice = random.Random(seed)  # noqa: S311
    payees = dice.choices(_town.payees, cum_weights=_town.weights, k=count)
    return [_prepare(dice, payee) for payee in payees]


def _prepare(dice: random.Random, merchant: int) -> SettlePayment:
    payer, wallet = _town.population.account(dice.randrange(_town.population.accounts))
    request = ask(merchant_name(merchant), _TERMINAL_ID, dice.randrange(1, DEAREST_MINOR))
    signed_request = sign(PAYMENT_REQUEST, request, _town.terminal_key)
    authorization = agree(request, signed_request, payer)
    evidence = PaymentEvidence(
        payment_request=signed_request,
        authorization=sign(PAYMENT_AUTHORIZATION, authorization, _town.wallet_key),
        wallet_id=wallet,
    )
    return SettlePayment(
        request_id=request.request_id,
        input_hash=payment_input_hash(signed_request.payload, evidence.authorization.payload),
        payer=payer,
        payee=_town.population.merchant_account(merchant),
        amount=request.total.amount_minor,
        ledger=BY_CODE[request.total.currency_code].number,
        body=evidence.SerializeToString(),
        wallet=wallet,
        create_us=request.create_time.ToMicroseconds(),
        expire_us=expire_us_of(request, authorization),
    )
