"""Four eyes: acts that give power over money wait until a second operator confirmed them.

The first call becomes a proposal under its request id, and is refused with APPROVAL_NEEDED. Another
operator confirms it within an hour; then the first one calls again with the same content, a new
request id, and the proposal's id. A proposal serves one request; repeating that is always allowed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kessai.account_number import parse_account
from kessai.money import Money
from kessai.request_id import RequestIdError, format_request_id, parse_request_id
from server.domain.directory import CashOut, Proposal
from server.identity.callers import Caller
from server.identity.certificates import DAY_US
from server.identity.refusals import (
    ApprovalNeeded,
    DailyLimitReached,
    FieldRefused,
    NotPermitted,
    Unknown,
)
from server.shards.cash_book import CashBook
from server.shards.directory_file import DirectoryFile
from server.shards.proposal_book import ProposalBook

LIFETIME_US = 3_600_000_000
MAX_WAITING = 100

_ALWAYS = ("OperatorService/AddOperator", "AccountService/UnfreezeAccount")
_CASH = (
    "AccountService/WithdrawCash",
    "AccountService/DepositCash",
    "SuspenseService/ReleaseSuspense",
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Whether four eyes are asked for, and from how much cash of an operator in a day on."""

    on: bool
    cash_from: Callable[[str], int]


class FourEyes:
    """Keeps proposals, and lets pass what was confirmed. Methods may run in any thread."""

    def __init__(self, file: DirectoryFile, rules: Rules, now_us: Callable[[], int]) -> None:
        self._file, self._book = file, ProposalBook(file)
        self._alone = CashBook(file, "cash_alone")
        self._rules, self._now_us = rules, now_us

    def require(self, caller: Caller, method: str, request: Any) -> None:  # noqa: ANN401
        """Let an act pass that needs no second operator, or has one; its fields were checked.

        ApprovalNeeded, whose message names the proposal; FieldRefused if the proposal that the
        request names is none of this operator for this content, has ended, or was used up.
        """
        if not self._rules.on or not _is_power(method, request):
            return
        request_id, why = _read_id(request.request_id, "request_id"), ""
        if not request.proposal_id and method in _CASH:
            why = self._too_much(caller, request)
            if not why:
                return
        if request.proposal_id:
            with self._file.transaction():
                self._use(caller, method, request, request_id)
            return
        with self._file.transaction():
            self._propose(caller, method, request, request_id)
        raise ApprovalNeeded(
            f"{why}a second operator must confirm this within an hour, with: kessai approve "
            f"{request.request_id}. Then repeat it with --proposal {request.request_id}. "
            "Nothing was done"
        )

    def approve(self, caller: Caller, proposal_id: str) -> Proposal:
        """Confirm what another operator proposed; again is no error.

        Unknown (no such proposal, or it has ended), NotPermitted (his own).
        """
        key = _read_id(proposal_id, "proposal_id")
        with self._file.transaction():
            proposal = self._book.find(key)
            if proposal is None or proposal.expire_us <= self._now_us():
                raise Unknown("there is no such proposal, or its hour is over")
            if proposal.operator == caller.device:
                raise NotPermitted("nobody confirms his own proposal; ask another operator")
            if proposal.used_by is None and not proposal.is_approved:
                self._book.approve(key, caller.device, caller.serial)
            return self._book.find(key) or proposal

    def waiting(self) -> list[Proposal]:
        """The proposals that have not ended and were not used, oldest first."""
        return self._book.waiting(self._now_us())

    def _too_much(self, caller: Caller, request: Any) -> str:  # noqa: ANN401
        """Count cash that an operator moves alone; why not, if that is too much for a day."""
        amount, now_us = Money.from_proto(request.amount), self._now_us()
        account, request_id = (
            parse_account(request.account_number),
            _read_id(request.request_id, ""),
        )
        cash = CashOut(request_id, caller.device, account, amount.currency, amount.minor, now_us)
        with self._file.transaction():
            counted = self._alone.find(request_id)
            if counted is not None:
                is_same = counted._replace(count_us=now_us) == cash
                return "" if is_same else "this request id stands for other cash: "
            before = self._alone.total(caller.device, amount.currency, now_us - DAY_US)
            limit = self._rules.cash_from(amount.currency)
            if before + amount.minor >= limit:
                return (
                    f"you moved {Money(before, amount.currency)} of cash alone in 24 hours, and "
                    f"with this it would be {Money(limit, amount.currency)} or more: "
                )
            self._alone.add(cash)
            return ""

    def _propose(
        self,
        caller: Caller,
        method: str,
        request: Any,  # noqa: ANN401
        request_id: bytes,
    ) -> None:
        now_us = self._now_us()
        if self._book.count_of(caller.device, now_us) >= MAX_WAITING:
            raise DailyLimitReached(
                f"{MAX_WAITING} proposals of this operator wait; let some be confirmed or end"
            )
        self._book.add(
            Proposal(
                request_id,
                caller.device,
                method,
                _content(request),
                _hash(method, request),
                now_us,
                now_us + LIFETIME_US,
            )
        )

    def _use(
        self,
        caller: Caller,
        method: str,
        request: Any,  # noqa: ANN401
        request_id: bytes,
    ) -> None:
        proposal = self._book.find(_read_id(request.proposal_id, "proposal_id"))
        if proposal is None or proposal.operator != caller.device:
            raise FieldRefused("proposal_id", "there is no such proposal of yours")
        if proposal.content_hash != _hash(method, request):
            raise FieldRefused("proposal_id", "something else was proposed and confirmed")
        if proposal.used_by == request_id:
            return
        if proposal.used_by is not None:
            raise FieldRefused("proposal_id", "it was used up; propose it again")
        if proposal.expire_us <= self._now_us():
            raise FieldRefused("proposal_id", "its hour is over; propose it again")
        if not proposal.is_approved:
            raise ApprovalNeeded(
                "no second operator confirmed it yet, or he was revoked since. Nothing was done"
            )
        self._book.use(proposal.proposal_id, request_id)


def _is_power(method: str, request: Any) -> bool:  # noqa: ANN401
    if method == "DeviceService/CreatePairingCode":
        return bool(request.WhichOneof("device") == "phone")
    if method == "DeviceService/UpdateMerchant":
        return bool(request.account_number)
    return method in _CASH or method in _ALWAYS


def _content(request: Any) -> str:  # noqa: ANN401
    if hasattr(request, "amount"):
        return f"{Money.from_proto(request.amount)}, account {request.account_number}"
    if hasattr(request, "merchant_id"):
        return f"merchant {request.merchant_id} is paid on account {request.account_number}"
    if hasattr(request, "account_number"):
        return f"account {request.account_number}"
    if hasattr(request, "phone"):
        phone = request.phone
        accounts = ", ".join(phone.account_numbers) or "none"
        return f"phone/{phone.wallet_id}/{phone.device_id}, accounts: {accounts}"
    return f"operator/{request.name}"


def _hash(method: str, request: Any) -> bytes:  # noqa: ANN401
    content = type(request)()
    content.CopyFrom(request)
    content.ClearField("request_id")
    content.ClearField("proposal_id")
    whole = method.encode() + b"\0" + content.SerializeToString(deterministic=True)
    return hashlib.sha256(whole).digest()


def _read_id(text: str, field: str) -> bytes:
    try:
        return parse_request_id(text)
    except RequestIdError as error:
        raise FieldRefused(field, str(error)) from None


def name_of(proposal: Proposal) -> str:
    """A proposal's id, as text."""
    return format_request_id(proposal.proposal_id)
