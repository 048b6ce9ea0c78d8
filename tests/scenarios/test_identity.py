"""Who is who: pairing, renewal, revocation, certificates that are no good (design section 3)."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge_agents.journal import PaymentState
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity, load_identity, write_identity
from kessai.enrollment import pair
from kessai.pairing_code import PairingCode, format_code, parse_code, parse_pairing_uri
from kessai.v1.account_pb2 import GetAccountRequest
from kessai.v1.account_pb2_grpc import AccountServiceStub
from server.identity.authority import Authority
from simulators.phone.vault import Vault
from tests.running import CALL_LIMIT_S, RunningSwitch, kessai
from tests.scenarios.shop import APPROVE, BREAD, MERCHANT, MILK, Customer, Register, Shop

DAY_US = 86_400_000_000


def now_us() -> int:
    """Tell the time."""
    return time.time_ns() // 1_000


def test_a_code_makes_one_device(shop: Shop, tmp_path: Path) -> None:
    """The first who shows it is the terminal; whoever shows it later is nobody."""
    uri = shop.switch.pair_terminal(MERCHANT, "till-one")
    paired = kessai("agent", "pair", "--folder", str(tmp_path / "first"), says=uri)
    assert f"Paired as agent/{MERCHANT}/till-one" in paired.stdout
    second = kessai("agent", "pair", "--folder", str(tmp_path / "second"), check=False, says=uri)
    assert second.returncode == 1
    assert "Traceback" not in second.stderr
    assert not (tmp_path / "second" / "device.json").exists()


def test_a_wrong_code_has_five_tries(shop: Shop, tmp_path: Path) -> None:
    """After five wrong guesses at a code, the right one does not help any more."""
    pairing = parse_pairing_uri(shop.switch.pair_terminal(MERCHANT, "till-guessed"))
    for guess in range(1, 6):
        refusal = refusal_of(wrong(pairing, guess), tmp_path / "guesser")
        assert "code" in refusal
    assert refusal_of(pairing, tmp_path / "late") == refusal
    unhurt = shop.switch.pair_terminal(MERCHANT, "till-unhurt")
    kessai("agent", "pair", "--folder", str(tmp_path / "unhurt"), says=unhurt)
    assert load_identity(tmp_path / "unhurt").names == (MERCHANT, "till-unhurt")


def test_the_switch_proves_itself_too(shop: Shop, tmp_path: Path) -> None:
    """A code with another root's fingerprint is not told to whoever answers."""
    pairing = parse_pairing_uri(shop.switch.pair_terminal(MERCHANT, "till-careful"))
    elsewhere = replace(pairing, root_fingerprint=bytes(32))
    assert refusal_of(elsewhere, tmp_path / "careful")
    pair(pairing, tmp_path / "careful", Ed25519PrivateKey.generate(), "kessai test")


def test_a_register_renews_in_time(shop: Shop, alice: Customer) -> None:
    """With two thirds of its certificate's life over it gets a new one, and goes on selling."""
    register = shop.register("till-old")
    aged(shop.switch, register.folder, days=21)
    before = register.identity
    assert before.is_renewal_due(now_us())
    register.start()
    register.steps.next("certificate_renewed")
    after = register.identity
    assert after.certificate.serial_number != before.certificate.serial_number
    assert after.expire_us - now_us() > 29 * DAY_US
    assert after.device == before.device
    register.sell(alice, BREAD)


def test_a_phone_renews_in_time(shop: Shop) -> None:
    """It does so on the way, when its owner asks for the balance."""
    carol = shop.customer("carol", cash=12_34)
    aged(shop.switch, carol.folder, days=5)
    before = carol.identity
    assert "12.34 EUR" in kessai("phone", "balance", "--folder", str(carol.folder)).stdout
    assert carol.identity.expire_us - before.expire_us > 4 * DAY_US


def test_a_revoked_register(shop: Shop, alice: Customer) -> None:
    """Its next call is refused: it cannot tell that anything was paid, and hands over nothing."""
    before = shop.switch.balance(alice.account)
    register = shop.register("till-stolen")
    register.start()
    register.sell(alice, MILK)
    shop.switch.revoke(f"agent/{MERCHANT}/till-stolen")
    register.ring_up(BREAD)
    phone = register.tap(alice, *APPROVE)
    assert "CERTIFICATE_REFUSED" in register.steps.next("unknown")["why"]
    register.display.wait_for("NOT YET PAID Do not hand over")
    phone.kill()
    assert "paid" not in phone.names
    assert register.journal()[0].state is PaymentState.AUTHORIZED
    assert shop.switch.balance(alice.account) == before - 129


