"""Nothing that a phone, a card or a line does ends the reader's thread or spoils the next tap."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agents.links.frontend import complete_ats
from edge_agents.links.message_link import LinkLost, MessageLink
from edge_agents.links.nfc_radio import NfcRadio
from edge_agents.links.radio import open_radio
from kessai.complaint import Complaint
from simulators.phone.hce import WalletService
from simulators.phone.iso_dep import Card, IsoDepCard
from simulators.phone.pn532_chip import Pn532Chip
from simulators.phone.udp_field import UdpField
from simulators.town import free_udp_port
from tests.unit.edge_agents.links.fields import (
    PATIENCE_S,
    Ground,
    ground,
    reversed_bytes,
)


@pytest.fixture(params=["udp", "pn532"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    """Give each field in turn."""
    async with ground(request.param, tmp_path) as made:
        yield made


class Odd:
    """A card of somebody else's make; the real one answers after the first `answers`."""

    def __init__(self, answers: list[bytes], then: Card | None = None) -> None:
        self._answers, self._then = list(answers), then

    def feed(self, frame: bytes) -> bytes | None:
        """Give the next odd answer."""
        if self._answers:
            answer = self._answers.pop(0)
            if self._then:
                self._then.feed(frame)
            return answer
        return self._then.feed(frame) if self._then else None

    def deactivate(self) -> None:
        """Nothing is remembered."""


async def _works(both: Ground) -> None:
    both.field.take_away()
    link = await both.tap()
    assert await link.exchange(b"still here", PATIENCE_S) == b"ereh llits"


@pytest.mark.parametrize("ats", ["01", "0208", "0558807002", "0678007002aa", "057880c002", "02f8"])
async def test_any_answer_to_select_is_understood(ats: str, both: Ground) -> None:
    """Also the short ones, which nfcpy alone trips over."""
    phone = both.phone()
    link = await both.tap(_Brief(phone, bytes.fromhex(ats)))
    assert await link.exchange(b"short", PATIENCE_S) == b"trohs"


class _Brief:
    """A phone that always answers RATS like this."""

    def __init__(self, card: Card, ats: bytes) -> None:
        self._card, self._ats = card, ats

    def feed(self, frame: bytes) -> bytes | None:
        """Answer; RATS with other words."""
        answer = self._card.feed(frame)
        return self._ats if frame[0] == 0xE0 else answer

    def deactivate(self) -> None:
        """Pass it on."""
        self._card.deactivate()


def test_absent_interface_bytes_have_their_default() -> None:
    """ISO/IEC 14443-4 section 5.2: FSCI 2, FWI 4 unless they say otherwise."""
    assert complete_ats(b"\x01") == bytes.fromhex("0572004002")
    assert complete_ats(bytes.fromhex("0208")) == bytes.fromhex("0578004002")
    assert complete_ats(bytes.fromhex("032890")) == bytes.fromhex("0578009002")
    assert complete_ats(bytes.fromhex("0578119100")) == bytes.fromhex("0578119100")
    for bad in (b"", b"\x00", b"\x05\x78"):
        with pytest.raises(ValueError, match="shorter"):
            complete_ats(bad)


@pytest.mark.parametrize("garbage", [b"\x00", b"\x05\x78", b"\xff" * 60, b"\x02"])
async def test_garbage_instead_of_an_answer_to_select(garbage: bytes, both: Ground) -> None:
    """Such a card is no phone of ours, and the next one is served."""
    both.field.bring(Odd([garbage] * 1000))
    assert await both.radio.wait_for_phone(0.12) is None
    await _works(both)


async def test_another_card_is_passed_over(both: Ground) -> None:
    """A card that speaks ISO-DEP but does not have our app."""
    foreign = IsoDepCard(_Foreign())
    both.field.bring(foreign)
    assert await both.radio.wait_for_phone(0.12) is None
    foreign.close()
    await _works(both)


class _Foreign:
    def process_command_apdu(self, apdu: bytes) -> bytes:
        return b"\x6a\x82"

    def on_deactivated(self) -> None:
        pass


async def test_random_frames_lose_the_link_and_no_more(both: Ground, random_seed: int) -> None:
    """Whatever comes instead of an answer, the exchange ends in LinkLost or with its answer."""
    chance = random.Random(random_seed)
    for _ in range(2):
        phone = both.phone()
        link = await both.tap(_Babbling(phone, chance))
        with pytest.raises(LinkLost):
            await _talk(link, chance)
        both.field.take_away()
    await _works(both)


async def _talk(link: MessageLink, chance: random.Random) -> None:
    for _ in range(50):
        await link.exchange(chance.randbytes(600), PATIENCE_S)


