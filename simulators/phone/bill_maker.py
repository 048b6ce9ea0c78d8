"""Makes and signs bills: what this phone's owner asks of another person (mission row B5).

The account that is to be credited is sealed to the switch, so that the payer does not learn it.
Called by `bill_cli`.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec

from kessai.bill import payee_info
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity
from kessai.envelope import BILL, sign
from kessai.money import Money
from kessai.plain_text import TextError, check_text
from kessai.request_id import new_request_id
from kessai.seal import seal
from kessai.v1.bill_pb2 import Bill, BillSubmitter
from kessai.v1.envelope_pb2 import Signed

LIFETIME_US = 120_000_000
MAX_DESCRIPTION = 60


class BillMaker:
    """Makes the bills of one phone, to be paid on one of its wallet's accounts."""

    def __init__(
        self,
        identity: DeviceIdentity,
        key: ec.EllipticCurvePrivateKey,
        account_number: str,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._identity, self._key, self._account_number = identity, key, account_number
        self._now_us, self._random_bytes = now_us, random_bytes

    def make(self, description: str, amount: Money, submitter: BillSubmitter.ValueType) -> Signed:
        """Make and sign a bill; Complaint if it asks for nothing, or nobody could read what for."""
        if amount.minor <= 0:
            raise Complaint("A bill asks for more than nothing. Nobody was asked for money.")
        try:
            check_text(description, MAX_DESCRIPTION)
        except TextError as error:
            raise Complaint(
                f"Say what the bill is for in 1 to {MAX_DESCRIPTION} characters: this {error}. "
                "Nobody was asked for money."
            ) from None
        now_us = self._now_us()
        request_id = new_request_id(now_us // 1_000, self._random_bytes)
        bill = Bill(
            request_id=request_id,
            wallet_id=self._identity.device.split("/")[1],
            description=description,
            amount=amount.to_proto(),
            sealed_payee_account=seal(
                self._account_number.encode(), self._identity.sealing_key, payee_info(request_id)
            ),
            submitter=submitter,
        )
        bill.create_time.FromMicroseconds(now_us)
        bill.expire_time.FromMicroseconds(now_us + LIFETIME_US)
        return sign(BILL, bill, self._key)