def test_a_revoked_phone(shop: Shop, register: Register) -> None:
    """Its owner's next question is refused, and its next purchase is declined."""
    bob = shop.customer("bob", cash=50_00)
    register.sell(bob, MILK)
    shop.switch.revoke(bob.identity.device)
    asked = kessai("phone", "balance", "--folder", str(bob.folder), check=False)
    assert asked.returncode == 1
    assert "The bank refuses" in asked.stderr
    register.ring_up(BREAD)
    phone = register.tap(bob, *APPROVE)
    assert register.steps.next("declined")["reason"] == "WALLET_REVOKED"
    register.display.wait_for("This phone was blocked.")
    assert phone.next("not-paid")["reason"] == "WALLET_REVOKED"
    assert shop.switch.balance(bob.account) == 48_71


def test_an_expired_certificate(shop: Shop, alice: Customer, tmp_path: Path) -> None:
    """A register says so and does not start; on the line it is not even answered."""
    register = shop.register("till-forgotten")
    aged(shop.switch, register.folder, days=31)
    told = kessai(
        "agent", "register", "--folder", str(register.folder), "--reader", register.reader,
        check=False,
    )  # fmt: skip
    assert told.returncode == 1
    assert "has expired" in told.stderr
    assert "Traceback" not in told.stderr
    assert call_with(shop, register.identity) is grpc.StatusCode.UNAVAILABLE
    phone = copy_of(alice, tmp_path)
    aged(shop.switch, phone, days=8)
    refused = kessai("phone", "balance", "--folder", str(phone), check=False)
    assert "has expired" in refused.stderr
    assert call_with(shop, load_identity(phone)) is grpc.StatusCode.UNAVAILABLE


def test_a_foreign_certificate(shop: Shop, tmp_path: Path) -> None:
    """An operator's of another switch, though it looks the same, is nobody here."""
    foreign = tmp_path / "foreign"
    kessai("init", "--data", str(foreign), "--shards", "1")
    stranger = load_identity(foreign / "operator")
    ours = shop.switch.operator
    disguised = replace(
        stranger, root_pem=ours.root_pem, identity=ours.identity, trust_bundle=ours.trust_bundle
    )
    assert call_with(shop, ours) is grpc.StatusCode.OK
    assert call_with(shop, disguised) is grpc.StatusCode.UNAVAILABLE


def test_a_phones_authority_makes_no_terminal(shop: Shop) -> None:
    """A terminal's name under the issuer of phones passes TLS, and is refused on the call."""
    authority = Authority.load(shop.switch.folder / "identity", now_us)
    swapped = replace(authority, devices=authority.phones)
    identity = shop.switch.operator
    key = load_pem_private_key(identity.key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    chain = swapped.issue(identity.device, key.public_key()).chain
    forged = replace(identity, chain_pem=chain)
    assert call_with(shop, forged) is grpc.StatusCode.UNAUTHENTICATED


def call_with(shop: Shop, identity: DeviceIdentity) -> grpc.StatusCode:
    """Ask for the shop's account as somebody; how it ended."""
    request = GetAccountRequest(account_number=shop.account)
    with shop.switch.channel(identity) as channel:
        try:
            AccountServiceStub(channel).GetAccount(request, timeout=CALL_LIMIT_S)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def wrong(pairing: PairingCode, guess: int) -> PairingCode:
    """Guess at a code: its beginning, which names it, is right, its end is not."""
    raw = bytearray(parse_code(pairing.code))
    raw[-1] ^= guess
    return replace(pairing, code=format_code(bytes(raw)))


def refusal_of(pairing: PairingCode, folder: Path) -> str:
    """Try to pair; what a person is told."""
    with pytest.raises(Complaint) as refused:
        pair(pairing, folder, Ed25519PrivateKey.generate(), "kessai test")
    assert not (folder / "device.json").exists()
    return str(refused.value)


def aged(switch: RunningSwitch, folder: Path, days: int) -> None:
    """Give a device the certificate that it would have if it had been paired some days ago."""
    identity = load_identity(folder)
    key = load_pem_private_key(identity.key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    authority = Authority.load(switch.folder / "identity", lambda: now_us() - days * DAY_US)
    leaf = authority.issue(identity.device, key.public_key())
    write_identity(folder, replace(identity, chain_pem=leaf.chain))


def copy_of(customer: Customer, folder: Path) -> Path:
    """Copy a phone, to let the copy age."""
    write_identity(folder / "copy", load_identity(customer.folder))
    Vault.create(folder / "copy", "1234", os.urandom)
    return folder / "copy"
