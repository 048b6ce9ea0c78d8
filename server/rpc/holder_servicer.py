"""HolderService on the wire: translates, decides nothing. `server/identity/holders.py` decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc.aio

from kessai.currency import BY_NUMBER
from kessai.money import Money
from kessai.request_id import format_request_id
from kessai.v1 import holder_pb2 as pb
from kessai.v1 import money_pb2
from kessai.v1.holder_pb2_grpc import HolderServiceServicer
from server.identity.audit import in_act
from server.identity.callers import current_caller
from server.identity.directory_call import in_thread
from server.identity.holders import Holders, KeyToCertify
from server.identity.losses import Losses
from server.rpc import fields
from server.switch.accounts import Account

DEFAULT_PAGE = 50
LARGEST_PAGE = 500

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class HolderServicer(HolderServiceServicer):
    """Serves phones, and operators.

    `find_account` gives an account of an owner, or refuses as unknown. `offline_limit_minor`: what
    terminals may accept of one payment without asking, in minor units of the account; 0: nothing,
    as for a wallet by whose phones too much was lost.
    """

    def __init__(
        self,
        holders: Holders,
        losses: Losses,
        find_account: Callable[[int, str], Awaitable[Account]],
        offline_limit_minor: int,
    ) -> None:
        self._holders, self._losses, self._find_account = holders, losses, find_account
        self._offline_limit_minor = offline_limit_minor

    async def IssueCredential(
        self, request: pb.IssueCredentialRequest, context: Context
    ) -> pb.IssueCredentialResponse:
        """Certify the calling phone's holder key: FIELD_INVALID, RESOURCE_UNKNOWN."""
        asked = KeyToCertify(
            fields.request_id(request.request_id),
            request.holder_public_key,
            request.holder_key_proof,
            fields.account(request.account_number),
        )
        caller = current_caller()
        account = await self._find_account(asked.account, f"wallet/{caller.path[0]}")
        limit = None
        is_barred = await self._is_barred(account)
        if self._offline_limit_minor and not is_barred:
            limit = Money(self._offline_limit_minor, BY_NUMBER[account.ledger].code)
        credential = await in_thread(self._holders.issue, caller, asked, limit)
        account = await self._find_account(asked.account, account.owner)
        if limit is not None and await self._is_barred(account):  # lost or frozen meanwhile
            await in_thread(self._holders.take_back, caller.device)
        return pb.IssueCredentialResponse(credential=credential)

    async def _is_barred(self, account: Account) -> bool:
        """Whether terminals may accept nothing of this account without asking."""
        wallet_id = account.owner.partition("/")[2]
        return account.is_frozen or await in_thread(self._losses.is_barred, wallet_id)

    async def SetRiderCategory(
        self, request: pb.SetRiderCategoryRequest, context: Context
    ) -> pb.SetRiderCategoryResponse:
        """Say which fares a wallet's phones pay: FIELD_INVALID."""
        fields.request_id(request.request_id)
        await in_act(self._holders.set_rider_category, request.wallet_id, request.rider_category)
        return pb.SetRiderCategoryResponse()

    async def ListOfflineLosses(
        self, request: pb.ListOfflineLossesRequest, context: Context
    ) -> pb.ListOfflineLossesResponse:
        """List what was lost off line, newest first: FIELD_INVALID."""
        limit = fields.page_size(request.page_size, DEFAULT_PAGE, LARGEST_PAGE)
        response = pb.ListOfflineLossesResponse()
        for loss in await in_thread(self._losses.newest, limit):
            listed = response.losses.add(
                payment_id=format_request_id(loss.request_id),
                terminal=loss.terminal,
                phone=loss.phone,
                amount=money_pb2.Money(amount_minor=loss.amount_minor, currency_code=loss.currency),
                reason=loss.reason,
                by_phone=loss.is_phones,
            )
            listed.lose_time.FromMicroseconds(loss.lose_us)
            if loss.forgive_us:
                listed.forgive_time.FromMicroseconds(loss.forgive_us)
        return response

    async def ForgiveOfflineLosses(
        self, request: pb.ForgiveOfflineLossesRequest, context: Context
    ) -> pb.ForgiveOfflineLossesResponse:
        """Let a wallet's losses count no more: FIELD_INVALID."""
        fields.request_id(request.request_id)
        count = await in_act(self._losses.forgive, request.wallet_id)
        return pb.ForgiveOfflineLossesResponse(forgiven_count=count)
