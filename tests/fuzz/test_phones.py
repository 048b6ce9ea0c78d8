"""Radio, the phone's end: APDUs, blocks, frames of a reader's chip, and tap messages."""

from __future__ import annotations

from contextlib import closing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kessai.v1 import tap_pb2
from kessai.v1.tap_pb2 import TapResponse
from simulators.phone.hce import APPLICATION_ID, WalletService
from simulators.phone.host_frames import ACK, HostFrames
from simulators.phone.iso_dep import IsoDepCard, LeftTheField
from tests.fuzz.mangling import bytes_like, examples
from tests.unit.simulators.phone.conftest import (
    Pocket,
    PocketMaker,
    counter,
    folder,
    make_pocket,
    paired,
)
from tests.unit.simulators.phone.counter import Counter

__all__ = ["counter", "folder", "make_pocket", "paired"]

SELECT = b"\x00\xa4\x04\x00\x08" + APPLICATION_ID + b"\x00"
ENVELOPE, CHAINED = b"\x00\xc3\x00\x00\x02ab\x00", b"\x10\xc3\x00\x00\x02ab"
COMMAND = bytes.fromhex("0000ff04fcd44a0100e100")


@pytest.fixture
def pocket(make_pocket: PocketMaker) -> Pocket:
    """A phone."""
    return make_pocket()


@examples(4)
@given(apdus=st.lists(bytes_like(SELECT, ENVELOPE, CHAINED, b"\x00\xc0\x00\x00\x05"), max_size=8))
def test_apdus(apdus: list[bytes]) -> None:
    """Each is answered with a status; a message after a new SELECT is heard."""
    service = WalletService(lambda message: message * 2)
    for apdu in apdus:
        assert len(service.process_command_apdu(apdu)) >= 2
    service.process_command_apdu(SELECT)
    assert service.process_command_apdu(ENVELOPE) == b"abab\x90\x00"


@examples(2)
@given(blocks=st.lists(bytes_like(b"\xe0\x80", b"\x02" + SELECT, b"\xb2", b"\xc2"), max_size=8))
def test_blocks(blocks: list[bytes]) -> None:
    """ISO-DEP blocks of a reader: an answer, or silence."""
    with closing(IsoDepCard(WalletService(lambda message: message))) as card:
        for block in blocks:
            with suppress(LeftTheField):
                card.feed(block)
        card.deactivate()
        assert card.feed(b"\xe0\x80")
        assert card.feed(b"\x02" + SELECT) == b"\x02\x90\x00"


@examples(4)
@given(said=bytes_like(ACK, COMMAND, COMMAND + ACK))
def test_frames_of_a_host(said: bytes) -> None:
    """What is no command is passed over; one that comes after it is heard."""
    frames = HostFrames()
    list(frames.feed(said))
    heard = [command for _ in range(3) for command in frames.feed(bytes(300) + COMMAND)]
    assert b"\x4a\x01\x00" in heard


@examples(2)
@given(data=st.data())
def test_tap_messages(counter: Counter, pocket: Pocket, data: st.DataObject) -> None:
    """Each is answered with a status of the protocol."""
    request = counter.request()
    good = (
        counter.present(request),
        counter.inquire(request),
        counter.deliver(counter.receipt(request)),
    )
    answer = TapResponse.FromString(pocket.wallet.answer(data.draw(bytes_like(*good))))
    assert tap_pb2.TapStatus.Name(answer.status)
