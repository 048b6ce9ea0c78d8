"""HolderService on the wire: translates, decides nothing. `server/identity/holders.py` decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc.aio

from kessai.currency import BY_NUMBER
from kessai.money import Money
from kessai.v1 import holder_pb2 as pb
from kessai.v1.holder_pb2_grpc import HolderServiceServicer
from server.identity.callers import current_caller
from server.identity.directory_call import in_thread
from server.identity.holders import Holders, KeyToCertify
from server.rpc import fields
from server.switch.accounts import Account

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class HolderServicer(HolderServiceServicer):
    """Serves phones, and operators.

    `find_account` gives an account of an owner, or refuses as unknown. `offline_limit_minor`: what
    terminals may accept of one payment without asking, in minor units of the account; 0: nothing.
    """

    def __init__(
        self,
        holders: Holders,
        find_account: Callable[[int, str], Awaitable[Account]],
        offline_limit_minor: int,
    ) -> None:
        self._holders, self._find_account = holders, find_account
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
        if self._offline_limit_minor:
            limit = Money(self._offline_limit_minor, BY_NUMBER[account.ledger].code)
        credential = await in_thread(self._holders.issue, caller, asked, limit)
        return pb.IssueCredentialResponse(credential=credential)

    async def SetRiderCategory(
        self, request: pb.SetRiderCategoryRequest, context: Context
    ) -> pb.SetRiderCategoryResponse:
        """Say which fares a wallet's phones pay: FIELD_INVALID."""
        fields.request_id(request.request_id)
        await in_thread(self._holders.set_rider_category, request.wallet_id, request.rider_category)
        return pb.SetRiderCategoryResponse()
