"""The directory on a real file: it is durable, its caches never lie, revocation bites at once."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.complaint import Complaint
from kessai.envelope import PublicKey, key_id_of, raw_public_key
from kessai.money import Money
from server.domain.directory import (
    Device,
    DeviceEntry,
    IssuedCertificate,
    Merchant,
    PairingGrant,
    WalletKey,
)
from server.shards.directory import Directory
from server.shards.directory_tables import STEPS
from server.shards.lru import LruCache
from server.shards.pairing_book import PairingBook
from server.shards.sqlite_store import EXIT_DISK_FAILED
from server.shards.store import StoreUnavailable

NOW_US = 1_700_000_000_000_000
LATER_US = NOW_US + 86_400_000_000
TILL, PIXEL = "agent/shop/till", "phone/ann/pixel"


def now_us() -> int:
    """The time in these tests."""
    return NOW_US


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    """A new directory."""
    opened = Directory(tmp_path / "directory.db")
    yield opened
    opened.close()


def terminal_key() -> PublicKey:
    """Make the key of a terminal."""
    return Ed25519PrivateKey.generate().public_key()


def phone_key() -> PublicKey:
    """Make the key of a phone."""
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def entry(device: str, serial: int, key: PublicKey, expire_us: int = LATER_US) -> DeviceEntry:
    """A device as it is enrolled; the request id follows from the serial number."""
    certificate = certificate_of(device, serial, expire_us)
    return DeviceEntry(certificate, key_id_of(key), raw_public_key(key), "1.0", NOW_US)


def certificate_of(device: str, serial: int, expire_us: int = LATER_US) -> IssuedCertificate:
    """A certificate whose request id follows from its serial number."""
    request_id = serial.to_bytes(20, "big")[-16:]
    return IssuedCertificate(serial, device, request_id, b"h" * 32, b"pem", b"signed", expire_us)


def grant(request_id: bytes, handle: bytes, device: str = TILL) -> PairingGrant:
    """A pairing code's grant."""
    return PairingGrant(request_id, handle, b"c" * 32, device, (1, 2), LATER_US)


def test_a_merchant_is_kept_as_entered(directory: Directory, tmp_path: Path) -> None:
    """With and without a limit, also after a restart."""
    plain = Merchant("shop", "Corner Shop", "5411", 100000007, None)
    limited = Merchant("vend", "Ünï Vending", "5814", 100000008, Money(500, "EUR"))
    for merchant in (plain, limited):
        assert directory.merchant(merchant.merchant_id) is None
        assert directory.merchants.add(merchant) == merchant
    directory.close()
    again = Directory(tmp_path / "directory.db")
    assert again.merchant("shop") == plain
    assert again.merchant("vend") == limited
    again.close()


def test_a_key_of_a_former_release_that_is_unsound_is_none(directory: Directory) -> None:
    """Who had one enrolled loses it: anybody could sign with it. And he can be revoked."""
    neutral = (1).to_bytes(32, "little")
    good = entry(TILL, 7, ec.generate_private_key(ec.SECP256R1()).public_key())
    directory.enroll(dataclasses.replace(good, public_key=neutral))
    assert directory.terminal_key("shop", "till") is None
    directory.revoke(TILL, NOW_US)


def test_the_first_merchant_stays(directory: Directory) -> None:
    """Another one under the same id changes nothing, and the one that stands is shown."""
    first = Merchant("shop", "Corner Shop", "5411", 100000007, None)
    directory.merchants.add(first)
    assert directory.merchants.add(Merchant("shop", "Other", "5411", 100000007, None)) == first
    assert directory.merchant("shop") == first


def test_keys_are_found(directory: Directory) -> None:
    """A terminal's by its names, a phone's by its key id; neither by the other way."""
    till, pixel = terminal_key(), phone_key()
    directory.enroll(entry(TILL, 1, till))
    directory.enroll(entry(PIXEL, 2, pixel))
    for _ in range(2):
        assert directory.terminal_key("shop", "till") == till
        assert directory.wallet_key(key_id_of(pixel)) == WalletKey("ann", "pixel", pixel, False)
    assert directory.wallet_key(key_id_of(till)) is None
    assert directory.wallet_key(b"?" * 16) is None
    assert directory.terminal_key("shop", "other") is None


