"""Radio, the terminal's end: what a phone or card says over NFC or BLE, up to tap answers."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.config import load_config
from edge_agents.deny_list import DenyList
from edge_agents.entrance.entrance import Entrance, EntranceParts
from edge_agents.entrance.verdict import Doorkeeper
from edge_agents.events import Events
from edge_agents.gate.admission import EntryGates, Refused, check_proof
from edge_agents.gate.config import GateConfig
from edge_agents.gate.entry import EntryLane
from edge_agents.gate.fare_box import FareBox
from edge_agents.gate.lane import GateParts, Undecided
from edge_agents.gate.leaving import ExitLane
from edge_agents.gate.rides import Rides
from edge_agents.gate.rules import read_rules
from edge_agents.links.apdu_link import exchange_message, select_application
from edge_agents.links.frontend import complete_ats
from edge_agents.links.message_link import LinkLost
from edge_agents.links.radio import open_radio
from edge_agents.tap import TapSession, ask_to_pay
from kessai.ble_profile import FragmentError, Reassembler, fragments
from kessai.envelope import HOLDER_CREDENTIAL, sign
from kessai.holder import Asked, HolderRefused, open_holder_answer
from kessai.money import Money
from kessai.ticket import Entrance as AskingEntrance
from kessai.ticket import (
    TicketRefused,
    claimed_ticket_id,
    open_certificate_answer,
    open_ticket_answer,
)
from kessai.v1 import tap_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission
from kessai.v1.holder_pb2 import HolderAnswer
from kessai.v1.tap_pb2 import TapRequest, TapResponse, TicketAnswer
from simulators.phone.pn532_chip import Pn532Chip
from simulators.town import free_udp_port
from tests.attack.extremes import extremes
from tests.fuzz.mangling import bytes_like, examples, mangled
from tests.unit.edge_agents.conftest import shop
from tests.unit.edge_agents.links.fields import PATIENCE_S, reversed_bytes
from tests.unit.edge_agents.parties import (
    NOW_US,
    SWITCH_KEY,
    WAIT_S,
    Field,
    Phone,
    Switch,
    make_pending,
    make_sealed,
    make_terminal,
)
from tests.unit.edge_agents.shop import BREAD, Follower, Shop, open_till
from tests.unit.edge_agents.test_offline_decision import credential

__all__ = ["shop"]

OK, MORE = b"\x90\x00", b"\x61\x05"
TERMINAL, PENDING = make_terminal(), make_pending()
KEY = SWITCH_KEY.public_key()
GOOD = TapResponse(
    session_id=bytes(16),
    sequence=1,
    status=tap_pb2.TAP_STATUS_AUTHORIZED,
    sealed_authorization=make_sealed(PENDING),
)


@examples(4)
@given(
    answers=st.lists(bytes_like(OK, b"answer" + MORE, b"\x6a\x82"), min_size=1),
    size=st.integers(0, 600),
)
def test_apdus(answers: list[bytes], size: int) -> None:
    """Each answer is used in turn, the last again and again: a message comes back, or none."""
    left = list(answers)

    def card(apdu: bytes) -> bytes:
        return left.pop(0) if len(left) > 1 else left[0]

    with suppress(LinkLost):
        assert isinstance(exchange_message(card, bytes(size)), bytes)
    assert select_application(card) in (True, False)


@examples(4)
@given(ats=bytes_like(bytes.fromhex("057880c002")))
def test_answers_to_select(ats: bytes) -> None:
    with suppress(ValueError):
        assert len(complete_ats(ats)) == 5


@examples(4)
@given(values=st.lists(bytes_like(b"\x01more", b"\x00last"), max_size=8))
def test_ble_fragments(values: list[bytes]) -> None:
    """What is no fragment is refused, and the next message is whole."""
    incoming = Reassembler()
    for value in values:
        with suppress(FragmentError):
            incoming.feed(value)
    with suppress(FragmentError):
        incoming.feed(b"\xff")
    assert [incoming.feed(value) for value in fragments(b"good" * 50, 20)][-1] == b"good" * 50


class Liar:
    """A phone that answers anything but what it should: altered in a field, or in its bytes."""

    def __init__(self, seed: int) -> None:
        self._dice, self._honest = random.Random(seed), Phone()

    async def exchange(self, message: bytes, timeout_s: float) -> bytes:
        """Lie."""
        request = TapRequest.FromString(message)
        answer: Message = TapResponse(status=self._dice.choice(list(tap_pb2.TapStatus.values())))
        if request.WhichOneof("body") in ("present_payment", "inquire_payment"):
            answer = self._honest._answer(request)
        answer = self._dice.choice([answer, *(other for _, other in extremes(answer))])
        stamped = cast("TapResponse", answer)
        stamped.session_id, stamped.sequence = request.session_id, request.sequence
        raw = bytearray(stamped.SerializeToString())
        for _ in range(self._dice.choice((0, 0, 1, 3))):
            if raw:
                raw[self._dice.randrange(len(raw))] ^= 1 << self._dice.randrange(8)
        return bytes(raw)


class Parrot:
    """A phone that says the same each time."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def exchange(self, message: bytes, timeout_s: float) -> bytes:
        """Say it."""
        return self._answer


