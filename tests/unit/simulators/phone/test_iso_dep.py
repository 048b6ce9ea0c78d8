"""The card's side of ISO/IEC 14443-4, block by block."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from simulators.phone.iso_dep import IsoDepCard

RATS = bytes.fromhex("e080")


class App:
    """Turns commands around; thinks while `busy` is set."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.deactivations = 0
        self.free = threading.Event()
        self.free.set()

    def process_command_apdu(self, apdu: bytes) -> bytes:
        """Answer when free."""
        self.heard.append(apdu)
        self.free.wait(10)
        return apdu[::-1]

    def on_deactivated(self) -> None:
        """Count."""
        self.deactivations += 1


@pytest.fixture
def app() -> App:
    """Give an application."""
    return App()


@pytest.fixture
def card(app: App) -> Iterator[IsoDepCard]:
    """Give an activated card with frames of 256 bytes."""
    card = IsoDepCard(app)
    assert card.feed(RATS) == bytes.fromhex("0578009000")
    yield card
    app.free.set()
    card.close()


def test_it_is_mute_before_it_is_selected(app: App) -> None:
    """Whatever comes, only RATS wakes it."""
    card = IsoDepCard(app)
    for frame in (b"", b"\x02hello", b"\xe0", b"\xb2", b"\xc2"):
        assert card.feed(frame) is None
    assert app.heard == []
    card.close()


def test_block_numbers_alternate(card: IsoDepCard) -> None:
    """Rule D: the first answer has number 0."""
    assert card.feed(b"\x02one") == b"\x02eno"
    assert card.feed(b"\x03two") == b"\x03owt"
    assert card.feed(b"\x02six") == b"\x02xis"


def test_a_chained_command_is_put_together(card: IsoDepCard, app: App) -> None:
    """Each piece is acknowledged with its number."""
    assert card.feed(b"\x12ab") == b"\xa2"
    assert card.feed(b"\x13cd") == b"\xa3"
    assert card.feed(b"\x02ef") == b"\x02fedcba"
    assert app.heard == [b"abcdef"]


@pytest.mark.parametrize(("fsdi", "frame_bytes"), [(0, 16), (5, 64), (8, 256), (15, 256)])
def test_a_long_answer_is_chained(fsdi: int, frame_bytes: int, app: App) -> None:
    """In frames that the reader said that it can take, header and CRC included."""
    card = IsoDepCard(app)
    card.feed(bytes([0xE0, fsdi << 4]))
    command = bytes(range(250)) + b"!" * 100
    block = card.feed(b"\x02" + command)
    answer, number = b"", 0
    while block is not None:
        assert len(block) + 2 <= frame_bytes
        assert block[0] & 0x01 == number
        answer += block[1:]
        if not block[0] & 0x10:
            break
        number ^= 1
        block = card.feed(bytes([0xA2 | number]))
    assert answer == command[::-1]
    card.close()


def test_what_got_lost_is_said_again(card: IsoDepCard, app: App) -> None:
    """Rule 11: a NAK with our number; the app is not asked twice."""
    first = card.feed(b"\x02once")
    assert card.feed(b"\xb2") == first
    assert card.feed(b"\xb2") == first
    assert app.heard == [b"once"]


def test_what_never_arrived_is_asked_for(card: IsoDepCard) -> None:
    """Rule 12: a NAK with the other number is answered with an ACK of ours."""
    card.feed(b"\x02one")
    assert card.feed(b"\xb3") == b"\xa2"
    assert card.feed(b"\x03two") == b"\x03owt"


def test_a_thinking_app_asks_for_time(card: IsoDepCard, app: App) -> None:
    """S(WTX) until it is done, again if it got lost; no second command meanwhile."""
    app.free.clear()
    assert card.feed(b"\x02slow") == b"\xf2\x04"
    assert card.feed(b"\xb2") is not None
    assert card.feed(b"\x02more") is None
    assert card.feed(b"\xf2\x04") == b"\xf2\x04"
    app.free.set()
    assert card.feed(b"\xf2\x04") == b"\x02wols"
    assert app.heard == [b"slow"]


def test_an_answer_from_before_is_not_given_after(card: IsoDepCard, app: App) -> None:
    """The field went off while the app was thinking: the next dialogue does not hear of it."""
    app.free.clear()
    assert card.feed(b"\x02old") == b"\xf2\x04"
    card.deactivate()
    assert app.deactivations == 1
    assert card.feed(RATS) is not None
    assert card.feed(b"\xf2\x04") is None
    app.free.set()
    answer = card.feed(b"\x02new")
    while answer == b"\xf2\x04":
        answer = card.feed(answer)
    assert answer == b"\x02wen"


def test_deselect_ends_it(card: IsoDepCard, app: App) -> None:
    """It is confirmed, and then the card is mute."""
    assert card.feed(b"\xc2") == b"\xc2"
    assert app.deactivations == 1
    assert card.feed(b"\x02hello") is None


def test_no_blocks(card: IsoDepCard) -> None:
    """Reserved headers, and WTX that nobody asked for."""
    for header in (0x00, 0x40, 0x62, 0x80, 0xC0, 0xF2, 0xFF):
        assert card.feed(bytes([header, 1, 2])) is None
    assert card.feed(b"\x02still") == b"\x02llits"


def test_a_command_without_end_is_not_heard(card: IsoDepCard, app: App) -> None:
    """A reader that chains more than an APDU can hold gets no answer, and no memory."""
    for number in range(10):
        card.feed(bytes([0x12 | number & 1]) + bytes(253))
    assert card.feed(b"\x12" + bytes(253)) is None
    assert app.heard == []
