"""Row B15: what the terminal and a listener get tells them nothing, and serves one request only."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kessai.account_number import parse_account, pretty_account
from kessai.envelope import KEY_ID_BYTES
from kessai.seal import SealBroken, unseal
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import PaymentAuthorization
from tests.unit.simulators.phone.conftest import PocketMaker
from tests.unit.simulators.phone.counter import ACCOUNT, Counter, hash_of, read


def test_the_bytes_on_the_air_name_nobody(counter: Counter, make_pocket: PocketMaker) -> None:
    """No account number in any form, no wallet, no key id, no public key, no request hash."""
    pocket = make_pocket()
    air = b""
    for _ in range(3):
        request = counter.request()
        air += pocket.wallet.answer(counter.present(request))
        air += pocket.wallet.answer(counter.inquire(request))
        air += pocket.wallet.answer(counter.deliver(counter.receipt(request)))
        sealed = read(pocket.wallet.answer(counter.inquire(request))).sealed_authorization
        signed = Signed.FromString(unseal(sealed, counter.sealing_key, hash_of(request)))
        account = parse_account(ACCOUNT)
        secrets = {
            "account number": ACCOUNT.encode(),
            "its pretty form": pretty_account(account).encode(),
            "its first twelve digits": ACCOUNT[:12].encode(),
            "its integer": account.to_bytes(8, "big").lstrip(b"\0"),
            "its integer, little end first": account.to_bytes(8, "little").rstrip(b"\0"),
            "wallet": b"ada-lovelace",
            "device": b"pocket",
            "key id": signed.key_id,
            "public key": pocket.vault.public_key[1:33],
            "signature": signed.signature,
        }
        assert len(signed.key_id) == KEY_ID_BYTES
        assert PaymentAuthorization.FromString(signed.payload).account_number == ACCOUNT
        assert [name for name, secret in secrets.items() if secret in air] == []


def test_two_payments_do_not_show_that_they_are_one_customers(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    """The encapsulated key is new each time; only the switch's key id is the same."""
    wallet = make_pocket().wallet
    first, second = (
        read(wallet.answer(counter.present(counter.request()))).sealed_authorization
        for _ in range(2)
    )
    assert first.key_id == second.key_id
    assert len(first.ciphertext) == len(second.ciphertext)
    pieces = {first.ciphertext[place : place + 6] for place in range(len(first.ciphertext) - 5)}
    others = {second.ciphertext[place : place + 6] for place in range(len(second.ciphertext) - 5)}
    assert not pieces & others


def test_it_opens_with_the_switchs_key_only(counter: Counter, make_pocket: PocketMaker) -> None:
    """Not with another's, not for another request, not with a bit turned around."""
    wallet, request = make_pocket().wallet, counter.request()
    sealed = read(wallet.answer(counter.present(request))).sealed_authorization
    assert unseal(sealed, counter.sealing_key, hash_of(request))
    with pytest.raises(SealBroken):
        unseal(sealed, X25519PrivateKey.generate(), hash_of(request))
    with pytest.raises(SealBroken):
        unseal(sealed, counter.sealing_key, hash_of(counter.request()))
    for place in range(0, len(sealed.ciphertext), 11):
        altered = bytearray(sealed.ciphertext)
        altered[place] ^= 0x80
        with pytest.raises(SealBroken):
            unseal(
                Sealed(key_id=sealed.key_id, ciphertext=bytes(altered)),
                counter.sealing_key,
                hash_of(request),
            )
