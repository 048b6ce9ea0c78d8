"""The authority's files and certificates, and the switch's own keys."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from kessai.complaint import Complaint
from server.identity.authority import Authority, renewal_us
from server.identity.keyring import Keyring
from tests.unit.server.ports import DAY_US, DOMAIN, Clock


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A new authority, as `kessai init` makes it, read again."""
    Authority.create(tmp_path / "identity", tmp_path / "offline-root", DOMAIN, Clock())
    return Authority.load(tmp_path / "identity", Clock())


def p256() -> ec.EllipticCurvePublicKey:
    """Make a public key."""
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.ExtensionType:
    """Read an extension of a certificate."""
    return certificate.extensions.get_extension_for_class(kind).value


def test_two_issuers_below_an_offline_root(authority: Authority, tmp_path: Path) -> None:
    """The root's key lies apart, with a note; the switch's folder does not hold it."""
    root = authority.root
    for issuer in (authority.devices, authority.phones):
        issuer.certificate.verify_directly_issued_by(root)
        assert issuer.key.public_key() == issuer.certificate.public_key()
        constraints = extension(issuer.certificate, x509.BasicConstraints)
        assert constraints == x509.BasicConstraints(ca=True, path_length=0)
    assert extension(root, x509.BasicConstraints) == x509.BasicConstraints(True, 1)
    offline = tmp_path / "offline-root"
    assert {path.name for path in offline.iterdir()} == {"root.key", "README.txt"}
    root_key = load_pem_private_key((offline / "root.key").read_bytes(), None)
    assert root_key.public_key() == root.public_key()
    assert "never needs it" in (offline / "README.txt").read_text()
    assert not (tmp_path / "identity" / "root.key").exists()
    assert authority.domain == DOMAIN


def test_secrets_are_for_the_owner_only(authority: Authority, tmp_path: Path) -> None:
    """All keys, 0600; the folders, 0700."""
    Keyring.create(tmp_path / "identity", os.urandom)
    for folder in (tmp_path / "identity", tmp_path / "offline-root"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.iterdir():
            if path.suffix in (".key", ".secret"):
                assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_client_certificate(authority: Authority) -> None:
    """A leaf and its issuer; one critical URI name; only terminals serve."""
    key = p256()
    issued = authority.issue("agent/shop/till", key)
    leaf, issuer = x509.load_pem_x509_certificates(issued.chain)
    assert issuer == authority.devices.certificate
    assert (leaf.serial_number, leaf.public_key()) == (issued.serial, key)
    assert leaf.not_valid_after_utc.timestamp() * 1e6 == issued.expire_us
    assert extension(leaf, x509.BasicConstraints) == x509.BasicConstraints(False, None)
    client, server = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
    usage = extension(leaf, x509.ExtendedKeyUsage)
    assert usage == x509.ExtendedKeyUsage([client, server])  # a hub serves its venue's doors
    for device in ("phone/ann/pixel", "operator/joe"):
        [leaf, _] = x509.load_pem_x509_certificates(authority.issue(device, key).chain)
        assert extension(leaf, x509.ExtendedKeyUsage) == x509.ExtendedKeyUsage([client])


def test_a_server_certificate(authority: Authority) -> None:
    """The chain goes up to the root, so that pairing finds it; host names and addresses."""
    issued = authority.issue_server(p256(), ("switch.test", "127.0.0.1", "::1"))
    leaf, issuer, root = x509.load_pem_x509_certificates(issued.chain)
    assert (issuer, root) == (authority.devices.certificate, authority.root)
    names = extension(leaf, x509.SubjectAlternativeName)
    assert isinstance(names, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["switch.test"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["127.0.0.1", "::1"]
    identities = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert identities == [f"spiffe://{DOMAIN}/server"]
    usage = extension(leaf, x509.ExtendedKeyUsage)
    assert usage == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


def test_serial_numbers_differ(authority: Authority) -> None:
    """Revocation goes by them."""
    key = p256()
    assert len({authority.issue("operator/joe", key).serial for _ in range(20)}) == 20


def test_an_authority_is_never_overwritten(authority: Authority, tmp_path: Path) -> None:
    """Nor are the switch's keys: they guard documents that exist."""
    with pytest.raises(Complaint, match="nothing was changed"):
        Authority.create(tmp_path / "identity", tmp_path / "other", DOMAIN, Clock())
    assert not (tmp_path / "other").exists()
    Keyring.create(tmp_path / "identity", os.urandom)
    with pytest.raises(Complaint, match="nothing was changed"):
        Keyring.create(tmp_path / "identity", os.urandom)


@pytest.mark.parametrize("name", ["root.crt", "devices-ca.key", "phones-ca.crt"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_damaged_authority_is_a_complaint(
    authority: Authority, tmp_path: Path, name: str, content: bytes | None
) -> None:
    """It says what to do."""
    path = tmp_path / "identity" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Complaint, match="restore it from a backup"):
        Authority.load(tmp_path / "identity", Clock())


def test_a_key_of_another_issuer_is_a_complaint(authority: Authority, tmp_path: Path) -> None:
    """Files that were mixed up would sign what nobody trusts."""
    folder = tmp_path / "identity"
    (folder / "phones-ca.key").write_bytes((folder / "devices-ca.key").read_bytes())
    with pytest.raises(Complaint, match="does not belong"):
        Authority.load(folder, Clock())


def test_the_keyring_reads_back(tmp_path: Path) -> None:
    """The same keys after a restart; the pairing code follows from secret and request."""
    made = Keyring.create(tmp_path, os.urandom)
    read = Keyring.load(tmp_path)
    assert read.signing_key.public_key() == made.signing_key.public_key()
    assert read.sealing_key.public_key() == made.sealing_key.public_key()
    assert read.pairing_code(b"r" * 16) == made.pairing_code(b"r" * 16)
    assert read.pairing_code(b"r" * 16) != made.pairing_code(b"s" * 16)


@pytest.mark.parametrize("name", ["signing.key", "sealing.key", "pairing.secret"])
@pytest.mark.parametrize("content", [None, b"zz", b"00" * 31])
def test_a_damaged_keyring_is_a_complaint(tmp_path: Path, name: str, content: bytes | None) -> None:
    """It names the file."""
    Keyring.create(tmp_path, os.urandom)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Complaint, match=name):
        Keyring.load(tmp_path)


def test_two_thirds_of_a_life() -> None:
    """Thirty days are renewed after twenty."""
    assert renewal_us(30 * DAY_US, 30) == 20 * DAY_US
