"""Settlements to bring to the shards directly: commands with signed documents, as the switch makes.

They are what `server/switch/register_purchase.py` builds once it has verified a purchase. Prepared
in processes of their own, before any clock starts; `start` is the pool's initializer. Used by
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
from server.domain.payment import SettlePayment
from server.domain.payment_history import expire_us_of, payment_input_hash
from simulators.load.books import Payees, Population, merchant_name
from simulators.load.documents import DEAREST_MINOR, agree, ask
from simulators.load.processes import die_quietly

_TERMINAL_ID = "till-1"


class _Town:
    """Who pays whom. All terminals have one key and so have all phones: nobody verifies here."""

    def __init__(self) -> None:
        self.terminal_key = Ed25519PrivateKey.generate()
        self.wallet_key = ec.generate_private_key(ec.SECP256R1())


_town: _Town


def start() -> None:
    """Make the keys of a process that will prepare settlements."""
    global _town  # noqa: PLW0603
    die_quietly()
    _town = _Town()


def prepare(count: int, seed: int, population: Population, payees: Payees) -> list[SettlePayment]:
    """Make settlements from customers drawn evenly to payees drawn by their weights."""
    dice = random.Random(seed)  # noqa: S311
    ranks = range(population.merchants)
    weights = list(accumulate(payees.weight(rank) for rank in ranks))
    merchants = dice.choices(ranks, cum_weights=weights, k=count)
    return [_prepare(dice, population, merchant) for merchant in merchants]


def _prepare(dice: random.Random, population: Population, merchant: int) -> SettlePayment:
    payer, wallet = population.account(population.payer(dice))
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
        payee=population.merchant_account(merchant),
        amount=request.total.amount_minor,
        ledger=BY_CODE[request.total.currency_code].number,
        body=evidence.SerializeToString(),
        wallet=wallet,
        create_us=request.create_time.ToMicroseconds(),
        expire_us=expire_us_of(request, authorization),
    )