def test_revocation_bites_at_once(directory: Directory) -> None:
    """Keys, certificates and codes of the device; listeners hear it; nobody else is touched."""
    till, other, pixel = terminal_key(), terminal_key(), phone_key()
    heard: list[str] = []
    directory.on_revoke(heard.append)
    directory.enroll(entry(TILL, 1, till))
    directory.add_certificate(certificate_of(TILL, 2**159 - 1))
    directory.enroll(entry("agent/shop/other", 3, other))
    directory.enroll(entry(PIXEL, 4, pixel))
    PairingBook(directory.file).add(grant(b"r" * 16, b"hand"))
    assert directory.terminal_key("shop", "till") == till
    assert directory.wallet_key(key_id_of(pixel)) is not None

    heard.clear()
    assert directory.revoke(TILL, NOW_US + 5)
    assert directory.revoke(PIXEL, NOW_US + 5)
    assert directory.terminal_key("shop", "till") is None
    assert directory.wallet_key(key_id_of(pixel)) == WalletKey("ann", "pixel", pixel, True)
    assert heard == [TILL, PIXEL]
    assert all(directory.is_revoked(serial) for serial in (1, 4, 2**159 - 1))
    assert not directory.is_revoked(3)
    assert directory.terminal_key("shop", "other") == other
    assert PairingBook(directory.file).with_handle(b"hand")[0].expire_us == 0


def test_revoking_again_changes_nothing(directory: Directory) -> None:
    """The first time stays; an unknown device is told."""
    directory.enroll(entry(TILL, 1, terminal_key()))
    assert directory.revoke(TILL, NOW_US + 5)
    assert directory.revoke(TILL, NOW_US + 9)
    found = directory.device(TILL)
    assert found is not None
    assert found.revoke_us == NOW_US + 5
    assert not directory.revoke("agent/shop/nobody", NOW_US)


def test_revocations_outlive_a_restart(directory: Directory, tmp_path: Path) -> None:
    """Also of a certificate that has ended: the clock at that start may be ahead."""
    directory.enroll(entry(TILL, 1, terminal_key()))
    directory.enroll(entry(PIXEL, 2, phone_key(), expire_us=NOW_US))
    directory.revoke(TILL, NOW_US)
    directory.revoke(PIXEL, NOW_US)
    directory.close()
    again = Directory(tmp_path / "directory.db")
    assert again.is_revoked(1)
    assert again.is_revoked(2)
    again.close()


def test_a_device_that_is_enrolled_anew_replaces_its_former_self(directory: Directory) -> None:
    """Old certificates and keys are revoked; it is in good standing again."""
    old, new = phone_key(), phone_key()
    directory.enroll(entry(PIXEL, 1, old))
    assert directory.wallet_key(key_id_of(old)) == WalletKey("ann", "pixel", old, False)
    directory.revoke(PIXEL, NOW_US)
    directory.enroll(entry(PIXEL, 2, new))
    assert directory.wallet_key(key_id_of(old)) == WalletKey("ann", "pixel", old, True)
    assert directory.wallet_key(key_id_of(new)) == WalletKey("ann", "pixel", new, False)
    assert directory.is_revoked(1)
    assert not directory.is_revoked(2)
    assert directory.device(PIXEL) == Device(PIXEL, "1.0", NOW_US, LATER_US, None)


def test_a_device_that_keeps_its_key_keeps_it(directory: Directory) -> None:
    """Paired anew with the same signing key: still good."""
    key = terminal_key()
    directory.enroll(entry(TILL, 1, key))
    directory.enroll(entry(TILL, 2, key))
    assert directory.terminal_key("shop", "till") == key
    assert directory.is_revoked(1)


def test_a_failed_enrolment_changes_nothing(directory: Directory) -> None:
    """All of it is one commit: a serial number that exists undoes the rest."""
    key = terminal_key()
    directory.enroll(entry(TILL, 1, key))
    with pytest.raises(apsw.ConstraintError):
        directory.enroll(entry(TILL, 1, terminal_key()))
    assert directory.terminal_key("shop", "till") == key
    assert not directory.is_revoked(1)
    assert len(directory.signing_keys(TILL)) == 1


def test_certificates_are_found_by_their_request(directory: Directory) -> None:
    """With all that answers the request."""
    directory.enroll(entry(TILL, 2**158 + 7, terminal_key()))
    expected = certificate_of(TILL, 2**158 + 7)
    assert directory.certificate(expected.request_id) == expected
    assert directory.certificate(b"?" * 16) is None


def test_pairing_codes(directory: Directory) -> None:
    """Found by their handle; the first under a request id stays; wrong tries are counted."""
    first = grant(b"1" * 16, b"hand")
    assert PairingBook(directory.file).add(first) == first
    assert PairingBook(directory.file).add(grant(b"1" * 16, b"else", PIXEL)) == first
    PairingBook(directory.file).add(grant(b"2" * 16, b"hand"))
    PairingBook(directory.file).count_wrong_try(b"hand")
    PairingBook(directory.file).count_wrong_try(b"none")
    assert [found.wrong_tries for found in PairingBook(directory.file).with_handle(b"hand")] == [
        1,
        1,
    ]
    assert PairingBook(directory.file).with_handle(b"none") == []


