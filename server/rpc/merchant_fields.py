"""A merchant on the wire, and as a request changes it."""

from __future__ import annotations

from dataclasses import replace

from kessai.account_number import format_account
from kessai.v1 import device_pb2 as pb
from server.domain.directory import Merchant
from server.rpc import fields
from server.rpc.errors import field_invalid


def merchant_message(merchant: Merchant) -> pb.Merchant:
    """A merchant as it is listed."""
    message = pb.Merchant(
        merchant_id=merchant.merchant_id,
        display_name=merchant.display_name,
        category_code=merchant.category_code,
        account_number=format_account(merchant.account),
    )
    if merchant.unverified_limit is not None:
        message.unverified_limit.CopyFrom(merchant.unverified_limit.to_proto())
    if merchant.close_us is not None:
        message.close_time.FromMicroseconds(merchant.close_us)
    return message


def updated(merchant: Merchant, request: pb.UpdateMerchantRequest) -> Merchant:
    """A merchant with what a request gives; FIELD_INVALID."""
    limit = merchant.unverified_limit
    if request.HasField("unverified_limit"):
        asked = request.unverified_limit
        fields.currency(asked.currency_code, "unverified_limit.currency_code")
        if asked.amount_minor < 0:
            raise field_invalid("unverified_limit.amount_minor", "must not be negative")
        limit = fields.positive_money(asked, "unverified_limit") if asked.amount_minor else None
    number = request.account_number
    return replace(
        merchant,
        display_name=request.display_name or merchant.display_name,
        category_code=request.category_code or merchant.category_code,
        account=fields.account(number) if number else merchant.account,
        unverified_limit=limit,
    )
