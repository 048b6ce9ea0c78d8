"""BillService over a real line: whose phone it is comes from its certificate alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.account_number import format_account
from kessai.envelope import WALLET_CERTIFICATE, open_signed, raw_public_key
from kessai.v1 import account_pb2, device_pb2
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.bill_pb2 import GetWalletCertificateRequest, SettleBillRequest, WalletCertificate
from kessai.v1.bill_pb2_grpc import BillServiceStub
from kessai.v1.device_pb2_grpc import DeviceServiceStub
from kessai.v1.payment_pb2 import FollowPaymentsRequest, GetPaymentRequest
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from tests.unit.server.rpc.test_payment_servicer import Till, refusal_of, till
from tests.unit.server.switch.counter import ANN, PHONE
from tests.unit.server.switch.in_process import LIMIT_S, fresh_text, now_us
from tests.unit.server.switch.test_bills import BOBS_PHONE, Altered, Friends

if TYPE_CHECKING:
    from kessai.v1.bill_pb2_grpc import BillServiceAsyncStub
    from kessai.v1.payment_pb2_grpc import PaymentServiceAsyncStub

BOB = 1_0000_0077


@dataclass
class Table:
    """Two friends at a table: the switch, and what makes Bob's bills."""

    at: Till
    friends: Friends

    def bill(self) -> SettleBillRequest:
        """Make a bill of Bob's that Ann agreed to, now."""
        self.at.counter.clock.us = now_us()
        request_id = bytes.fromhex(fresh_text().replace("-", ""))
        altered = Altered(payee=format_account(BOB).encode())
        return self.friends.agree(300, request_id, altered)


@asynccontextmanager
async def table(folder: Path) -> AsyncIterator[Table]:
    """Ann, who has 10.00, and Bob."""
    async with till(folder) as at:
        friends = Friends(at.counter, at.switch.switch._shards)
        friends.bills.close()
        async with at.switch.line() as line:
            branch, number = divmod(BOB, 10**8)
            await AccountServiceStub(line).OpenAccount(
                account_pb2.OpenAccountRequest(
                    request_id=fresh_text(), owner="wallet/bob", currency_code="EUR",
                    branch=branch, number=number,
                ),
                timeout=LIMIT_S,
            )  # fmt: skip
        yield Table(at, friends)


async def test_a_bill_is_settled_and_its_maker_is_told(tmp_path: Path) -> None:
    """By the answer, by the stream, and by request id; so is who pays, and nobody else."""
    async with table(tmp_path) as here, here.at.switch.line(BOBS_PHONE) as line:
        payments: PaymentServiceAsyncStub = PaymentServiceStub(line)
        answers = aiter(payments.FollowPayments(FollowPaymentsRequest(), timeout=LIMIT_S))
        await anext(answers)
        message = here.bill()
        bills: BillServiceAsyncStub = BillServiceStub(line)
        receipt = (await bills.SettleBill(message, timeout=LIMIT_S)).receipt
        assert not here.at.counter.read(receipt).decline_reason
        assert (await anext(answers)).receipt == receipt
        asking = GetPaymentRequest(request_id=message.request_id)
        assert (await payments.GetPayment(asking, timeout=LIMIT_S)).receipt == receipt
        async with here.at.switch.line(PHONE) as anns:
            payer: PaymentServiceAsyncStub = PaymentServiceStub(anns)
            assert (await payer.GetPayment(asking, timeout=LIMIT_S)).receipt == receipt
        for stranger in ("phone/eve/pixel", "agent/shop/till-1"):
            async with here.at.switch.line(stranger) as line_of_another:
                other: PaymentServiceAsyncStub = PaymentServiceStub(line_of_another)
                assert await refusal_of(other.GetPayment(asking)) == "RESOURCE_UNKNOWN"


async def test_statements_do_not_tell_people_each_others_numbers(tmp_path: Path) -> None:
    """They say that it was a bill; only an operator sees between which accounts."""
    async with table(tmp_path) as here:
        async with here.at.switch.line(BOBS_PHONE) as line:
            await BillServiceStub(line).SettleBill(here.bill(), timeout=LIMIT_S)
        request = account_pb2.ListEntriesRequest(account_number=format_account(ANN))
        seen = {}
        for device in (PHONE, ""):
            async with here.at.switch.line(device) as line:
                stub = AccountServiceStub(line)
                seen[device] = (await stub.ListEntries(request, timeout=LIMIT_S)).entries[0]
        assert {entry.kind for entry in seen.values()} == {account_pb2.ENTRY_KIND_BILL}
        assert seen[PHONE].counterparty == ""
        assert seen[""].counterparty == format_account(BOB)


async def test_what_is_missing_is_named(tmp_path: Path) -> None:
    async with table(tmp_path) as here, here.at.switch.line(BOBS_PHONE) as line:
        good, stub = here.bill(), BillServiceStub(line)
        for field in ("request_id", "bill", "sealed_authorization"):
            message = SettleBillRequest()
            message.CopyFrom(good)
            message.ClearField(field)
            assert await refusal_of(stub.SettleBill(message)) == f"FIELD_INVALID {field}"


async def test_a_phone_is_certified_under_the_name_that_the_operator_entered(
    tmp_path: Path,
) -> None:
    """The wallet's id before there is one; its own key, and no other phone's."""
    async with table(tmp_path) as here, here.at.switch.line(BOBS_PHONE) as line:
        stub: BillServiceAsyncStub = BillServiceStub(line)

        async def certificate() -> WalletCertificate:
            ask = GetWalletCertificateRequest()
            signed = (await stub.GetWalletCertificate(ask, timeout=LIMIT_S)).wallet_certificate
            key = here.at.counter.switch_key.public_key()
            return open_signed(signed, WALLET_CERTIFICATE, key, WalletCertificate.FromString)

        before = await certificate()
        assert (before.wallet_id, before.display_name) == ("bob", "bob")
        assert isinstance(here.friends.bobs_key, ec.EllipticCurvePrivateKey)
        public_key = raw_public_key(here.friends.bobs_key.public_key())
        assert before.wallet_public_key == public_key
        lifetime_us = before.expire_time.ToMicroseconds() - before.issue_time.ToMicroseconds()
        assert lifetime_us == 30 * 24 * 3600 * 1_000_000
        await name_bob(here, "Bob Bakkeby")
        assert (await certificate()).display_name == "Bob Bakkeby"
        here.at.counter.directory.revoke("phone/bob/other", now_us())
        assert (await certificate()).wallet_public_key == public_key


@pytest.mark.parametrize("name", [" Bob", "x" * 41, "a\nb"])
async def test_a_name_that_cannot_be_shown_is_refused(tmp_path: Path, name: str) -> None:
    async with table(tmp_path) as here:
        assert await refusal_of(name_bob(here, name)) == "FIELD_INVALID phone.display_name"


async def name_bob(here: Table, name: str) -> None:
    """Enter a name, as an operator does when he pairs a phone."""
    phone = device_pb2.PhonePairing(wallet_id="bob", device_id="spare", display_name=name)
    request = device_pb2.CreatePairingCodeRequest(request_id=fresh_text(), phone=phone)
    async with here.at.switch.line() as line:
        await DeviceServiceStub(line).CreatePairingCode(request, timeout=LIMIT_S)