def test_devices_are_listed_by_path(directory: Directory) -> None:
    """In pages, without gaps."""
    paths = [f"agent/shop/till-{number}" for number in (3, 1, 2)]
    for serial, path in enumerate(paths):
        directory.enroll(entry(path, serial + 1, terminal_key()))
    first = directory.devices("", 2)
    assert [device.device for device in first] == sorted(paths)[:2]
    assert [device.device for device in directory.devices(first[-1].device, 2)] == sorted(paths)[2:]


def test_settings(directory: Directory) -> None:
    """Written, overwritten, absent."""
    assert directory.setting("map") is None
    directory.put_setting("map", "a")
    directory.put_setting("map", "b")
    assert directory.setting("map") == "b"


def test_it_is_durable_and_of_this_version(directory: Directory, tmp_path: Path) -> None:
    """WAL, synchronous=FULL, and a version in the file."""
    connection = directory._file._connection
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("user_version") == len(STEPS)
    connection.pragma("user_version", len(STEPS) + 1)
    directory.close()
    with pytest.raises(Complaint, match="newer kessai"):
        Directory(tmp_path / "directory.db")


def test_only_one_process_may_have_it(directory: Directory, tmp_path: Path) -> None:
    """What is cached here must not change behind our back."""
    with pytest.raises(Complaint, match="in use"):
        Directory(tmp_path / "directory.db")


def test_a_damaged_file_is_a_complaint(tmp_path: Path) -> None:
    """And so is a folder that is not there."""
    (tmp_path / "directory.db").write_bytes(b"not a database" * 100)
    with pytest.raises(Complaint, match="cannot be opened"):
        Directory(tmp_path / "directory.db")
    with pytest.raises(Complaint, match="cannot be opened"):
        Directory(tmp_path / "nowhere" / "directory.db")


def test_readers_never_see_a_key_after_its_revocation(directory: Directory) -> None:
    """Many threads read while devices are revoked: once told, nobody finds the key again."""
    keys = {f"till-{number}": terminal_key() for number in range(20)}
    for serial, (name, key) in enumerate(keys.items()):
        directory.enroll(entry(f"agent/shop/{name}", serial + 1, key))
    revoked: list[str] = []
    lies: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            known = list(revoked)
            lies.extend(name for name in known if directory.terminal_key("shop", name))
            for name in keys:
                directory.terminal_key("shop", name)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for name in keys:
        directory.revoke(f"agent/shop/{name}", NOW_US)
        revoked.append(name)
    done.set()
    for reader in readers:
        reader.join(30)
    assert lies == []


def test_a_full_disk_changes_nothing(directory: Directory) -> None:
    """Neither a half of an enrolment nor a setting; when there is room again, it goes on."""
    key = terminal_key()
    directory.enroll(entry(TILL, 1, key))
    connection = directory._file._connection
    connection.pragma("max_page_count", connection.pragma("page_count"))
    big = dataclasses.replace(certificate_of(TILL, 2), chain=b"x" * 20_000)
    with pytest.raises(StoreUnavailable, match="full"):
        directory.enroll(dataclasses.replace(entry(TILL, 2, terminal_key()), certificate=big))
    with pytest.raises(StoreUnavailable, match="full"):
        directory.put_setting("map", "x" * 20_000)
    assert directory.terminal_key("shop", "till") == key
    assert not directory.is_revoked(1)
    assert directory.certificate(big.request_id) is None
    connection.pragma("max_page_count", 1_000_000)
    directory.put_setting("map", "y")
    directory.enroll(entry(TILL, 3, key))
    assert directory.is_revoked(1)


FAILING_DISK = """
import sys
from pathlib import Path
import apsw
from server.shards.directory import Directory

broken = False

class File(apsw.VFSFile):
    def xSync(self, flags):
        if broken:
            raise apsw.IOError("the disk is gone")
        super().xSync(flags)

class Disk(apsw.VFS):
    def __init__(self):
        super().__init__("failing", "unix", makedefault=True)
    def xOpen(self, name, flags):
        return File("unix", name, flags)

disk = Disk()
directory = Directory(Path(sys.argv[1]) / "directory.db")
directory.put_setting("before", "kept")
broken = True
directory.put_setting("after", "lost")
print("acknowledged")
"""


def test_a_failed_fsync_ends_the_process(tmp_path: Path) -> None:
    """Nothing is acknowledged; what was acknowledged before is there at the next start."""
    ended = subprocess.run(
        [sys.executable, "-c", FAILING_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == EXIT_DISK_FAILED
    assert "acknowledged\n" not in ended.stdout
    assert "The switch stops" in ended.stderr
    again = Directory(tmp_path / "directory.db")
    assert again.setting("before") == "kept"
    again.close()


def test_the_cache_is_bounded() -> None:
    """What was not asked for longest makes room."""
    cache = LruCache[str, int](2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert cache.get("b") is None
    assert (cache.get("a"), cache.get("c")) == (1, 3)
    cache.remove("a")
    cache.remove("a")
    assert cache.get("a") is None
