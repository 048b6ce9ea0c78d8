"""The phone's own line to the bank: balance and statement (mission row B14), and its credential.

Mutual TLS with the phone's certificate, which is how the switch knows whose accounts it may tell.
The certificate is renewed on the way when it is time. Called by `cli`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio

from kessai.account_number import format_account
from kessai.channel import CALL_TIMEOUT_S, ask_why, is_line_lost, open_channel
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity, load_identity
from kessai.enrollment import renew_if_due
from kessai.log_marks import LogMarks, first_difference
from kessai.patience import told_if_slow
from kessai.request_id import format_request_id
from kessai.v1.account_pb2 import (
    Account,
    GetAccountRequest,
    ListEntriesRequest,
    ListEntriesResponse,
)
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.holder_pb2 import IssueCredentialRequest
from kessai.v1.holder_pb2_grpc import HolderServiceStub
from kessai.v1.ledger_pb2 import GetLogHashRequest
from kessai.v1.ledger_pb2_grpc import LedgerServiceStub
from kessai.v1.payment_pb2 import GetPaymentRequest
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from simulators.phone.holder_key import HolderKey

MAX_ENTRIES = 500


class BankLine:
    """An open line, as the owner of a wallet."""

    def __init__(self, identity: DeviceIdentity, channel: grpc.aio.Channel) -> None:
        self._identity, self._channel = identity, channel
        self._stub = AccountServiceStub(channel)
        self._holders = HolderServiceStub(channel)
        self._payments = PaymentServiceStub(channel)

    async def certify(self, key: HolderKey, account_number: str, request_id: bytes) -> None:
        """Have the phone's holder key certified for an account; Complaint if the bank does not."""
        request = IssueCredentialRequest(
            request_id=format_request_id(request_id),
            holder_public_key=key.public_key,
            holder_key_proof=key.prove_possession(request_id),
            account_number=account_number,
        )
        async with _complaints(self._channel):
            answer = await self._holders.IssueCredential(
                request, timeout=CALL_TIMEOUT_S, wait_for_ready=True
            )
        key.keep(answer.credential)

    async def tickets(self, request_id: bytes) -> Sequence[Signed]:
        """Give the tickets that a payment bought; none if the bank knows no such payment.

        Complaint if the bank does not answer.
        """
        ask = GetPaymentRequest(request_id=format_request_id(request_id))
        async with _complaints(self._channel):
            try:
                answer = await self._payments.GetPayment(
                    ask, timeout=CALL_TIMEOUT_S, wait_for_ready=True
                )
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
                return []
        return answer.tickets

    async def accounts(self) -> list[Account]:
        """Tell the wallet's accounts with their balances; Complaint if the bank does not."""
        numbers = [format_account(account) for account in self._identity.accounts]
        async with _complaints(self._channel):
            answers = [
                await self._stub.GetAccount(
                    GetAccountRequest(account_number=number),
                    timeout=CALL_TIMEOUT_S,
                    wait_for_ready=True,
                )
                for number in numbers
            ]
        return [answer.account for answer in answers]

    async def statement(self, account_number: str, limit: int) -> ListEntriesResponse:
        """List an account's newest entries, at most 500; Complaint if it is somebody else's."""
        request = ListEntriesRequest(
            account_number=account_number, page_size=min(limit, MAX_ENTRIES)
        )
        async with _complaints(self._channel):
            return await self._stub.ListEntries(
                request, timeout=CALL_TIMEOUT_S, wait_for_ready=True
            )


@asynccontextmanager
async def open_bank_line(folder: Path, now_us: Callable[[], int]) -> AsyncIterator[BankLine]:
    """Open the line of a paired phone; Complaint if it is not paired, or its time is over."""
    identity = load_identity(folder)
    identity.require_in_date(now_us())
    with told_if_slow(f"the bank at {identity.server_address}"):
        async with open_channel(identity) as channel:
            renewed = await _renew(folder, now_us, channel)
            if renewed is None:
                await _check_log(folder, channel)
                yield BankLine(identity, channel)
                return
        async with open_channel(renewed) as channel:
            await _check_log(folder, channel)
            yield BankLine(renewed, channel)


async def _check_log(folder: Path, channel: grpc.aio.Channel) -> None:
    """Have the bank show that its log still is what the phone's receipts say; else keep an alarm.

    A bank that does not answer changes nothing: another time.
    """
    marks, alarm = LogMarks(folder), ""
    try:
        for receipts in marks.pages():
            request = GetLogHashRequest(receipts=receipts)
            answer = await LedgerServiceStub(channel).GetLogHash(request, timeout=CALL_TIMEOUT_S)
            marks.begin_anew(receipts, answer.places)
            gone = first_difference(receipts, answer.places)
            if gone is not None:
                alarm = f"row {gone.sequence} of shard {gone.shard}"
    except grpc.aio.AioRpcError:
        return
    marks.set_alarm(alarm)


async def _renew(
    folder: Path, now_us: Callable[[], int], channel: grpc.aio.Channel
) -> DeviceIdentity | None:
    try:
        return await renew_if_due(folder, now_us, channel)
    except grpc.aio.AioRpcError:
        return None  # the present certificate is still good: another time


@asynccontextmanager
async def _complaints(channel: grpc.aio.Channel) -> AsyncIterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if is_line_lost(error):
            why = await ask_why(channel) or "The bank does not answer."
            raise Complaint(f"{why} No money was moved: try later.") from None
        if error.code() == grpc.StatusCode.NOT_FOUND:
            raise Complaint("You have no such account. No money was moved.") from None
        raise Complaint(f"The bank refuses: {error.details()}. No money was moved.") from None
