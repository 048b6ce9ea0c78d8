"""Pairing and renewal from the device's side, against both real ports."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kessai.account_number import make_account
from kessai.channel import open_channel
from kessai.complaint import Complaint
from kessai.device_identity import NEXT_KEY_FILE, DeviceIdentity
from kessai.enrollment import load_identity, pair, renew_if_due
from kessai.enrollment.tls_key import key_pem
from kessai.envelope import MERCHANT_CERTIFICATE, PrivateKey, open_signed, raw_public_key
from kessai.pairing_code import PairingCode, format_code
from kessai.v1.payment_pb2 import MerchantCertificate
from tests.unit.server.ports import DAY_US, Switch, serving

TILL, PIXEL = "agent/shop/till", "phone/ann/pixel"
TIMEOUT_S = 60.0


async def paired(
    pairing: PairingCode, folder: Path, key: PrivateKey, version: str = "test 1"
) -> DeviceIdentity:
    """Pair in a thread, as the switch runs in this one."""
    return await asyncio.to_thread(pair, pairing, folder, key, version, TIMEOUT_S)


async def is_served(identity: DeviceIdentity) -> bool:
    """Tell whether the switch serves a device."""
    async with open_channel(identity) as channel:
        try:
            request = health_pb2.HealthCheckRequest()
            await health_pb2_grpc.HealthStub(channel).Check(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
        return True


async def test_a_terminal_is_paired(tmp_path: Path) -> None:
    """It gets its certificate, the switch's keys, and its merchant certificate."""
    async with serving(tmp_path / "switch") as switch:
        key = Ed25519PrivateKey.generate()
        identity = await paired(switch.pairing(TILL), tmp_path / "till", key)
        assert identity == load_identity(tmp_path / "till")
        assert (identity.kind, identity.names) == ("agent", ("shop", "till"))
        assert identity.server_address == switch.address
        assert identity.merchant_certificate is not None
        certificate = open_signed(
            identity.merchant_certificate,
            MERCHANT_CERTIFICATE,
            identity.switch_key,
            MerchantCertificate.FromString,
        )
        assert certificate.display_name == "Corner Shop"
        assert certificate.terminal_public_key == raw_public_key(key.public_key())
        assert not certificate.HasField("unverified_limit")
        assert switch.directory.terminal_key("shop", "till") == key.public_key()
        assert await is_served(identity)


async def test_a_phone_is_paired(tmp_path: Path) -> None:
    """It gets its certificate for seven days, and its wallet's accounts."""
    async with serving(tmp_path / "switch") as switch:
        accounts = (make_account(1, 42), make_account(2, 43))
        key = ec.generate_private_key(ec.SECP256R1())
        identity = await paired(switch.pairing(PIXEL, accounts), tmp_path / "phone", key)
        assert identity == load_identity(tmp_path / "phone")
        assert identity.accounts == accounts
        assert identity.merchant_certificate is None
        assert 6 * DAY_US < identity.expire_us - switch.clock() <= 7 * DAY_US
        assert await is_served(identity)


async def test_secrets_are_for_the_owner_only(tmp_path: Path) -> None:
    """The key's file has mode 0600 from the start; the key that waits is gone."""
    async with serving(tmp_path / "switch") as switch:
        await paired(switch.pairing(TILL), tmp_path / "till", Ed25519PrivateKey.generate())
        assert stat.S_IMODE((tmp_path / "till/tls.key").stat().st_mode) == 0o600
        names = {path.name for path in (tmp_path / "till").iterdir()}
        assert names == {
            "device.json",
            "merchant.bin",
            "root.crt",
            "tls.crt",
            "tls.key",
            "trust.bin",
        }


async def test_a_pairing_that_was_cut_off_is_repeated(tmp_path: Path) -> None:
    """The answer was lost: the same code gives the same certificate, because the key was kept."""
    async with serving(tmp_path / "switch") as switch:
        key, pairing = Ed25519PrivateKey.generate(), switch.pairing(TILL)
        first = await paired(pairing, tmp_path / "till", key)
        (tmp_path / "till/device.json").unlink()
        with pytest.raises(Complaint, match="pair it first"):
            load_identity(tmp_path / "till")
        assert await paired(pairing, tmp_path / "till", key) == first