class _Babbling:
    """A phone that, once it is selected, sometimes says something else."""

    def __init__(self, card: Card, chance: random.Random) -> None:
        self._card, self._chance, self._frames = card, chance, 0

    def feed(self, frame: bytes) -> bytes | None:
        """Answer, or babble."""
        self._frames += 1
        answer = self._card.feed(frame)
        if self._frames > 2 and self._chance.random() < 0.3:
            header = self._chance.choice([b"", b"\xf2", b"\xf2\x00", b"\xa2", b"\xb2", b"\x02\x61"])
            return header + self._chance.randbytes(self._chance.randrange(1, 20))
        return answer

    def deactivate(self) -> None:
        """Pass it on."""
        self._frames = 0
        self._card.deactivate()


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"RFOFF",
        b"106A",
        b"106A zz",
        b"106A 0",
        b"\xff\xfe 00",
        b"424F 00",
        b"1 2 3",
        b"106A 5",
    ],
)
async def test_broken_datagrams(datagram: bytes, tmp_path: Path) -> None:
    """From the phone's port, in place of its answers, while it is called and while it talks."""
    async with ground("udp", tmp_path) as udp:
        link = await udp.tap()
        assert await link.exchange(b"one", PATIENCE_S) == b"eno"
        udp.field.take_away()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.bind(("127.0.0.1", udp.port))
            line.setblocking(False)
            waiting = asyncio.ensure_future(udp.radio.wait_for_phone(0.12))
            while not waiting.done():
                try:
                    _, reader = line.recvfrom(2048)
                    line.sendto(datagram, reader)
                except BlockingIOError:
                    await asyncio.sleep(0.005)
            assert waiting.result() is None
        await _works(udp)


async def test_a_stale_answer_is_not_the_next_ones(tmp_path: Path) -> None:
    """A phone that is late without asking for time answers twice; the second is thrown away."""
    async with ground("udp", tmp_path) as udp:
        link = await udp.tap(_Late(udp.phone()))
        for number in range(5):
            message = b"message %d" % number
            assert await link.exchange(message, PATIENCE_S) == message[::-1]


class _Late:
    """A phone whose every block comes after the frame waiting time of 77 ms."""

    def __init__(self, card: Card) -> None:
        self._card = card

    def feed(self, frame: bytes) -> bytes | None:
        """Answer; a block of information takes its time."""
        answer = self._card.feed(frame)
        if frame[0] & 0xEE == 0x02:
            time.sleep(0.1)
        return answer

    def deactivate(self) -> None:
        """Pass it on."""
        self._card.deactivate()


async def test_a_reader_that_is_unplugged_comes_back(tmp_path: Path) -> None:
    """While it is gone nobody is found; plugged in again it works, without a restart."""
    path = tmp_path / "reader"
    chip, phone = Pn532Chip(path), IsoDepCard(WalletService(reversed_bytes))
    radio = open_radio(f"pn532:{path}")
    try:
        assert await radio.wait_for_phone(0.1) is None
        chip.close()
        assert await radio.wait_for_phone(0.2) is None
        assert await radio.wait_until_gone(0.2)
        chip = Pn532Chip(path)
        chip.bring(phone)
        link = await radio.wait_for_phone(PATIENCE_S)
        assert link is not None
        assert await link.exchange(b"back", PATIENCE_S) == b"kcab"
        chip.close()
        with pytest.raises(LinkLost):
            await link.exchange(b"gone", PATIENCE_S)
    finally:
        await radio.close()
        phone.close()


async def test_a_broken_datagram_in_an_exchange_is_repeated(tmp_path: Path) -> None:
    """The reader asks for the block again instead of giving the phone up."""
    async with ground("udp", tmp_path) as udp:
        card = _Jammed(udp.phone())
        link = await udp.tap(card)
        assert isinstance(udp.radio, NfcRadio)
        card.reader = udp.radio._frontend.device.socket.getsockname()
        assert await link.exchange(b"noise", PATIENCE_S) == b"esion"
        assert card.jammed == 1


class _Jammed:
    """A phone whose first block of information is drowned by noise."""

    def __init__(self, card: Card) -> None:
        self._card, self.jammed = card, 0
        self.reader: tuple[str, int] | None = None

    def feed(self, frame: bytes) -> bytes | None:
        """Answer; the noise comes first."""
        if self.reader and not self.jammed:
            self.jammed = 1
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
                noise.sendto(b"106A noise", ("127.0.0.1", self.reader[1]))
        return self._card.feed(frame)

    def deactivate(self) -> None:
        """Pass it on."""
        self._card.deactivate()


def test_a_path_that_a_shell_would_take_apart(tmp_path: Path) -> None:
    """nfcpy hands the path to a shell, so it is refused although the chip is there."""
    chip = Pn532Chip(tmp_path / "my reader")
    with pytest.raises(Complaint, match="without blanks"):
        open_radio(f"pn532:{tmp_path}/my reader")
    chip.close()


@pytest.mark.parametrize(
    "moniker",
    [
        "",
        "nonsense",
        "udp:",
        "udp:127.0.0.1",
        "udp:127.0.0.1:port",
        "udp:127.0.0.1:0",
        "udp:127.0.0.1:99999",
        "pn532:",
        "pn532:/nowhere/at/all",
        "pn532:/dev/null; true",
        "pn532:/dev/null",
        "tty:NOWHERE:pn532",
        "usb",
    ],
)
def test_a_reader_that_is_not_there(moniker: str) -> None:
    """One sentence that names it and says what it means."""
    with pytest.raises(Complaint, match=r"cannot be opened.*No phone can pay here"):
        open_radio(moniker)


def test_two_phones_in_one_field() -> None:
    """The second is told that there is one."""
    port = free_udp_port()
    first, second = UdpField("127.0.0.1", port), UdpField("127.0.0.1", port)
    first.bring(Odd([]))
    try:
        with pytest.raises(Complaint, match="Another phone may be in that field"):
            second.bring(Odd([]))
    finally:
        first.close()
