"""B15: what the phone sends to any terminal is protected against that terminal and listeners."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from edge_agents.links.radio import open_radio
from edge_agents.payment_request import PendingPayment
from edge_agents.tap import SESSION_ID_BYTES, TapSession
from kessai.account_number import parse_account, pretty_account
from kessai.decline import name_of
from kessai.device_identity import write_identity
from kessai.envelope import PAYMENT_REQUEST, key_id_of, load_public_key, sign
from kessai.money import Money
from kessai.v1 import tap_pb2
from kessai.v1.envelope_pb2 import Sealed
from kessai.v1.payment_pb2 import PaymentRequest, SettlePaymentRequest
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from kessai.v1.tap_pb2 import TapResponse
from simulators.air.air import Air as BleAir
from simulators.phone.vault import Vault
from simulators.town import free_udp_port
from tests.running import CALL_LIMIT_S
from tests.scenarios.opened_line import OpenedLine
from tests.scenarios.shop import APPROVE, BREAD, COFFEE, MILK, Customer, Register, Shop, submission
from tests.scenarios.wires import Air, Line


def secrets_of(customer: Customer) -> dict[str, bytes]:
    """List what nobody between phone and switch may learn, in every form that it could take."""
    account, identity = parse_account(customer.account), customer.identity
    raw_key = Vault(customer.folder).public_key
    return {
        "account number": customer.account.encode(),
        "account number as people read it": pretty_account(account).encode(),
        "account number without check digits": customer.account[:12].encode(),
        "account as an integer": account.to_bytes(5, "big"),
        "account as an integer, little end first": account.to_bytes(5, "little"),
        "wallet": identity.names[0].encode(),
        "phone": identity.device.encode(),
        "signing key": raw_key[1:33],
        "signing key id": key_id_of(load_public_key(raw_key)),
        "certificate serial": identity.certificate.serial_number.to_bytes(20, "big").lstrip(b"\0"),
    }


def found_in(content: bytes, customer: Customer) -> list[str]:
    """Name the secrets that can be read in some bytes."""
    return [name for name, secret in secrets_of(customer).items() if secret in content]


@pytest.fixture(scope="module")
def zacharias(shop: Shop) -> Customer:
    """Give a customer whose names appear in nothing else."""
    return shop.customer("zacharias", 500_00, wallet="zacharias-wallet")


@pytest.fixture(scope="module")
def air() -> Iterator[Air]:
    """Give the air between the module's register and the phones."""
    air = Air(f"udp:127.0.0.1:{free_udp_port()}", free_udp_port())
    yield air
    air.close()


@pytest.fixture(scope="module")
def opened(shop: Shop) -> Iterator[list[OpenedLine]]:
    """Keep the opened line, to close it."""
    lines: list[OpenedLine] = []
    yield lines
    for line in lines:
        line.close()


