"""The app's APDUs, as Android's HostApduService would get them."""

from __future__ import annotations

import pytest

from simulators.phone.hce import APPLICATION_ID, WalletService

SELECT = b"\x00\xa4\x04\x00\x08" + APPLICATION_ID + b"\x00"


@pytest.fixture
def heard() -> list[bytes]:
    """Collect what the wallet was told."""
    return []


@pytest.fixture
def service(heard: list[bytes]) -> WalletService:
    """Give a selected service whose wallet doubles what it hears."""

    def answer(message: bytes) -> bytes:
        heard.append(message)
        return message * 2

    service = WalletService(answer)
    assert service.process_command_apdu(SELECT) == b"\x90\x00"
    return service


def test_a_short_message(service: WalletService) -> None:
    """With and without the length of the answer."""
    assert service.process_command_apdu(b"\x00\xc3\x00\x00\x02ab\x00") == b"abab\x90\x00"
    assert service.process_command_apdu(b"\x00\xc3\x00\x00\x02ab") == b"abab\x90\x00"
    assert service.process_command_apdu(b"\x00\xc3\x00\x00\x00") == b"\x90\x00"


def test_a_long_message_and_a_long_answer(service: WalletService) -> None:
    """Chained ENVELOPE in, 61xx and GET RESPONSE out; 61xx tells how much the next piece has."""
    piece = bytes(200)
    assert service.process_command_apdu(b"\x10\xc3\x00\x00\xc8" + piece) == b"\x90\x00"
    answer = service.process_command_apdu(b"\x00\xc3\x00\x00\xc8" + piece + b"\x00")
    total = answer[:-2]
    while answer[-2] == 0x61:
        announced = answer[-1]
        answer = service.process_command_apdu(bytes([0x00, 0xC0, 0x00, 0x00, announced]))
        assert len(answer) - 2 == announced
        total += answer[:-2]
    assert answer[-2:] == b"\x90\x00"
    assert total == bytes(800)


def test_nothing_before_select(heard: list[bytes]) -> None:
    """Nor after another application was selected, nor after the link was lost."""
    service = WalletService(lambda message: message)
    envelope = b"\x00\xc3\x00\x00\x02ab\x00"
    assert service.process_command_apdu(envelope) == b"\x69\x85"
    ndef = bytes.fromhex("00a4040007d276000085010100")
    assert service.process_command_apdu(ndef) == b"\x6a\x82"
    assert service.process_command_apdu(envelope) == b"\x69\x85"
    service.process_command_apdu(SELECT)
    service.on_deactivated()
    assert service.process_command_apdu(envelope) == b"\x69\x85"


def test_a_torn_message_is_forgotten(service: WalletService, heard: list[bytes]) -> None:
    """The next SELECT begins anew, and an answer that was not fetched is not fetched later."""
    service.process_command_apdu(b"\x10\xc3\x00\x00\x04torn")
    service.process_command_apdu(SELECT)
    service.process_command_apdu(b"\x00\xc3\x00\x00\x05whole\x00")
    assert heard == [b"whole"]
    service.process_command_apdu(b"\x10\xc3\x00\x00\xc8" + bytes(200))
    assert service.process_command_apdu(b"\x00\xc3\x00\x00\x01x\x00")[-2] == 0x61
    service.process_command_apdu(SELECT)
    assert service.process_command_apdu(b"\x00\xc0\x00\x00\x00") == b"\x69\x85"


@pytest.mark.parametrize(
    ("apdu", "status"),
    [
        ("", "6700"),
        ("00c300", "6700"),
        ("00c30000056162", "6700"),
        ("00c3000001616200", "6700"),
        ("00b0000000", "6d00"),
        ("00c0000000", "6985"),
    ],
)
def test_bad_commands(apdu: str, status: str, service: WalletService) -> None:
    """Each has its status word, and the wallet hears nothing."""
    assert service.process_command_apdu(bytes.fromhex(apdu)).hex() == status


def test_a_message_without_end(service: WalletService, heard: list[bytes]) -> None:
    """Is broken off at 64 KiB."""
    answers = {
        service.process_command_apdu(b"\x10\xc3\x00\x00\xff" + bytes(255)) for _ in range(258)
    }
    assert answers == {b"\x90\x00", b"\x6a\x84"}
    assert heard == []
