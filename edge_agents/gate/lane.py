"""What both directions of a gate have in common: their parts, and what serving a phone comes to.

`entry` and `leaving` serve phones, `desk` opens the barrier for whom they let through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from edge_agents.display_board import Page
from edge_agents.events import Events
from edge_agents.fleet_member import FleetMember
from edge_agents.gate.admission import EntryGates, Refused, check_proof
from edge_agents.gate.rides import Rides
from edge_agents.gate.rules import Rules
from edge_agents.journal import Journal
from edge_agents.payment_request import RequestMaker, Terminal
from edge_agents.settlements import Settlements
from edge_agents.tap import TapSession
from edge_agents.uplink import Uplink
from kessai.holder import Asked, Holder, HolderRefused, challenge_of, make_nonce
from kessai.holder import open_holder_answer as open_answer
from kessai.v1 import decline_pb2 as d
from kessai.v1 import tap_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import Admission
from kessai.v1.tap_pb2 import (
    AskForAdmission,
    ChallengeHolder,
    GrantAdmission,
    TapRequest,
    TapResponse,
)

# Who was let in or out, and did not walk, may tap again for so long.
RETRY_US = 300 * 1_000_000


class Undecided(Exception):
    """Nobody knows yet: the gate stays shut, and the next tap goes on; `pages` tell the person."""

    def __init__(self, pages: list[Page]) -> None:
        super().__init__(" ".join(pages[0]))
        self.pages = pages


@dataclass(frozen=True, slots=True)
class Allowed:
    """Somebody may pass: what the display says, what the phone is still told, what is noted."""

    pages: list[Page]
    passed: Callable[[], None]
    farewell: Callable[[TapSession], Awaitable[None]] | None = None


class Lane(Protocol):
    """One direction of a gate."""

    async def serve(self, session: TapSession) -> Allowed:
        """Serve a phone; Refused, Undecided, or LinkLost if it left."""
        ...


@dataclass
class GateParts:
    """What a gate works with; `terminal` changes when its certificate is renewed."""

    terminal: Terminal
    rules: Rules
    rides: Rides
    journal: Journal
    requests: RequestMaker
    deferred_requests: RequestMaker
    settlements: Settlements
    uplink: Uplink
    member: FleetMember
    entry_gates: EntryGates
    events: Events
    now_us: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    may_trust: bool
    """Whether it may decide without the switch."""

    @property
    def is_cut_off(self) -> bool:
        """Tell whether the switch is out of reach as far as is known: then nobody waits for it."""
        return not self.member.is_in_touch

    def new_nonce(self) -> bytes:
        """Make what a phone is asked to answer."""
        return make_nonce(self.now_us(), self.random_bytes)

    def asked(self, nonce: bytes) -> Asked:
        """Say what a phone has to prove to this gate."""
        terminal = self.terminal
        return Asked(challenge_of(nonce), terminal.merchant_id, terminal.terminal_id)

    async def challenge(
        self, session: TapSession, nonce: bytes, with_journey: bool = False
    ) -> tuple[Holder, TapResponse]:
        """Ask a phone who it is, and verify the answer; Refused if it does not prove it."""
        body = ChallengeHolder(
            nonce=nonce,
            merchant_certificate=self.terminal.merchant_certificate,
            with_journey=with_journey,
        )
        answer = await session.exchange(TapRequest(challenge_holder=body))
        if answer.status != tap_pb2.TAP_STATUS_HOLDER_PROVEN:
            raise Refused(d.DECLINE_REASON_CREDENTIAL_INVALID)
        key, asked = self.terminal.switch_key, self.asked(nonce)
        try:
            return open_answer(answer.holder_answer, key, asked, self.now_us()), answer
        except HolderRefused as refused:
            raise Refused(refused.reason) from None

    async def shown_admission(self, session: TapSession) -> Admission | None:
        """Ask a phone for its open admission and verify it; None if it has none. Refused if bad."""
        nonce = self.new_nonce()
        answer = await self._ask(session, nonce, with_certificate=False)
        if answer.status == tap_pb2.TAP_STATUS_ADMISSION_MISSING:
            return None
        gates = self.entry_gates
        if not gates.knows(answer.admission_answer.admission):
            answer = await self._ask(session, nonce, with_certificate=True)
            gates.learn(answer.admission_answer.entry_certificate)
        admission = gates.open_admission(answer.admission_answer.admission)
        check_proof(answer.admission_answer.proof, admission, self.asked(nonce))
        return admission

    async def _ask(self, session: TapSession, nonce: bytes, with_certificate: bool) -> TapResponse:
        body = AskForAdmission(
            nonce=nonce,
            merchant_certificate=self.terminal.merchant_certificate,
            with_entry_certificate=with_certificate,
        )
        answer = await session.exchange(TapRequest(ask_for_admission=body))
        if answer.status == tap_pb2.TAP_STATUS_HOLDER_UNKNOWN:
            raise Refused(d.DECLINE_REASON_CREDENTIAL_INVALID)
        if answer.status not in (
            tap_pb2.TAP_STATUS_ADMISSION_SHOWN,
            tap_pb2.TAP_STATUS_ADMISSION_MISSING,
        ):
            raise Refused(d.DECLINE_REASON_ADMISSION_INVALID)
        return answer

    async def grant(self, session: TapSession, signed: Signed) -> None:
        """Give a phone an admission; Refused with ADMISSION_INVALID if it does not keep it."""
        grant = GrantAdmission(admission=signed)
        answer = await session.exchange(TapRequest(grant_admission=grant))
        if answer.status != tap_pb2.TAP_STATUS_ADMISSION_KEPT:
            raise Refused(d.DECLINE_REASON_ADMISSION_INVALID)