async def test_a_used_code_is_good_for_nobody_else(tmp_path: Path) -> None:
    """Other keys, same code: refused, and the first device stays good."""
    async with serving(tmp_path / "switch") as switch:
        pairing = switch.pairing(TILL)
        first = await paired(pairing, tmp_path / "till", Ed25519PrivateKey.generate())
        with pytest.raises(Complaint, match="refused to pair"):
            await paired(pairing, tmp_path / "thief", Ed25519PrivateKey.generate())
        with pytest.raises(Complaint, match="pair it first"):
            load_identity(tmp_path / "thief")
        assert await is_served(first)


async def test_a_device_that_is_paired_anew_replaces_its_former_self(tmp_path: Path) -> None:
    """The old certificate and the old signing key are revoked."""
    async with serving(tmp_path / "switch") as switch:
        old_key, new_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        old = await paired(switch.pairing(TILL), tmp_path / "old", old_key)
        new = await paired(switch.pairing(TILL), tmp_path / "new", new_key)
        assert switch.directory.terminal_key("shop", "till") == new_key.public_key()
        assert not await is_served(old)
        assert await is_served(new)
        with pytest.raises(Complaint, match="used before"):
            await paired(switch.pairing(TILL), tmp_path / "older", old_key)


async def test_a_folder_can_be_paired_again(tmp_path: Path) -> None:
    """As another device, of another kind: nothing of the former one is left."""
    async with serving(tmp_path / "switch") as switch:
        folder = tmp_path / "device"
        await paired(switch.pairing(TILL), folder, Ed25519PrivateKey.generate())
        phone_key = ec.generate_private_key(ec.SECP256R1())
        identity = await paired(switch.pairing(PIXEL), folder, phone_key)
        assert load_identity(folder) == identity
        assert identity.merchant_certificate is None


@pytest.mark.parametrize("minutes", [10, 11])
async def test_an_expired_code_is_refused(tmp_path: Path, minutes: int) -> None:
    """Ten minutes, and not a moment longer."""
    async with serving(tmp_path / "switch") as switch:
        pairing = switch.pairing(TILL)
        switch.clock.ahead_us = minutes * 60_000_000
        with pytest.raises(Complaint, match="expired"):
            await paired(pairing, tmp_path / "till", Ed25519PrivateKey.generate())


async def test_five_wrong_tries_end_a_code(tmp_path: Path) -> None:
    """After them the right code is refused too, also by the next process on the same data."""
    key = Ed25519PrivateKey.generate()
    async with serving(tmp_path / "switch") as switch:
        pairing = switch.pairing(TILL)
        for wrong in wrong_codes(pairing.code):
            guess = PairingCode(pairing.server, wrong, pairing.root_fingerprint)
            with pytest.raises(Complaint, match="refused to pair"):
                await paired(guess, tmp_path / "till", key)
    async with serving(tmp_path / "switch") as switch:
        late = PairingCode(switch.pairing_address, pairing.code, pairing.root_fingerprint)
        with pytest.raises(Complaint, match="tried too often"):
            await paired(late, tmp_path / "till", key)
        await paired(switch.pairing(TILL), tmp_path / "till", key)


def wrong_codes(code: str) -> list[str]:
    """Five codes that begin like the right one."""
    start = code[:-2]
    return [f"{start}{end}" for end in ("00", "01", "02", "03", "04", "05") if end != code[-2:]][:5]


async def test_a_wrong_code_is_one_complaint(tmp_path: Path) -> None:
    """A code that was never made."""
    async with serving(tmp_path / "switch") as switch:
        good = switch.pairing(TILL)
        wrong = PairingCode(good.server, format_code(b"no such pairing!"), good.root_fingerprint)
        with pytest.raises(Complaint, match="refused to pair: the pairing code is wrong"):
            await paired(wrong, tmp_path / "till", Ed25519PrivateKey.generate())


