"""Watches the ledger as an operator may: new entries of the town's accounts, and the totals.

Used by `town.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar, cast

import grpc
from google.protobuf.message import Message

from kessai.account_number import parse_account, pretty_account
from kessai.channel import ask_until_answered, open_blocking_channel
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity
from kessai.enum_name import enum_name
from kessai.money import Money, format_minor
from kessai.request_id import format_request_id
from kessai.v1 import account_pb2 as pb
from kessai.v1 import device_pb2
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.device_pb2_grpc import DeviceServiceStub
from simulators.town_stage import Movement

CALL_LIMIT_S = 20.0
_EVERY_S = 0.15


Answer = TypeVar("Answer")


class Operator:
    """The operator's line to the switch, and the calls that the town needs.

    It outlives a switch that is killed: each call waits for the next one. Complaint if none answers
    in time, or it refuses.
    """

    def __init__(self, identity: DeviceIdentity, new_request_id: Callable[[], bytes]) -> None:
        self._channel = open_blocking_channel(identity)
        self._new_request_id = new_request_id
        self._accounts = AccountServiceStub(self._channel)
        self._devices = DeviceServiceStub(self._channel)

    def open_account(self, owner: str, currency: str, cash_minor: int) -> str:
        """Open an account and pay cash in; its fourteen digits."""
        request = pb.OpenAccountRequest(
            request_id=self._id(), owner=owner, currency_code=currency, branch=1
        )
        number = self._ask(self._accounts.OpenAccount, request).account.account_number
        if cash_minor:
            deposit = pb.DepositCashRequest(
                request_id=self._id(),
                account_number=number,
                amount=Money(cash_minor, currency).to_proto(),
            )
            self._ask(self._accounts.DepositCash, deposit)
        return number

    def create_merchant(
        self,
        merchant_id: str,
        name: str,
        account_number: str,
        category: str,
        unverified_limit: Money | None,
    ) -> None:
        """Enter a merchant, with its category code (ISO 18245)."""
        request = device_pb2.CreateMerchantRequest(
            request_id=self._id(), merchant_id=merchant_id, display_name=name,
            category_code=category, account_number=account_number,
        )  # fmt: skip
        if unverified_limit is not None:
            request.unverified_limit.CopyFrom(unverified_limit.to_proto())
        self._ask(self._devices.CreateMerchant, request)

    def pair(self, request: device_pb2.CreatePairingCodeRequest) -> str:
        """Make a pairing code; its URI."""
        request.request_id = self._id()
        return self._ask(self._devices.CreatePairingCode, request).pairing_uri

    def entries(self, number: str) -> pb.ListEntriesResponse:
        """Read an account's newest entries and its balance."""
        request = pb.ListEntriesRequest(account_number=number, page_size=20)
        return self._ask(self._accounts.ListEntries, request)

    def trial_balance(self) -> pb.GetTrialBalanceResponse:
        """Add up all accounts."""
        return self._ask(self._accounts.GetTrialBalance, pb.GetTrialBalanceRequest())

    def close(self) -> None:
        """Close the line."""
        self._channel.close()

    def _ask(self, method: Callable[..., Answer], request: Message) -> Answer:
        try:
            return ask_until_answered(method, request, CALL_LIMIT_S)
        except grpc.RpcError as error:
            call = cast(grpc.Call, error)
            why = call.details() or call.code().name
            raise Complaint(f"the switch did not answer the operator: {why}") from None

    def _id(self) -> str:
        return format_request_id(self._new_request_id())


class LedgerWatch:
    """Follows accounts by name; `on_movement` is called for each new entry, on a thread of it."""

    def __init__(self, operator: Operator, on_movement: Callable[[Movement], None]) -> None:
        self._operator, self._on_movement = operator, on_movement
        self._names: dict[str, str] = {}
        self._seen: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-watch", daemon=True)
        self._thread.start()

    def follow(self, name: str, number: str) -> None:
        """Follow one account more, from its first entry on."""
        self._seen[number] = 0
        self._names = {**self._names, number: name}

    def close(self) -> None:
        """Look once more, then stop."""
        self._stop.set()
        self._thread.join(CALL_LIMIT_S)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._look()
        self._look()

    def _look(self) -> None:
        try:
            for number in self._names:
                self._report(number, self._operator.entries(number))
        except (Complaint, ValueError):
            return  # the switch is busy or away, or the line was closed

    def _report(self, number: str, page: pb.ListEntriesResponse) -> None:
        for entry in reversed(page.entries):
            if entry.sequence <= self._seen[number]:
                continue
            self._seen[number] = entry.sequence
            kind = enum_name(pb.EntryKind.DESCRIPTOR, entry.kind, "ENTRY_KIND_")
            self._on_movement(
                Movement(
                    account=self._names[number],
                    what=kind.replace("_", " ").lower(),
                    amount=Money.from_proto(entry.amount).decimal(),
                    balance=str(Money.from_proto(entry.balance)),
                    counterparty=self._name(entry.counterparty),
                )
            )

    def _name(self, number: str) -> str:
        if number in self._names:
            return self._names[number]
        house = number.startswith("0000")
        return "operator" if house else pretty_account(parse_account(number))


def trial_lines(trial: pb.GetTrialBalanceResponse) -> list[tuple[str, str, str, str]]:
    """Write the trial balance as text: kind, debits, credits, balance."""
    return [
        (
            line.account_kind.replace("_", " "),
            format_minor(line.debits_minor, line.currency_code),
            format_minor(line.credits_minor, line.currency_code),
            format_minor(line.credits_minor - line.debits_minor, line.currency_code),
        )
        for line in trial.lines
    ]
