"""Revocation cannot be outrun: whatever is issued to a device meanwhile dies with it.

Threads hammer the switch for a device while it is revoked, or paired anew. Whatever they were given
must be dead afterwards. `KESSAI_EXAMPLES` sets the number of rounds.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.enrollment.tls_key import signing_request
from kessai.holder import open_credential
from kessai.v1.bill_pb2 import WalletCertificate
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fleet_pb2 import DeviceReport
from kessai.v1.payment_pb2 import MerchantCertificate
from server.domain.directory import DenyKind, IssuedCertificate
from server.identity.enrollment import Application
from server.identity.refusals import CertificateRefused, FieldRefused, PairingRefused
from server.identity.wallets import Wallets
from server.shards.standing import CertificateRevoked
from tests.unit.server.identity.test_enrollment import PIXEL, TILL, application, p256
from tests.unit.server.identity.test_holders import LIMIT, asking
from tests.unit.server.ports import SHOP, Switch

ROUNDS = int(os.environ.get("KESSAI_EXAMPLES", "6"))
THREADS = 3
LIMIT_S = 60.0
Ends = Callable[[Switch, str], None]


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """The parts of a switch without daily limits, with one merchant."""
    made = Switch(tmp_path)
    made.enrollment._renewals_a_day = made.holders._credentials_a_day = 10**9
    made.merchants.add(SHOP)
    yield made
    made.directory.close()


@contextmanager
def switching_often() -> Iterator[None]:
    """Let threads take turns as often as possible."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def pair(switch: Switch, device: str) -> IssuedCertificate:
    """Pair a device with keys of its own."""
    key = Ed25519PrivateKey.generate() if device == TILL else p256()
    return switch.enrollment.enroll(application(switch, device, key))[0]


def revoke(switch: Switch, device: str) -> None:
    """End a device as an operator does."""
    switch.fleet.revoke(device)


def pair_anew(switch: Switch, device: str) -> None:
    """End a device as its successor does."""
    pair(switch, device)


def hammer(switch: Switch, device: str, work: Callable[[], None], end: Ends) -> None:
    """Work in several threads until each is refused, and end the device after its first answers."""
    begun, failed = threading.Semaphore(0), list[BaseException]()

    def run() -> None:
        try:
            while True:
                work()
                begun.release()
        except (CertificateRefused, CertificateRevoked, PairingRefused, FieldRefused):
            return
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    with switching_often():
        for thread in threads:
            thread.start()
        for _ in range(THREADS):
            assert begun.acquire(timeout=LIMIT_S)
        end(switch, device)
        for thread in threads:
            thread.join(LIMIT_S)
    assert not any(thread.is_alive() for thread in threads), "refused at last"
    assert failed == []


@pytest.mark.parametrize("end", [revoke, pair_anew])
def test_no_renewed_certificate_is_alive(switch: Switch, end: Ends) -> None:
    """Of a terminal; nor was a merchant certificate dated after the revocation."""
    for _ in range(ROUNDS):
        caller = switch.caller(TILL, pair(switch, TILL).serial)
        issued: list[IssuedCertificate] = []
        request = signing_request(p256())

        def renew() -> None:
            issued.append(switch.enrollment.renew(caller, switch.request_id(), request))  # noqa: B023

        hammer(switch, TILL, renew, end)
        ended_us = switch.clock()
        assert [one for one in issued if not switch.directory.is_revoked(one.serial)] == []
        for one in issued:
            signed = MerchantCertificate.FromString(payload_of(one.merchant_certificate))
            assert signed.issue_time.ToMicroseconds() <= ended_us
            leaf = x509.load_pem_x509_certificate(one.chain)
            entry_id = leaf.serial_number.to_bytes(20, "big")
            assert switch.deny_list.is_denied(DenyKind.CERTIFICATE, entry_id)


