"""The line to the switch: sends what must arrive, and never guesses what became of it.

`settle` sends the same bytes again while the line is down or the answer is late. If there is no
answer within its budget the outcome is UNKNOWN, a value that only a receipt ends (design rule 5).
Called by settlements, and by the renewal of the certificate that the line is opened with.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from edge_agents.loops import is_being_cancelled
from kessai.channel import RETRY_FIRST_S, is_line_lost, open_channel
from kessai.complaint import Complaint
from kessai.enrollment import DeviceIdentity, renew_if_due
from kessai.line_trouble import trouble_in
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import ConfirmTravelRequest, ConfirmTravelResponse
from kessai.v1.fare_pb2_grpc import FareServiceStub
from kessai.v1.payment_pb2 import (
    CapturePaymentRequest,
    FollowPaymentsRequest,
    FollowPaymentsResponse,
    GetPaymentRequest,
    SettlePaymentRequest,
    VoidPaymentRequest,
)
from kessai.v1.payment_pb2_grpc import PaymentServiceStub

if TYPE_CHECKING:
    from kessai.v1.fare_pb2_grpc import FareServiceAsyncStub
    from kessai.v1.payment_pb2_grpc import PaymentServiceAsyncStub

ATTEMPT_S = 3.0
LONGEST_PAUSE_S = 2.0
# A switch that is there answers a look-up at once, however long a payment takes.
PROBE_S = 0.5

# The switch read the request and did not take it up; it never will under this id.
FINAL = {"FIELD_INVALID", "REQUEST_ID_REUSED", "REQUEST_ID_STALE"}
# The switch answered that it cannot work now: as good as no answer.
OVERWHELMED = {"STORE_UNAVAILABLE", "OVERLOADED"}

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody here knows what became of it; ask again by id. Nothing is handed over on it.

    `is_away`: nobody answered, or the switch said that it cannot work now; the rules for terminals
    that are cut off may apply. Anything else that was answered is an answer. `is_silent`: away, but
    the line stands, so the switch may be there and have no answer to this one.
    """

    why: str
    is_away: bool = False
    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The switch did nothing under this id and never will."""

    why: str


class FollowEnded(Exception):
    """The stream of outcomes broke off; `token_refused` if it must begin without a token."""

    def __init__(self, why: str, token_refused: bool = False) -> None:
        super().__init__(why)
        self.token_refused = token_refused


class Uplink:
    """Calls of a terminal to the switch, over a channel that may be exchanged meanwhile."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        random_bytes: Callable[[int], bytes],
        attempt_s: float = ATTEMPT_S,
        first_pause_s: float = RETRY_FIRST_S,
        reopen: Callable[[DeviceIdentity], grpc.aio.Channel] = open_channel,
    ) -> None:
        """`reopen` opens the channel for a renewed certificate, as the given one was opened."""
        self._channel, self._random_bytes = channel, random_bytes
        self._attempt_s, self._first_pause_s = attempt_s, first_pause_s
        self._reopen = reopen
        self._stub: PaymentServiceAsyncStub = PaymentServiceStub(channel)
        self._fares: FareServiceAsyncStub = FareServiceStub(channel)

    @property
    def channel(self) -> grpc.aio.Channel:
        """The line as it is now; another one after a renewal."""
        return self._channel

    async def close(self) -> None:
        """Close the channel; calls under way end as unknown."""
        await self._channel.close()

    async def settle(
        self, request: SettlePaymentRequest, budget_s: float
    ) -> Signed | NotTaken | Unknown:
        """Send a payment until it is answered, or `budget_s` seconds are over.

        If the switch refuses to take it up it is asked what became of an earlier sending; if it is
        silent over a line that stands, whether it is there at all.
        """

        async def attempt(timeout_s: float) -> Signed:
            return (
                await self._stub.SettlePayment(request, timeout=timeout_s, wait_for_ready=True)
            ).receipt

        answer = await self._insist(attempt, budget_s)
        if isinstance(answer, NotTaken):
            earlier = await self.find(request.request_id, budget_s)
            return answer if earlier is None else earlier
        if isinstance(answer, Unknown) and answer.is_silent:
            found = await self.find(request.request_id, PROBE_S)
            return (
                Unknown("the switch answers, but not for this payment") if found is None else found
            )
        return answer

    async def find(self, payment_id: str, budget_s: float) -> Signed | Unknown | None:
        """Ask for the receipt of a payment, by its request_id; None: the switch has none such."""

        async def attempt(timeout_s: float) -> Signed | None:
            try:
                ask = GetPaymentRequest(request_id=payment_id)
                return (
                    await self._stub.GetPayment(ask, timeout=timeout_s, wait_for_ready=True)
                ).receipt
            except grpc.aio.AioRpcError as error:
                if reason_of(error) == "RESOURCE_UNKNOWN":
                    return None
                raise

        answer = await self._insist(attempt, budget_s)
        return Unknown(answer.why) if isinstance(answer, NotTaken) else answer

    async def end_hold(
        self, request: CapturePaymentRequest | VoidPaymentRequest, budget_s: float
    ) -> Signed | NotTaken | Unknown:
        """Capture or void a held payment; the receipt of how it stands then, whatever was done."""

        async def attempt(timeout_s: float) -> Signed:
            if isinstance(request, CapturePaymentRequest):
                return (
                    await self._stub.CapturePayment(request, timeout=timeout_s, wait_for_ready=True)
                ).receipt
            return (
                await self._stub.VoidPayment(request, timeout=timeout_s, wait_for_ready=True)
            ).receipt

        return await self._insist(attempt, budget_s)

    async def follow(
        self, resume_token: bytes, silence_s: float
    ) -> AsyncGenerator[FollowPaymentsResponse]:
        """Follow this terminal's own payments from a token on; FollowEnded when that breaks off.

        Also after `silence_s` seconds without an answer.
        """
        request = FollowPaymentsRequest(resume_token=resume_token)
        call = self._stub.FollowPayments(request, wait_for_ready=True)
        answers = aiter(call)
        try:
            while True:
                async with asyncio.timeout(silence_s):
                    answer = await anext(answers)
                yield answer
        except grpc.aio.AioRpcError as error:
            refused = reason_of(error) == "FIELD_INVALID"
            raise FollowEnded(describe(error), refused) from None
        except (TimeoutError, StopAsyncIteration):
            raise FollowEnded("the switch ended it, or is silent") from None
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            raise FollowEnded("the line was exchanged for another one") from None
        finally:
            call.cancel()

    async def confirm_travel(
        self, request: ConfirmTravelRequest, budget_s: float
    ) -> ConfirmTravelResponse | NotTaken | Unknown:
        """Ask whether a holder may travel, until it is answered or `budget_s` seconds are over."""

        async def attempt(timeout_s: float) -> ConfirmTravelResponse:
            return await self._fares.ConfirmTravel(request, timeout=timeout_s, wait_for_ready=True)

        return await self._insist(attempt, budget_s)

    async def renew_if_due(self, folder: Path, now_us: Callable[[], int]) -> DeviceIdentity | None:
        """Renew the certificate if it is time, and call with it from then on; None if it is not.

        Complaint if the switch does not renew it now. Calls under way may end on the former line.
        """
        try:
            identity = await renew_if_due(folder, now_us, self._channel)
        except grpc.aio.AioRpcError as error:
            raise Complaint(f"The certificate was not renewed: {describe(error)}.") from None
        if identity is not None:
            former, self._channel = self._channel, self._reopen(identity)
            self._stub = PaymentServiceStub(self._channel)
            self._fares = FareServiceStub(self._channel)
            await former.close(grace=2 * self._attempt_s)
        return identity

    async def _insist(
        self, attempt: Callable[[float], Awaitable[Answer]], budget_s: float
    ) -> Answer | NotTaken | Unknown:
        """Repeat an attempt with growing pauses while that can help; the budget is kept."""
        loop = asyncio.get_running_loop()
        deadline, pause_s = loop.time() + budget_s, self._first_pause_s
        away, has_said = True, False
        while True:
            try:
                return await attempt(max(0.05, min(self._attempt_s, deadline - loop.time())))
            except grpc.aio.AioRpcError as error:
                refusal, away = _judge(error), away and is_away(error)
                has_said = has_said or reason_of(error) in OVERWHELMED
                late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                silent = away and late and not has_said
            if refusal is not None:
                return refusal
            pause_s = min(LONGEST_PAUSE_S, pause_s * (1.5 + self._random_bytes(1)[0] / 256))
            if loop.time() + pause_s >= deadline:
                stands = self._channel.get_state() is grpc.ChannelConnectivity.READY
                return Unknown("the switch did not answer in time", away, silent and stands)
            await asyncio.sleep(pause_s)


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Name the ErrorReason that a failed call carries, without its prefix; "" if it has none."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return _read_reason(value)
    return ""


def _read_reason(status: bytes) -> str:
    info = ErrorInfo()
    try:
        for detail in Status.FromString(status).details:
            if detail.Unpack(info) and info.domain == "kessai":
                return str(info.reason)
    except DecodeError:
        pass
    return ""


def is_away(error: grpc.aio.AioRpcError) -> bool:
    """Whether a failed call is no answer: nobody was there, or the switch cannot work now."""
    reason = reason_of(error)
    return reason in OVERWHELMED if reason else is_line_lost(error)


def _judge(error: grpc.aio.AioRpcError) -> NotTaken | Unknown | None:
    """Tell what a failed call means; None: try again."""
    if reason_of(error) in FINAL:
        return NotTaken(describe(error))
    overloaded = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    if overloaded or is_line_lost(error) or is_away(error):
        return None
    return Unknown(describe(error))


def describe(error: grpc.aio.AioRpcError) -> str:
    """Say for people what a failed call failed with."""
    trouble = trouble_in(error.details())
    return trouble or f"{reason_of(error) or error.code().name}, {error.details()}"