async def test_a_man_in_the_middle_gets_nothing(tmp_path: Path) -> None:
    """Another switch answers at that address: its root differs, and it never hears the code."""
    async with serving(tmp_path / "ours") as ours, serving(tmp_path / "theirs") as theirs:
        good = ours.pairing(TILL)
        fooled = PairingCode(theirs.pairing_address, good.code, good.root_fingerprint)
        with pytest.raises(Complaint, match="Nothing was sent"):
            await paired(fooled, tmp_path / "till", Ed25519PrivateKey.generate())
        handled = theirs.registry.get_sample_value(
            "grpc_server_started_total",
            {
                "grpc_type": "unary",
                "grpc_service": "kessai.v1.EnrollmentService",
                "grpc_method": "EnrollDevice",
            },
        )
        assert handled is None
        assert not (tmp_path / "till").exists()


async def test_a_server_that_shows_the_root_without_its_key_gets_nothing(tmp_path: Path) -> None:
    """The root is public: a rogue may present it, but TLS does not verify up to it."""
    async with serving(tmp_path / "ours") as ours, serving(tmp_path / "rogue") as rogue:
        good = ours.pairing(TILL)
        server = grpc.aio.server()
        key = ec.generate_private_key(ec.SECP256R1())
        chain = rogue.authority.issue_server(key.public_key(), ("127.0.0.1",)).chain
        credentials = grpc.ssl_server_credentials([(key_pem(key), chain + ours.authority.root_pem)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        try:
            fooled = PairingCode(f"127.0.0.1:{port}", good.code, good.root_fingerprint)
            with pytest.raises(Complaint, match="127"):
                await paired(fooled, tmp_path / "till", Ed25519PrivateKey.generate())
        finally:
            await server.stop(0)


async def test_an_unreachable_switch_is_one_complaint(tmp_path: Path) -> None:
    """Nobody listens, or the one who listens speaks no TLS or says nothing."""
    async with serving(tmp_path / "switch") as switch:
        pairing = switch.pairing(TILL)
    with pytest.raises(Complaint, match="cannot be reached"):
        await paired(pairing, tmp_path / "till", Ed25519PrivateKey.generate())

    async def mumble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 welcome\r\n")
        await writer.drain()
        writer.close()

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()

    for answer in (mumble, keep_silent):
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            odd = PairingCode(f"127.0.0.1:{port}", pairing.code, pairing.root_fingerprint)
            with pytest.raises(Complaint, match="cannot be reached"):
                await asyncio.to_thread(
                    pair, odd, tmp_path / "till", Ed25519PrivateKey.generate(), "", 0.3
                )


async def test_a_switch_under_another_name_is_one_complaint(tmp_path: Path) -> None:
    """Its certificate does not name the address that the code names."""
    async with serving(tmp_path / "switch", hosts=("switch.test",)) as switch:
        with pytest.raises(Complaint, match=r"not for 127\.0\.0\.1"):
            await paired(switch.pairing(TILL), tmp_path / "till", Ed25519PrivateKey.generate())


async def renewed(switch: Switch, folder: Path) -> DeviceIdentity | None:
    """Renew over the device's own line, if it is due."""
    async with open_channel(load_identity(folder)) as channel:
        return await renew_if_due(folder, switch.clock, channel)


@pytest.mark.parametrize(("device", "days"), [(TILL, 30), (PIXEL, 7)])
async def test_renewal_at_two_thirds(tmp_path: Path, device: str, days: int) -> None:
    """Not before; then a new key and certificate for the same identity, and both are served."""
    async with serving(tmp_path / "switch") as switch:
        folder = tmp_path / "device"
        key: PrivateKey = Ed25519PrivateKey.generate()
        if device == PIXEL:
            key = ec.generate_private_key(ec.SECP256R1())
        two_thirds_us, moment_us = days * DAY_US * 2 // 3, DAY_US // 100
        switch.clock.ahead_us = -two_thirds_us - moment_us
        old = await paired(switch.pairing(device), folder, key)
        switch.clock.ahead_us = -2 * moment_us
        assert await renewed(switch, folder) is None
        switch.clock.ahead_us = 0
        new = await renewed(switch, folder)
        assert new is not None
        assert new == load_identity(folder)
        assert new.identity == old.identity
        assert new.key_pem != old.key_pem
        assert new.expire_us > old.expire_us
        assert (new.merchant_certificate is None) == (device == PIXEL)
        assert await is_served(old)
        assert await is_served(new)


async def test_a_disk_that_takes_no_renewal_ends_no_device(tmp_path: Path) -> None:
    """It is a Complaint, which daemons tell and try again after a while."""
    async with serving(tmp_path / "switch") as switch:
        folder = tmp_path / "till"
        old = await paired(switch.pairing(TILL), folder, Ed25519PrivateKey.generate())
        switch.clock.ahead_us = 21 * DAY_US
        (folder / NEXT_KEY_FILE).mkdir()  # as unwritable to root as a full disk
        with pytest.raises(Complaint, match="The present one stays in use"):
            await renewed(switch, folder)
        (folder / NEXT_KEY_FILE).rmdir()
        new = await renewed(switch, folder)
        assert new is not None
        assert new.expire_us > old.expire_us


async def test_a_renewal_whose_answer_was_lost_is_repeated(tmp_path: Path) -> None:
    """The same key asks again, and gets the same certificate."""
    async with serving(tmp_path / "switch") as switch:
        folder = tmp_path / "till"
        await paired(switch.pairing(TILL), folder, Ed25519PrivateKey.generate())
        before = {path: path.read_bytes() for path in folder.iterdir()}
        switch.clock.ahead_us = 21 * DAY_US
        first = await renewed(switch, folder)
        assert first is not None
        for path, content in before.items():
            path.write_bytes(content)
        (folder / "tls.key.next").write_bytes(first.key_pem)
        assert await renewed(switch, folder) == first


async def test_a_renewal_that_was_cut_between_certificate_and_key(tmp_path: Path) -> None:
    """At the next start the key that fits the certificate takes its place."""
    async with serving(tmp_path / "switch") as switch:
        folder = tmp_path / "till"
        old = await paired(switch.pairing(TILL), folder, Ed25519PrivateKey.generate())
        switch.clock.ahead_us = 21 * DAY_US
        new = await renewed(switch, folder)
        assert new is not None
        (folder / "tls.key").write_bytes(old.key_pem)
        (folder / "tls.key.next").write_bytes(new.key_pem)
        assert load_identity(folder) == new
        assert not (folder / "tls.key.next").exists()
        assert (folder / "tls.key").read_bytes() == new.key_pem


async def test_a_revoked_device_is_not_renewed(tmp_path: Path) -> None:
    """Its line is refused; the present identity stays on disk as it is."""
    async with serving(tmp_path / "switch") as switch:
        folder = tmp_path / "till"
        old = await paired(switch.pairing(TILL), folder, Ed25519PrivateKey.generate())
        switch.clock.ahead_us = 21 * DAY_US
        switch.fleet.revoke(TILL)
        with pytest.raises(grpc.aio.AioRpcError, match="revoked"):
            await renewed(switch, folder)
        assert load_identity(folder) == old


async def test_an_expired_identity_says_so(tmp_path: Path) -> None:
    """Before the first call, in one line."""
    async with serving(tmp_path / "switch") as switch:
        identity = await paired(
            switch.pairing(TILL), tmp_path / "till", Ed25519PrivateKey.generate()
        )
        identity.require_in_date(switch.clock())
        with pytest.raises(Complaint, match="has expired"):
            identity.require_in_date(switch.clock() + 30 * DAY_US)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("device.json", b"{"),
        ("device.json", b"{}"),
        ("device.json", b"[]"),
        ("tls.key", b"not a key"),
        ("tls.crt", b"not a certificate"),
        ("tls.crt", None),
        ("root.crt", None),
        ("trust.bin", b"\xff"),
        ("merchant.bin", b"\xff"),
        ("accounts.json", b'["1"]'),
        ("accounts.json", b"1"),
    ],
)
async def test_a_damaged_folder_is_one_complaint(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    """It says that no money was moved, and what to do."""
    async with serving(tmp_path / "switch") as switch:
        folder = tmp_path / "till"
        await paired(switch.pairing(TILL), folder, Ed25519PrivateKey.generate())
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        with pytest.raises(Complaint, match=r"damaged.*No money was moved"):
            load_identity(folder)