@examples(4)
@given(answer=bytes_like(GOOD.SerializeToString(), TapResponse().SerializeToString()))
def test_tap_answers(answer: bytes) -> None:
    """A decision, or as if the phone had left."""

    async def ask() -> None:
        session, wanted = TapSession(Parrot(answer), bytes(16)), iter([True] * 4 + [False] * 9)
        with suppress(LinkLost):
            await ask_to_pay(session, PENDING, None, lambda: next(wanted), lambda: None)

    asyncio.run(ask())


async def sell(shop: Shop, phone: Liar) -> None:
    """Hold a phone to the till, and honest ones after it until one has paid."""
    before = shop.events.names().count("settled")
    await shop.scan(BREAD, "%PAY")
    shop.reader.put(phone)
    async with asyncio.timeout(WAIT_S):
        while shop.events.names().count("settled") == before:
            shop.events.arrived.clear()
            try:
                await asyncio.wait_for(shop.events.arrived.wait(), 0.3)
            except TimeoutError:
                await shop.scan("%PAY")
                shop.reader.put(Phone())


@examples(0.1)
@given(seeds=st.lists(st.integers(0, 2**32), min_size=2, max_size=4))
def test_a_register_serves_the_next_phone(shop: Shop, seeds: list[int]) -> None:
    """Whatever a phone answered, the next one pays."""

    async def play() -> None:
        till = dataclasses.replace(shop, switch=Switch(), reader=Field(), events=Follower())
        async with open_till(till):
            for seed in seeds:
                await sell(till, Liar(seed))

    asyncio.run(play())


def said_by(seed: int, *kinds: Callable[[], Message]) -> list[Any]:
    """Messages with one field altered each."""
    dice = random.Random(seed)
    return [dice.choice([other for _, other in extremes(kind())]) for kind in kinds]


@examples(4)
@given(
    seed=st.integers(0, 2**32),
    payload=bytes_like(Admission(admission_id=b"a" * 16).SerializeToString()),
)
def test_what_a_phone_shows(seed: int, payload: bytes) -> None:
    """Tickets, certificates, holders' answers and admissions: good, or refused with a reason."""
    answer, held = said_by(seed, TicketAnswer, HolderAnswer)
    counter = AskingEntrance(b"n" * 32, "corner-shop", "till-1")
    with suppress(TicketRefused):
        open_ticket_answer(answer, KEY, counter)
    with suppress(TicketRefused):
        open_certificate_answer(answer, KEY, counter, Money(100, "EUR"))
    claimed_ticket_id(answer.ticket)
    asked, gates = Asked(bytes(32), "rail", "gate-1"), EntryGates(TERMINAL)
    with suppress(HolderRefused):
        open_holder_answer(held, KEY, asked, NOW_US)
    signed = Signed(type="admission", payload=payload, key_id=TERMINAL.merchant_certificate.key_id)
    for claim in (signed, answer.ticket, held.credential):
        gates.knows(claim)
        gates.learn(claim)
        with suppress(Refused):
            gates.open_admission(claim)
        with suppress(Refused):
            gates.open_journey(claim, payload)
    with suppress(Refused):
        check_proof(held.proof, Admission(holder_public_key=payload), asked)


class Shower:
    """A phone that shows something at gates and doors, altered in a field."""

    def __init__(self, seed: int) -> None:
        self._dice, credential_of = random.Random(seed), credential()
        held = HolderAnswer(credential=sign(HOLDER_CREDENTIAL, credential_of, SWITCH_KEY))
        self._good = TapResponse(
            holder_answer=held,
            ticket_answer=TicketAnswer(ticket=TERMINAL.merchant_certificate, persons=1),
        )
        self._good.admission_answer.admission.CopyFrom(TERMINAL.merchant_certificate)

    async def exchange(self, message: bytes, timeout_s: float) -> bytes:
        """Show it."""
        request = TapRequest.FromString(message)
        every = [self._good, *(cast("TapResponse", other) for _, other in extremes(self._good))]
        answer = self._dice.choice(every)
        answer.status = self._dice.choice(
            (
                tap_pb2.TAP_STATUS_HOLDER_PROVEN,
                tap_pb2.TAP_STATUS_ADMISSION_SHOWN,
                tap_pb2.TAP_STATUS_ADMISSION_MISSING,
                tap_pb2.TAP_STATUS_TICKET_SHOWN,
            )
        )
        answer.session_id, answer.sequence = request.session_id, request.sequence
        return answer.SerializeToString()