@pytest.mark.parametrize("end", [revoke, pair_anew])
def test_no_credential_is_alive(switch: Switch, end: Ends) -> None:
    """Each that was given is on the deny list."""
    for _ in range(ROUNDS):
        caller = switch.caller(PIXEL, pair(switch, PIXEL).serial)
        key, issued = ec.generate_private_key(ec.SECP256R1()), list[bytes]()

        def issue() -> None:
            signed = switch.holders.issue(caller, asking(switch, key), LIMIT)  # noqa: B023
            holder = open_credential(signed, switch.keyring.signing_key.public_key())
            issued.append(holder.credential_id)  # noqa: B023

        hammer(switch, PIXEL, issue, end)
        alive = [one for one in issued if switch.holders.find(one) is not None]
        assert alive == []


def test_no_wallet_certificate_is_dated_after_the_revocation(switch: Switch) -> None:
    """Nor made for the former phone once another one is paired."""
    wallets = Wallets(switch.directory, switch.keyring, switch.clock)
    for _ in range(ROUNDS):
        caller = switch.caller(PIXEL, pair(switch, PIXEL).serial)
        dates: list[int] = []

        def certify() -> None:
            made = WalletCertificate.FromString(wallets.certify(caller).payload)  # noqa: B023
            dates.append(made.issue_time.ToMicroseconds())  # noqa: B023

        hammer(switch, PIXEL, certify, revoke)
        device = switch.directory.device(PIXEL)
        assert device is not None
        assert device.revoke_us is not None
        assert max(dates) <= device.revoke_us


def test_no_settings_are_given_and_no_word_is_kept(switch: Switch) -> None:
    """Of a terminal that is in touch while it is paired anew."""
    for round_ in range(ROUNDS):
        caller = switch.caller(TILL, pair(switch, TILL).serial)

        def attach() -> None:
            switch.fleet.hear(caller, DeviceReport(state="former"))  # noqa: B023
            switch.fleet.config_for(caller)  # noqa: B023

        hammer(switch, TILL, attach, pair_anew)
        current = switch.caller(TILL, newest(switch, TILL))
        switch.fleet.hear(current, DeviceReport(state=f"new {round_}"))
        with pytest.raises(CertificateRevoked):
            switch.fleet.hear(caller, DeviceReport(state="former"))
        assert switch.fleet.state(TILL).report.state == f"new {round_}"


def test_no_device_is_made_by_a_code_that_was_withdrawn(switch: Switch) -> None:
    """Its enrolment is under way while the device is revoked, with its codes."""
    for round_ in range(ROUNDS * 4):
        pair(switch, PIXEL)
        asked = application(switch, PIXEL, p256())
        issued = list[IssuedCertificate]()
        begin = threading.Barrier(2)

        def enroll(asked: Application, begin: threading.Barrier) -> None:
            begin.wait(LIMIT_S)
            try:
                issued.append(switch.enrollment.enroll(asked, f"10.0.0.{round_}")[0])  # noqa: B023
            except PairingRefused:
                return

        thread = threading.Thread(target=enroll, args=(asked, begin))
        with switching_often():
            thread.start()
            begin.wait(LIMIT_S)
            switch.fleet.revoke(PIXEL)
            thread.join(LIMIT_S)
        assert [one for one in issued if not switch.directory.is_revoked(one.serial)] == []


def test_a_former_phone_gets_no_certificate_of_its_successor(switch: Switch) -> None:
    """A renewal that passed the guard before the device was paired anew."""
    caller = switch.caller(PIXEL, pair(switch, PIXEL).serial)
    pair_anew(switch, PIXEL)
    with pytest.raises(CertificateRevoked):
        switch.enrollment.renew(caller, switch.request_id(), signing_request(p256()))


def newest(switch: Switch, device: str) -> int:
    """The serial number of the certificate that a device has now."""
    rows = switch.directory.file.rows(
        "SELECT serial FROM certificate WHERE device = ? AND NOT revoked", device
    )
    return int.from_bytes(rows[0][0], "big")


def payload_of(signed: bytes) -> bytes:
    """What was signed."""
    return Signed.FromString(signed).payload
