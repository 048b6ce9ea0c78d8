"""A phone that asks another one for money, and learns on the spot what became of it.

With the other's sealed authorisation it submits by its own line, the same bytes until answered;
where the other one submits, it is told by the switch (it follows its own bills) and by the other
phone, and believes only the receipt that fits its bill (mission row B5). Called by `bill_cli`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from edge_agents.links.message_link import LinkLost, Radio
from kessai.envelope import RECEIPT, EnvelopeError, PublicKey, open_signed
from kessai.settlement_terms import is_amount
from kessai.v1 import tap_pb2
from kessai.v1.bill_pb2 import SettleBillRequest
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import Receipt
from kessai.v1.tap_pb2 import TapResponse
from simulators.phone import bill_screen as screen
from simulators.phone.bill_session import SESSION_ID_BYTES, BillSession
from simulators.phone.bill_store import BillStore, OwnBill
from simulators.phone.own_line import NotTaken, OwnLine
from simulators.phone.screen import Screen

POLL_S = 0.5
INQUIRE_EVERY_S = 0.2
FOLLOW_S = 5.0
NEWEST = 100

_SAYS_NO = {
    tap_pb2.TAP_STATUS_CUSTOMER_DECLINED: "The other one said no.",
    tap_pb2.TAP_STATUS_PHONE_LOCKED: "The other phone is locked.",
    tap_pb2.TAP_STATUS_REQUEST_REFUSED: "The other phone refused this bill.",
    tap_pb2.TAP_STATUS_NOT_UNDERSTOOD: "The other phone did not understand this bill.",
}


class BillCollector:
    """Collects the bills of one phone; `certificate` says whose it is."""

    def __init__(
        self,
        certificate: Signed,
        switch_key: PublicKey,
        store: BillStore,
        line: OwnLine,
        show: Callable[[Screen], None],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._certificate, self._switch_key = certificate, switch_key
        self._store, self._line, self._show = store, line, show
        self._random_bytes = random_bytes
        self._ended = threading.Event()

    async def collect(self, signed: Signed, radio: Radio, within_s: float) -> Screen:
        """Show a bill to the phone in the field until it is over; the last page comes back."""
        own = self._store.add(signed)
        page = self._turn(screen.bill(own, radio.code or ""))
        try:
            async with asyncio.timeout(within_s):
                while not page.view.is_final:
                    link = await radio.wait_for_phone(POLL_S)
                    if link is not None:
                        session = BillSession(link, self._random_bytes(SESSION_ID_BYTES))
                        with contextlib.suppress(LinkLost):
                            page = await self._ask(session, own)
        except TimeoutError:
            page = self._turn(screen.unknown(own))
        finally:
            self._ended.set()
        return page

    async def take_up(self) -> list[OwnBill]:
        """Go on with what has no receipt yet, as after the phone was killed; what is known now."""
        bills = self._store.history(NEWEST)
        return [own if own.receipt else await self._go_on(own) for own in bills]

    async def _go_on(self, own: OwnBill) -> OwnBill:
        if own.sealed is not None:
            answer = await asyncio.to_thread(self._line.submit, _submission(own), _no_pause)
        else:
            answer = await asyncio.to_thread(self._line.find, own.payment_id)
        return self._keep(own, answer) if isinstance(answer, Signed) else own

    async def _ask(self, session: BillSession, own: OwnBill) -> Screen:
        answer = await session.present(own, self._certificate)
        while answer.status == tap_pb2.TAP_STATUS_CUSTOMER_DECIDING:
            self._turn(screen.deciding(own))
            await asyncio.sleep(INQUIRE_EVERY_S)
            answer = await session.inquire(own)
        if answer.status == tap_pb2.TAP_STATUS_AUTHORIZED and not own.is_submitted_by_payer:
            return await self._submit(session, own, answer.sealed_authorization)
        if answer.status == tap_pb2.TAP_STATUS_SUBMITTING and own.is_submitted_by_payer:
            return await self._await(session, own, answer)
        why = _SAYS_NO.get(answer.status, _SAYS_NO[tap_pb2.TAP_STATUS_NOT_UNDERSTOOD])
        return self._turn(screen.not_agreed(own, why))

    async def _submit(self, session: BillSession, own: OwnBill, sealed: Sealed) -> Screen:
        own = self._store.keep_sealed(own, sealed)
        self._turn(screen.submitting(own))
        answer = await asyncio.to_thread(self._line.submit, _submission(own), self._ended.wait)
        if not isinstance(answer, Signed):
            unanswered = self._line.trouble or "no answer"
            why = answer.why if isinstance(answer, NotTaken) else unanswered
            return self._turn(screen.not_taken(own, why))
        page = self._turn(screen.outcome(self._keep(own, answer)))
        with contextlib.suppress(LinkLost):
            await session.deliver(answer)
        return page

    async def _await(self, session: BillSession, own: OwnBill, answer: TapResponse) -> Screen:
        """Wait for the receipt, by the switch and by the other phone, whichever is first."""
        self._turn(screen.submitting(own))
        told = asyncio.ensure_future(asyncio.to_thread(self._follow, own))
        shown = asyncio.ensure_future(self._inquire(session, own, answer))
        try:
            await asyncio.wait({told, shown}, return_when=asyncio.FIRST_COMPLETED)
            own = shown.result() if shown.done() else told.result()
        finally:
            self._ended.set()
            shown.cancel()
        return self._turn(screen.outcome(own) if own.receipt else screen.unknown(own))

    async def _inquire(self, session: BillSession, own: OwnBill, answer: TapResponse) -> OwnBill:
        """Take the receipt that the other phone shows; one that has left shows nothing."""
        try:
            while own.receipt is None:
                if answer.HasField("receipt"):
                    own = self._keep(own, answer.receipt)
                await asyncio.sleep(INQUIRE_EVERY_S)
                answer = await session.inquire(own)
        except LinkLost:
            await asyncio.get_running_loop().create_future()
        return own

    def _follow(self, own: OwnBill) -> OwnBill:
        """Take the receipt that the switch tells; blocks until there is one, or it is over."""
        while own.receipt is None and not self._ended.is_set():
            for signed in self._line.follow(FOLLOW_S):
                found = signed or self._line.find(own.payment_id)
                own = self._keep(own, found) if found is not None else own
                if own.receipt is not None or self._ended.is_set():
                    break
        return own

    def _keep(self, own: OwnBill, signed: Signed) -> OwnBill:
        """Keep a receipt that the switch signed for exactly this bill; else nothing changes."""
        try:
            receipt = open_signed(signed, RECEIPT, self._switch_key, Receipt.FromString)
        except EnvelopeError:
            return own
        said = (receipt.request_id, receipt.request_hash)
        if said != (own.bill.request_id, own.bill_hash) or not is_amount(receipt, own.bill.amount):
            return own
        return self._store.keep_receipt(own, signed)

    def _turn(self, page: Screen) -> Screen:
        self._show(page)
        return page


def _submission(own: OwnBill) -> SettleBillRequest:
    return SettleBillRequest(
        request_id=own.payment_id, bill=own.signed, sealed_authorization=own.sealed
    )


def _no_pause(seconds: float) -> bool:
    return True
