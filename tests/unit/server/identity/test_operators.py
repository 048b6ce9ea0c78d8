"""Operators: a folder that opens a line, and a way to revoke it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.complaint import Complaint
from kessai.device_identity import load_identity
from kessai.enrollment.tls_key import signing_request
from server.identity.certificates import DAY_US
from server.identity.ends import tell_what_ends
from server.identity.refusals import RequestIdReused
from server.shards.directory import Directory
from server.shards.directory_file import DirectoryFile
from server.shards.operator_book import OperatorBook
from server.shards.tie_book import Restore, TieBook
from tests.unit.server.ports import Switch


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """The parts of a switch."""
    made = Switch(tmp_path)
    yield made
    made.directory.close()


def test_an_operator_has_an_identity_folder(switch: Switch) -> None:
    """Of the same form as a device's; it signs no documents."""
    made = switch.operators.add("joe", switch.folder / "joe", "host:7443")
    read = load_identity(switch.folder / "joe")
    assert read == made
    assert (read.kind, read.names, read.server_address) == ("operator", ("joe",), "host:7443")
    assert switch.directory.device("operator/joe") is not None
    assert switch.directory.signing_keys("operator/joe") == []


def test_an_operator_who_is_made_anew_replaces_his_former_self(switch: Switch) -> None:
    """The lost folder is worth nothing."""
    old = switch.operators.add("joe", switch.folder / "old", "host:7443")
    new = switch.operators.add("joe", switch.folder / "new", "host:7443")
    assert switch.directory.is_revoked(old.certificate.serial_number)
    assert not switch.directory.is_revoked(new.certificate.serial_number)


def test_no_operator_is_made_whom_nobody_can_revoke(switch: Switch) -> None:
    """Under the id of a pairing code that was withdrawn nothing is entered: nothing is issued."""
    request_id = switch.request_id()
    switch.desk.hand_out(request_id, "phone/ann/pixel", ())
    switch.directory.revoke("phone/ann/pixel", switch.clock())
    csr = signing_request(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(RequestIdReused):
        switch.operators.certify(request_id, "ghost", csr)


def test_what_ends_soon_is_told(switch: Switch) -> None:
    """Each start warns, in good time; a good year says nothing."""
    book = OperatorBook(switch.directory.file)

    def told(days: int) -> list[str]:
        later_us = switch.clock() + days * DAY_US
        with structlog.testing.capture_logs() as logs:
            tell_what_ends(switch.authority, book, lambda: later_us)
        return [entry["event"].split(",")[0].split(" ends")[0] for entry in logs]

    assert told(0) == ["the last operator's certificate"]  # there is no operator
    switch.operators.add("joe", switch.folder / "joe", "host:7443")
    assert told(0) == told(300) == []
    assert told(310) == ["the last operator's certificate"]
    assert told(3300) == ["an issuing certificate", "the last operator's certificate"]
    switch.directory.revoke("operator/joe", switch.clock())
    assert told(0) == ["the last operator's certificate"]


def test_what_is_refused(switch: Switch) -> None:
    """A name that cannot be one, and a folder that holds an identity."""
    with pytest.raises(Complaint, match="cannot name"):
        switch.operators.add("Joe", switch.folder / "joe", "host:7443")
    assert not (switch.folder / "joe").exists()
    first = switch.operators.add("joe", switch.folder / "joe", "host:7443")
    with pytest.raises(Complaint, match="already holds"):
        switch.operators.add("ann", switch.folder / "joe", "host:7443")
    assert load_identity(switch.folder / "joe") == first
    assert not switch.directory.is_revoked(first.certificate.serial_number)


def test_a_certificate_that_a_restore_lost_is_as_good_as_its_device(switch: Switch) -> None:
    """Made after the backup: the books do not know its number, and cannot revoke it."""
    joe = switch.operators.add("joe", switch.folder / "joe", "host:7443").certificate
    switch.clock.ahead_us += DAY_US
    copy = switch.folder / "copy.db"
    switch.directory.file.copy_to(copy)
    caller = switch.caller("operator/joe", joe.serial_number)
    later = signing_request(ec.generate_private_key(ec.SECP256R1()))
    chain = switch.enrollment.renew(caller, switch.request_id(), later).chain
    lost = {"operator/joe": x509.load_pem_x509_certificate(chain)}
    lost["operator/mallory"] = switch.operators.add(
        "mallory", switch.folder / "mallory", "host:7443"
    ).certificate
    switch.clock.ahead_us += DAY_US
    TieBook(DirectoryFile(copy)).accept_loss(Restore(switch.clock(), {0: 0}))
    with closing(Directory(copy)) as restored:

        def is_stray(device: str, certificate: x509.Certificate) -> bool:
            begin_us = int(certificate.not_valid_before_utc.timestamp()) * 1_000_000
            return restored.is_stray(device, certificate.serial_number, begin_us)

        assert [is_stray(*one) for one in lost.items()] == [False, True]
        restored.revoke("operator/joe", switch.clock())
        assert [is_stray(*one) for one in lost.items()] == [True, True]
        assert not is_stray("operator/joe", joe)  # by its number it is revoked
        assert restored.is_revoked(joe.serial_number)
