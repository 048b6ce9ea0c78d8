"""Who may ask for the fare of a ride, and who pays it (mission row B4).

A fare names its ride and the credential of the holder who entered. Only a merchant whose trade is
transport asks for one, and only that holder pays it, from the account that his credential is for.
Otherwise a payment of a cent elsewhere, or by somebody else, would stand for the ride, and payers
on two shards would both pay it. Used by `register_purchase.py`.
"""

from __future__ import annotations

from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.command import ACCEPTED
from server.domain.directory import Merchant
from server.identity.directory_call import in_thread
from server.identity.holders import Holders
from server.switch.documents import Purchase

# ISO 18245: commuter transport, passenger railways, bus lines, cruise lines, airlines, tolls.
TRANSPORT = frozenset({"4111", "4112", "4131", "4411", "4511", "4784"})


class Fares:
    """Holds fares to their carrier and their holder."""

    def __init__(self, holders: Holders) -> None:
        self._holders = holders

    async def refusal(self, purchase: Purchase, merchant: Merchant) -> DeclineReason.ValueType:
        """Why a payment cannot be the fare that it says it is; ACCEPTED if it can, or is none.

        Refusals: ADMISSION_INVALID, PAYER_NOT_HOLDER. Raises DirectoryUnavailable.
        """
        request = purchase.request
        if not request.admission_id:
            return ACCEPTED
        if merchant.category_code not in TRANSPORT:
            return d.DECLINE_REASON_ADMISSION_INVALID
        # Also one that was taken back since: he who entered with it still has to leave.
        holder = await in_thread(self._holders.issued, request.admission_credential_id)
        if holder is None:
            return d.DECLINE_REASON_ADMISSION_INVALID
        if (holder.account, holder.wallet_id) != (purchase.payer, purchase.wallet_id):
            return d.DECLINE_REASON_PAYER_NOT_HOLDER
        return ACCEPTED