@pytest.fixture(scope="module")
def running_register(shop: Shop, air: Air, opened: list[OpenedLine]) -> Register:
    """Give a register whose air is listened to, and whose line is open to it."""
    register = shop.register("till-overheard", reader=air.reader)
    identity = register.identity
    opened.append(OpenedLine(shop.switch, identity, lambda: time.time_ns() // 1_000))
    write_identity(register.folder, replace(identity, server_address=opened[0].address))
    register.start()
    return register


def test_a_listener_on_the_air(register: Register, air: Air, zacharias: Customer) -> None:
    """Hears what the shop asks, and of the phone's answer nothing: not who, not which account."""
    for goods, words in ((BREAD, ()), (COFFEE, ("--think", "0.4")), (MILK, ("--replay",))):
        register.ring_up(goods)
        phone = register.tap(zacharias, *APPROVE, *words, field=air.field)
        register.steps.next("receipt_delivered")
        phone.kill()
        register.clear()
    register.ring_up(MILK)
    register.tap(zacharias, "--answer", "decline", field=air.field)
    register.steps.next("customer_declined")
    asked, answered = messages_on(air.from_reader), messages_on(air.from_phone)
    assert b"Rye bread 1 kg" in asked
    assert b"corner-shop" in asked
    sealed = [message.sealed_authorization for message in answers_in(air.from_phone)]
    assert len([seal for seal in sealed if seal.ciphertext]) == 3
    for amount in (b"Rye bread", Money(349, "EUR").to_proto().SerializeToString()):
        assert amount not in answered
    for content in (answered, asked, b"".join(air.from_phone), b"".join(air.from_reader)):
        assert found_in(content, zacharias) == []


def test_a_listener_in_the_room(shop: Shop, zacharias: Customer, tmp_path: Path) -> None:
    """Over BLE a listener need not be near, and hears as little; nothing there is paired."""
    room, heard = BleAir(tmp_path / "air"), list[bytes]()
    room.listen(heard.append)
    register = shop.register("till-overheard-ble", f"{room.moniker},code=0001")
    register.start()
    register.ring_up(BREAD)
    register.tap(zacharias, *APPROVE, field=f"{register.reader},mtu=517").next("paid")
    register.steps.next("receipt_delivered")
    register.close()
    room.close()
    content = b"".join(value[1:] for value in heard)
    assert b"Rye bread 1 kg" in content
    sealed = register.journal()[0].sealed
    assert sealed is not None
    assert sealed.ciphertext in content
    assert found_in(content, zacharias) == []
    assert found_in(b"".join(heard), zacharias) == []


def test_the_terminal_learns_nothing_of_the_payer(
    register: Register, air: Air, opened: list[OpenedLine], zacharias: Customer
) -> None:
    """Not from what it sends on, not from receipts, and its own disk and log hold none of it."""
    register.ring_up(BREAD, BREAD)
    phone = register.tap(zacharias, *APPROVE, field=air.field)
    register.steps.next("receipt_delivered")
    phone.kill()
    said, heard = opened[0].said, opened[0].heard
    submitted = SettlePaymentRequest.FromString(opened[0].asked("SettlePayment")[-1])
    assert submitted.payment_request == register.journal()[0].pending.signed
    assert submitted.sealed_authorization == register.journal()[0].sealed
    assert register.journal()[0].receipt is not None
    assert register.journal()[0].pending.request_id in b"".join(heard)
    assert found_in(b"".join(said), zacharias) == []
    assert found_in(b"".join(heard), zacharias) == []
    kept = {path.name: path.read_bytes() for path in register.folder.rglob("*") if path.is_file()}
    assert register.journal()[0].pending.request_id in kept["journal.db"] + kept["journal.db-wal"]
    assert b"receipt_delivered" in kept["register.log"]
    assert {name: found_in(content, zacharias) for name, content in kept.items()} == {
        name: [] for name in kept
    }


def test_a_listener_on_the_line(shop: Shop, zacharias: Customer) -> None:
    """Sees that a register calls the switch, and not even the order or the shop's name."""
    line = Line(shop.switch.address)
    register = shop.register("till-on-the-line")
    write_identity(register.folder, replace(register.identity, server_address=line.address))
    register.start()
    asked = register.sell(zacharias, BREAD)
    heard = bytes(line.to_switch)
    assert len(heard) > len(register.journal()[0].pending.signed.payload)
    for said in (
        asked["order_id"],
        asked["payment_id"],
        "Rye bread",
        "corner-shop",
        "till-on-the-line",
    ):
        assert said.encode() not in heard
    assert found_in(heard, zacharias) == []
    register.close()
    line.close()


def test_a_malicious_terminal_alters_the_amount(shop: Shop, zacharias: Customer) -> None:
    """The customer agreed to 2.00; whatever the terminal makes of it, more is never taken."""
    register = shop.register("crooked-1")
    before = shop.switch.balance(zacharias.account)
    agreed = register.ask(2_00)
    sealed = zacharias.authorize(agreed, register.terminal)
    dearer = resign(register, agreed, 99_00)
    anew = register.ask(99_00)
    for pending in (dearer, anew):
        receipt = shop.receipt(shop.settle(register.identity, pending, sealed))
        assert name_of(receipt.decline_reason) == "AUTHORIZATION_UNREADABLE"
    length = len(sealed.ciphertext)
    for place in {0, 31, 32, 33, length // 2, length - 16, length - 1, *range(40, length, 29)}:
        altered = bytearray(sealed.ciphertext)
        altered[place] ^= 1
        spoilt = Sealed(key_id=sealed.key_id, ciphertext=bytes(altered))
        receipt = shop.receipt(shop.settle(register.identity, agreed, spoilt))
        assert name_of(receipt.decline_reason) == "AUTHORIZATION_UNREADABLE"
    assert shop.switch.balance(zacharias.account) == before
    receipt = shop.receipt(shop.settle(register.identity, agreed, sealed))
    assert (receipt.amount.amount_minor, receipt.decline_reason) == (2_00, 0)
    assert shop.switch.balance(zacharias.account) == before - 2_00


def test_a_malicious_terminal_replays(shop: Shop, zacharias: Customer) -> None:
    """A hundred times at once the same: one payment. On another till's line, or anew: none."""
    register, other = shop.register("crooked-2"), shop.register("crooked-3")
    before = shop.switch.balance(zacharias.account)
    agreed = register.ask(3_00)
    sealed = zacharias.authorize(agreed, register.terminal)
    request = submission(agreed, sealed)
    with shop.switch.channel(register.identity) as channel:
        stub = PaymentServiceStub(channel)
        calls = [stub.SettlePayment.future(request, timeout=CALL_LIMIT_S) for _ in range(100)]
        # What is more than a terminal may ask at once is turned away.
        receipts = {call.result().receipt.payload for call in calls if call.exception() is None}
        codes = {call.code() for call in calls}
    assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(receipts) == 1
    assert shop.switch.balance(zacharias.account) == before - 3_00
    stolen = shop.receipt(shop.settle(other.identity, agreed, sealed))
    assert name_of(stolen.decline_reason) == "REQUEST_SIGNATURE_INVALID"
    fresh = shop.receipt(shop.settle(register.identity, register.ask(3_00), sealed))
    assert name_of(fresh.decline_reason) == "AUTHORIZATION_UNREADABLE"
    assert shop.switch.balance(zacharias.account) == before - 3_00
    assert shop.find(other.identity, agreed.payment_id) is None


async def test_a_malicious_terminal_takes_another_name(shop: Shop, zacharias: Customer) -> None:
    """With the certificate of an honest till and its own key: the phone does not even ask."""
    crook, honest = shop.register("crooked-4"), shop.register("till-honest")
    field = f"udp:127.0.0.1:{free_udp_port()}"
    radio = open_radio(field)
    phone = crook.tap(zacharias, *APPROVE, field=field)
    link = await radio.wait_for_phone(10.0)
    assert link is not None
    session = TapSession(link, os.urandom(SESSION_ID_BYTES))
    answer = await session.present(crook.ask(5_00), honest.terminal.merchant_certificate)
    assert answer.status == tap_pb2.TAP_STATUS_REQUEST_REFUSED
    assert phone.next("refused")["reason"] == "REQUEST_SIGNATURE_INVALID"
    assert not answer.HasField("sealed_authorization")
    await radio.close()
    assert phone.end() == 3
    assert "purchase" not in phone.names


def resign(register: Register, pending: PendingPayment, minor: int) -> PendingPayment:
    """Ask for another amount under the same id, signed as well."""
    request = PaymentRequest.FromString(pending.signed.payload)
    request.total.amount_minor = request.items[0].unit_price_minor = minor
    return PendingPayment(sign(PAYMENT_REQUEST, request, register.terminal.signing_key), request)


def messages_on(datagrams: list[bytes]) -> bytes:
    """Join what APDUs carried in ISO-DEP blocks, without headers and status words between."""
    return b"".join(pieces_in(datagrams))


def answers_in(datagrams: list[bytes]) -> list[TapResponse]:
    """Read the phone's answers: pieces up to the one that says there is no more."""
    answers, message = [], b""
    for frame in frames_in(datagrams):
        message += frame[1:-2]
        if frame[-2:] == b"\x90\x00":
            answers += [TapResponse.FromString(message)] if len(message) > 16 else []
            message = b""
    return answers


def pieces_in(datagrams: list[bytes]) -> Iterator[bytes]:
    """Give the information of every I-block."""
    for frame in frames_in(datagrams):
        yield frame[6:] if frame[1:3] in (b"\x00\xc3", b"\x10\xc3") else frame[1:-2]


def frames_in(datagrams: list[bytes]) -> Iterator[bytes]:
    """Give the I-blocks (ISO/IEC 14443-4, section 7.1) among the datagrams."""
    for datagram in datagrams:
        _, _, digits = datagram.partition(b" ")
        frame = bytes.fromhex(digits.decode())
        if len(frame) > 3 and frame[0] & 0xE2 == 0x02:
            yield frame