async def shown(link: Liar | Shower, rides: Rides) -> None:
    """Have a phone served at both directions of a gate, and at an entrance."""

    async def show(sign: object, seconds: float) -> None:
        """No door is there."""

    rules = read_rules(load_config(GateConfig, None, {}))
    fields: dict[str, Any] = dict.fromkeys(each.name for each in dataclasses.fields(GateParts))
    fields |= {"terminal": TERMINAL, "rules": rules, "rides": rides, "now_us": lambda: NOW_US}
    gate = GateParts(**fields | {"random_bytes": bytes, "entry_gates": EntryGates(TERMINAL)})
    for lane in (EntryLane(gate, cast("FareBox", None)), ExitLane(gate, cast("FareBox", None))):
        with suppress(Refused, Undecided, LinkLost):
            await lane.serve(TapSession(link, bytes(16)))
    door = SimpleNamespace(show=show, stands_open=True)
    watch = SimpleNamespace(in_use=asyncio.Lock())
    keeper = Doorkeeper("corner-shop", ("concert",), cast("DenyList", None), 0, lambda: NOW_US)
    parts = SimpleNamespace(
        terminal=TERMINAL, keeper=keeper, door=door, watch=watch, events=Events(lambda: NOW_US),
        random_bytes=bytes, now_us=lambda: NOW_US, book=None,
    )  # fmt: skip
    with suppress(LinkLost):
        await Entrance(cast("EntranceParts", parts))._serve(TapSession(link, bytes(16)))


@examples(2)
@given(seed=st.integers(0, 2**32), lies=st.booleans())
def test_gates_and_entrances(tmp_path: Path, seed: int, lies: bool) -> None:
    """A phone that shows anything but what is good opens nothing, and ends nothing."""
    with closing(Rides(tmp_path)) as rides:
        asyncio.run(shown(Liar(seed) if lies else Shower(seed), rides))


class NoisyChip(Pn532Chip):
    """A reader whose line to the host says `noise` in place of its next answers."""

    def __init__(self, path: Path) -> None:
        self.noise: list[bytes] = []
        super().__init__(path)

    def _write(self, data: bytes) -> None:
        super()._write(self.noise.pop(0) if self.noise else data)


FRAMES = (bytes.fromhex("0000ff00ff00"), bytes.fromhex("0000ff04fcd54b0100dc00"))


@examples(0.15)
@given(noise=st.lists(mangled(*FRAMES), min_size=1, max_size=3))
def test_an_nfc_reader(tmp_path: Path, noise: list[bytes]) -> None:
    """Frames of its chip that are none: the reader is opened again, and finds the next phone."""
    chip = NoisyChip(tmp_path / "reader")
    card = chip.make_card(reversed_bytes)

    async def use() -> None:
        with closing(chip):
            radio = open_radio(f"pn532:{tmp_path / 'reader'}")
            chip.noise.extend(noise)
            await radio.wait_for_phone(0.3)
            chip.noise.clear()
            chip.bring(card)
            link = await radio.wait_for_phone(PATIENCE_S)
            assert link is not None
            assert await link.exchange(b"good", PATIENCE_S) == b"doog"
            await radio.close()

    asyncio.run(use())
    card.close()


@examples(0.25)
@given(datagrams=st.lists(bytes_like(b"106A 26", b"106A 4400", b"RFOFF"), min_size=1, max_size=6))
def test_a_field_over_udp(datagrams: list[bytes]) -> None:
    """Datagrams in place of a phone's frames: nobody is there, and waiting ends in time."""
    port = free_udp_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", port))
        phone.settimeout(2)

        def answer() -> None:
            for datagram in datagrams:
                with suppress(TimeoutError):
                    _, reader = phone.recvfrom(600)
                    phone.sendto(datagram, reader)

        async def use() -> None:
            radio = open_radio(f"udp:127.0.0.1:{port}")
            answering = asyncio.create_task(asyncio.to_thread(answer))
            assert await radio.wait_for_phone(0.2) is None
            await radio.close()
            phone.settimeout(0.01)
            await answering

        asyncio.run(use())
