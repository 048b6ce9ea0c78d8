"""Submits what the customer agreed to by the phone's own line (mission rows B2 and B5).

The decision is on the disk before anything is sent, and the same bytes are sent until the switch
has answered; a phone that was killed goes on at its next start. The receipt is kept and shown.
Called by `wallet`, and by `phone` at its start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from kessai.device_identity import DeviceIdentity
from kessai.envelope import BILL
from kessai.request_id import format_request_id
from kessai.v1 import payment_pb2, tap_pb2
from kessai.v1.bill_pb2 import SettleBillRequest
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import PaymentRequest, SettlePaymentRequest
from simulators.phone import screen
from simulators.phone.own_line import NotTaken, OwnLine, Submission
from simulators.phone.receipt import ReceiptRefused, accept_receipt
from simulators.phone.screen import Screen
from simulators.phone.store import Decision, Store

# So long after it expired, what was not submitted is left: the switch takes no id that is so old.
STALE_US = 10 * 60 * 1_000_000
_THREADS = 4
_NEWEST = 100


class Submitter:
    """Submits for one phone; one that misbehaves waits for `delay_s` seconds before."""

    def __init__(
        self,
        identity: DeviceIdentity,
        store: Store,
        show: Callable[[Screen], None],
        now_us: Callable[[], int],
        delay_s: float = 0.0,
    ) -> None:
        self._identity, self._store, self._show = identity, store, show
        self._now_us, self._delay_s = now_us, delay_s
        self._ended = threading.Event()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="own-line")
        self._lock = threading.Lock()
        self._in_hand: set[bytes] = set()

    def submit(self, decision: Decision) -> None:
        """Submit a decision in a thread, unless it is submitted already or has its receipt."""
        with self._lock:
            if decision.receipt or decision.request_hash in self._in_hand:
                return
            self._in_hand.add(decision.request_hash)
        self._threads.submit(self._work, decision)

    def take_up(self) -> None:
        """Submit what was agreed to and has no receipt, as after the phone was killed."""
        oldest_us = self._now_us() - STALE_US
        for decision in self._store.history(_NEWEST):
            request = decision.read_request()
            agreed = decision.status == tap_pb2.TAP_STATUS_AUTHORIZED and not decision.receipt
            in_time = request.expire_time.ToMicroseconds() > oldest_us
            if agreed and in_time and is_direct(request):
                self.submit(decision)

    def close(self) -> None:
        """Break off what is not answered; it is taken up at the next start."""
        self._ended.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _work(self, decision: Decision) -> None:
        line = OwnLine(self._identity)
        try:
            if not self._ended.wait(self._delay_s):
                pause = partial(self._pause, decision, line)
                self._take(decision, line.submit(_submission(decision), pause))
        finally:
            line.close()
            with self._lock:
                self._in_hand.discard(decision.request_hash)

    def _pause(self, decision: Decision, line: OwnLine, seconds: float) -> bool:
        """Wait before the next try, and show what the customer can mend meanwhile."""
        if line.trouble:
            self._show(screen.not_submitted(decision.shop, line.trouble))
        return self._ended.wait(seconds)

    def _take(self, decision: Decision, answer: Signed | NotTaken | None) -> None:
        if isinstance(answer, NotTaken):
            self._show(screen.not_submitted(decision.shop, answer.why))
        elif answer is not None:
            raw = answer.SerializeToString()
            try:
                self._show(accept_receipt(raw, self._identity.switch_key, self._store))
            except ReceiptRefused as error:
                self._show(screen.not_submitted(decision.shop, str(error)))


def is_direct(request: PaymentRequest) -> bool:
    """Tell whether this phone submits a request itself."""
    return request.submitter == payment_pb2.PAYMENT_SUBMITTER_PHONE


def _submission(decision: Decision) -> Submission:
    signed = Signed.FromString(decision.payment_request)
    sealed = Sealed.FromString(decision.sealed)
    request_id = format_request_id(decision.read_request().request_id)
    if signed.type == BILL:
        return SettleBillRequest(request_id=request_id, bill=signed, sealed_authorization=sealed)
    return SettlePaymentRequest(
        request_id=request_id, payment_request=signed, sealed_authorization=sealed
    )
