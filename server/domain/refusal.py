"""Which decline reason a ledger result is, for people.

Used by `server/shards/shard.py` when the ledger refuses what a command decided.
"""

from __future__ import annotations

from kessai.v1 import decline_pb2 as d
from server.ledger.result import TransferResult as R

DECLINES: dict[R, d.DeclineReason.ValueType] = {
    R.ACCOUNTS_MUST_BE_DIFFERENT: d.DECLINE_REASON_PAYER_IS_PAYEE,
    R.AMOUNT_MUST_NOT_BE_ZERO: d.DECLINE_REASON_AMOUNT_NOT_POSITIVE,
    R.DEBIT_ACCOUNT_NOT_FOUND: d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN,
    R.CREDIT_ACCOUNT_NOT_FOUND: d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN,
    R.ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER: d.DECLINE_REASON_CURRENCY_MISMATCH,
    R.TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS: d.DECLINE_REASON_CURRENCY_MISMATCH,
    R.PENDING_TRANSFER_NOT_FOUND: d.DECLINE_REASON_HOLD_NOT_PENDING,
    R.PENDING_TRANSFER_ALREADY_POSTED: d.DECLINE_REASON_HOLD_NOT_PENDING,
    R.PENDING_TRANSFER_ALREADY_VOIDED: d.DECLINE_REASON_HOLD_NOT_PENDING,
    R.PENDING_TRANSFER_EXPIRED: d.DECLINE_REASON_HOLD_NOT_PENDING,
    R.EXCEEDS_PENDING_TRANSFER_AMOUNT: d.DECLINE_REASON_AMOUNT_TOO_LARGE,
    R.OVERFLOWS_DEBITS_PENDING: d.DECLINE_REASON_AMOUNT_TOO_LARGE,
    R.OVERFLOWS_CREDITS_PENDING: d.DECLINE_REASON_AMOUNT_TOO_LARGE,
    R.OVERFLOWS_DEBITS_POSTED: d.DECLINE_REASON_AMOUNT_TOO_LARGE,
    R.OVERFLOWS_CREDITS_POSTED: d.DECLINE_REASON_AMOUNT_TOO_LARGE,
    R.OVERFLOWS_DEBITS: d.DECLINE_REASON_AMOUNT_TOO_LARGE,
    R.OVERFLOWS_CREDITS: d.DECLINE_REASON_AMOUNT_TOO_LARGE,
    R.EXCEEDS_CREDITS: d.DECLINE_REASON_INSUFFICIENT_FUNDS,
}


class DecisionBroken(Exception):
    """A command decided what no ledger allows, whatever the balances: a fault of ours."""


def decline_for(result: R) -> d.DeclineReason.ValueType:
    """Name the decline reason for a result; DecisionBroken if only a fault of ours can give it."""
    try:
        return DECLINES[result]
    except KeyError:
        raise DecisionBroken(f"the ledger refused a decision: {result.name}") from None
