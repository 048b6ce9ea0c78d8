"""B5: A's phone sends a bill to B's phone; B authenticates it and sends it back; A submits it.

Also the variant where B's phone submits it and A is told. Each over NFC and over BLE. Refused: B
alters the bill, A submits twice or more than B signed, B declines, and whatever else is not agreed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import pytest

from kessai.decline import name_of
from kessai.money import Money
from kessai.request_id import format_request_id
from kessai.v1 import bill_pb2
from kessai.v1.account_pb2 import ENTRY_KIND_BILL, ListEntriesRequest, ListEntriesResponse
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.bill_pb2 import Bill, GetWalletCertificateRequest, SettleBillRequest
from kessai.v1.bill_pb2_grpc import BillServiceStub
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import Receipt
from kessai.v1.tap_pb2 import PresentBill
from simulators.phone.authorization import sign_and_seal, write_authorization
from simulators.phone.bill import open_bill
from simulators.phone.bill_maker import BillMaker
from simulators.phone.vault import Vault
from tests.running import CALL_LIMIT_S, kessai
from tests.scenarios.following import Followed
from tests.scenarios.radios import OVER_BLE, OVER_NFC, Radio
from tests.scenarios.shop import APPROVE, PIN, Customer, Shop, reason_of

NOT_PAID = 3
BY_PAYEE, BY_PAYER = bill_pb2.BILL_SUBMITTER_UNSPECIFIED, bill_pb2.BILL_SUBMITTER_PAYER
SUBMITTERS = pytest.mark.parametrize("submitter", ["payee", "payer"])
EACH_ON_ONE_RADIO = pytest.mark.parametrize(
    ("radio", "submitter"), [("nfc", "payee"), ("ble", "payer")], indirect=["radio"]
)


@dataclass
class Friends:
    """Ann, who paid for the pizza, and Bo, who owes her half of it."""

    shop: Shop
    radio: Radio
    ann: Customer
    bo: Customer

    def __post_init__(self) -> None:
        self._running: list[Followed] = []
        self.field = self.radio.reader()

    def ask(self, amount: str = "12.50 EUR", *words: str, submitter: str = "payee") -> Followed:
        """Let Ann's phone show a bill in a new field."""
        self.field = self.radio.reader()
        command = ["phone", "bill", "--events", "--folder", str(self.ann.folder), amount]
        command += ["--field", self.field, "--for", "Half a pizza"]
        command += ["--submitter", submitter, *words]
        return self._follow(command, self.ann)

    def tap(self, *words: str, who: Customer | None = None) -> Followed:
        """Hold Bo's phone, or another's, to Ann's."""
        who = who or self.bo
        command = ["phone", "tap", "--events", "--folder", str(who.folder), "--field", self.field]
        return self._follow([*command, *words], who)

    def balances(self) -> tuple[int, int]:
        """Tell what Ann and Bo have, when all that is owed has arrived."""
        self.shop.earned()
        return self.shop.switch.balance(self.ann.account), self.shop.switch.balance(self.bo.account)

    def statement(self, who: Customer) -> ListEntriesResponse:
        """Read somebody's statement by his own line."""
        with self.shop.switch.channel(who.identity) as channel:
            request = ListEntriesRequest(account_number=who.account)
            return AccountServiceStub(channel).ListEntries(request, timeout=CALL_LIMIT_S)

    def agree(self, minor: int, submitter: int = BY_PAYEE, to: str = "") -> SettleBillRequest:
        """Make a bill of Ann's and let Bo's own key agree to it, without a radio."""
        key, account = Vault(self.ann.folder).unlock(PIN), to or self.ann.account
        maker = BillMaker(self.ann.identity, key, account, now_us, os.urandom)
        named = bill_pb2.BillSubmitter.ValueType(submitter)
        signed = maker.make("Half a pizza", Money(minor, "EUR"), named)
        certificate = self.certificate(self.ann)
        identity = self.bo.identity
        present = PresentBill(bill=signed, wallet_certificate=certificate)
        due = open_bill(present, identity.switch_key)
        agreed = write_authorization(due, self.bo.account)
        bos_key = Vault(self.bo.folder).unlock(PIN)
        sealed = sign_and_seal(agreed, bos_key, identity.sealing_key, due.request_hash)
        return SettleBillRequest(
            request_id=format_request_id(due.request.request_id),
            bill=signed,
            sealed_authorization=Sealed.FromString(sealed),
        )

    def certificate(self, who: Customer) -> Signed:
        """Have somebody's phone certified."""
        with self.shop.switch.channel(who.identity) as channel:
            ask = GetWalletCertificateRequest()
            stub = BillServiceStub(channel)
            return stub.GetWalletCertificate(ask, timeout=CALL_LIMIT_S).wallet_certificate

    def submit(self, message: SettleBillRequest, who: Customer) -> Receipt:
        """Submit by a direct call, as somebody's phone."""
        with self.shop.switch.channel(who.identity) as channel:
            answer = BillServiceStub(channel).SettleBill(message, timeout=CALL_LIMIT_S)
        return self.shop.receipt(answer.receipt)

    def go_home(self) -> None:
        """End every phone."""
        for running in self._running:
            running.kill()

    def _follow(self, command: list[str], who: Customer) -> Followed:
        log = who.folder.with_name(f"{who.name}-{len(self._running)}.log")
        self._running.append(Followed(command, log, "view"))
        return self._running[-1]


@pytest.fixture(scope="module")
def people(shop: Shop) -> tuple[Customer, Customer]:
    """Give two customers on different shards; the operator knows Ann by her whole name."""
    ann, bo = shop.customer("ann", 100_00, shard=1), shop.customer("bo", 100_00, shard=2)
    shop.switch.name_wallet(ann.name, "Ann Ångström")
    return ann, bo


@pytest.fixture
def friends(shop: Shop, radio: Radio, people: tuple[Customer, Customer]) -> Iterator[Friends]:
    """Give two friends with their phones."""
    both = Friends(shop, radio, *people)
    yield both
    both.go_home()


@pytest.fixture
def by_line(shop: Shop, radios: dict[str, Radio], people: tuple[Customer, Customer]) -> Friends:
    """Give the two friends, for what needs no radio."""
    return Friends(shop, radios["nfc"], *people)


def now_us() -> int:
    return time.time_ns() // 1_000


@SUBMITTERS
def test_a_bill_is_paid(friends: Friends, submitter: str) -> None:
    """Bo sees who asks, what for and how much, and no account number; both have the receipt."""
    before = friends.balances()
    asked = friends.ask(submitter=submitter)
    assert (shown := asked.next("bill"))["total"] == "12.50 EUR"
    assert shown["shop"] == "Half a pizza"
    paying = friends.tap(*APPROVE)
    seen = paying.next("purchase")
    assert (seen["shop"], seen["total"]) == (f"Ann Ångström ({friends.ann.name})", "12.50 EUR")
    assert [item["description"] for item in seen["items"]] == ["Half a pizza"]
    received, paid = asked.next("received"), paying.next("paid")
    assert received["receipt_number"] == paid["receipt_number"] != ""
    assert (asked.end(), paying.end()) == (0, 0)
    after = friends.balances()
    assert (after[0] - before[0], after[1] - before[1]) == (1250, -1250)
    for who, other in ((friends.ann, friends.bo), (friends.bo, friends.ann)):
        entry = friends.statement(who).entries[0]
        assert (entry.kind, entry.counterparty) == (ENTRY_KIND_BILL, "")
        seen_by = str(asked.told) + str(paying.told)
        assert other.account not in seen_by
        assert "Bill" in kessai("phone", "history", "--folder", str(who.folder)).stdout
    listed = kessai("phone", "bills", "--folder", str(friends.ann.folder)).stdout
    assert "Half a pizza" in listed
    assert "Received" in listed
    friends.shop.switch.verify()


@OVER_NFC
def test_bo_declines(friends: Friends) -> None:
    """A no is a no; both learn it at once."""
    before = friends.balances()
    asked = friends.ask()
    asked.next("bill")
    said_no = friends.tap("--answer", "decline")
    said_no.next("cancelled")
    assert "said no" in asked.next("cancelled")["message"]
    assert (asked.end(), friends.balances()) == (NOT_PAID, before)


@EACH_ON_ONE_RADIO
def test_too_little_money(friends: Friends, submitter: str) -> None:
    """Declined by the switch; both learn why."""
    before = friends.balances()
    asked = friends.ask("999.00 EUR", submitter=submitter)
    asked.next("bill")
    paying = friends.tap(*APPROVE)
    assert paying.next("not-paid")["reason"] == "INSUFFICIENT_FUNDS"
    assert asked.next("not-paid")["reason"] == "INSUFFICIENT_FUNDS"
    assert (asked.end(), friends.balances()) == (NOT_PAID, before)


@OVER_BLE
def test_bo_agrees_to_another_amount(friends: Friends) -> None:
    """Well signed, and still not what Ann asked: nothing moves."""
    before = friends.balances()
    asked = friends.ask()
    asked.next("bill")
    friends.tap(*APPROVE, "--authorize-minor", "1")
    assert asked.next("not-paid")["reason"] == "AUTHORIZATION_MISMATCH"
    assert friends.balances() == before


@OVER_NFC
def test_bos_phone_is_locked(friends: Friends) -> None:
    """Five wrong PINs: Ann is told, and the right one does not help."""
    locked = friends.shop.customer("locked", cash=5_000)
    asked = friends.ask()
    asked.next("bill")
    friends.tap("--answer", "wrong-pin", who=locked).next("locked")
    assert "locked" in asked.next("cancelled")["message"]
    assert friends.shop.switch.balance(locked.account) == 5_000


@OVER_BLE
def test_bo_merely_claims_to_submit(friends: Friends) -> None:
    """His word is no receipt: Ann's phone says that nothing is known, and asks on later."""
    liar = friends.shop.customer("liar", cash=5_000)
    before = friends.balances()
    asked = friends.ask("5.00 EUR", "--stay", "4", submitter="payer")
    asked.next("bill")
    claiming = friends.tap(*APPROVE, "--submit-late", "3600", who=liar)
    asked.next("authorized")
    assert "Not paid as far as is known" in asked.next("unknown")["message"]
    assert asked.end() == NOT_PAID
    claiming.kill()
    listed = kessai("phone", "bills", "--folder", str(friends.ann.folder)).stdout
    assert "Open" in listed
    assert friends.balances() == before


@EACH_ON_ONE_RADIO
def test_the_phones_part_before_the_result(friends: Friends, submitter: str) -> None:
    """Ann's phone is killed as soon as Bo has agreed; what it had it goes on with."""
    before = friends.balances()
    asked = friends.ask("1.00 EUR", submitter=submitter)
    asked.next("bill")
    paying = friends.tap(*APPROVE)
    asked.next("authorized")
    asked.kill()
    if submitter == "payer":
        paying.next("paid")
    listed = kessai("phone", "bills", "--folder", str(friends.ann.folder)).stdout
    assert "Open" not in listed.splitlines()[1]
    assert "Received" in listed.splitlines()[1]
    after = friends.balances()
    assert (after[0] - before[0], after[1] - before[1]) == (100, -100)


def test_submitted_twice_or_for_more(by_line: Friends) -> None:
    """Ann submits again: the same receipt, paid once. With a larger bill: not what Bo signed."""
    before = by_line.balances()
    small, large = by_line.agree(300), by_line.agree(900)
    first = by_line.submit(small, by_line.ann)
    assert by_line.submit(small, by_line.ann) == first
    greedy = SettleBillRequest(
        request_id=large.request_id,
        bill=large.bill,
        sealed_authorization=small.sealed_authorization,
    )
    refused = by_line.submit(greedy, by_line.ann)
    assert name_of(refused.decline_reason) == "AUTHORIZATION_UNREADABLE"
    after = by_line.balances()
    assert (after[0] - before[0], after[1] - before[1]) == (300, -300)


def test_bo_alters_the_bill_that_he_submits(by_line: Friends) -> None:
    """It is not Ann's any more; nor may he submit what she is to submit, or a third what is his."""
    before = by_line.balances()
    message = by_line.agree(300, BY_PAYER)
    altered = SettleBillRequest()
    altered.CopyFrom(message)
    bill = Bill.FromString(message.bill.payload)
    bill.amount.amount_minor = 1
    altered.bill.payload = bill.SerializeToString(deterministic=True)
    carol = by_line.shop.customer("carol", cash=100)
    for what, who, reason in (
        (altered, by_line.bo, "BILL_SIGNATURE_INVALID"),
        (by_line.agree(300), by_line.bo, "SUBMITTER_MISMATCH"),
        (message, by_line.ann, "SUBMITTER_MISMATCH"),
        (message, carol, "WALLET_NOT_CALLER"),
    ):
        assert name_of(by_line.submit(what, who).decline_reason) == reason
    assert by_line.balances() == before
    assert not by_line.submit(message, by_line.bo).decline_reason


def test_ann_names_somebody_elses_account(by_line: Friends) -> None:
    """Bo would not see it; the switch does."""
    carol = by_line.shop.customer("carol", cash=100)
    message = by_line.agree(300, to=carol.account)
    refused = by_line.submit(message, by_line.ann)
    assert name_of(refused.decline_reason) == "PAYEE_ACCOUNT_NOT_OWN"
    assert by_line.shop.switch.balance(carol.account) == 100


def test_revoked_phones(by_line: Friends) -> None:
    """A revoked phone cannot submit; what it had signed before is refused by name."""
    shop = by_line.shop
    lost = Friends(shop, by_line.radio, by_line.ann, shop.customer("lost", cash=1_000))
    message = lost.agree(300)
    shop.switch.revoke(lost.bo.identity.device)
    assert name_of(lost.submit(message, lost.ann).decline_reason) == "WALLET_REVOKED"
    stolen = Friends(shop, by_line.radio, shop.customer("stolen", cash=0), by_line.bo)
    by_payer = stolen.agree(300, BY_PAYER)
    by_payee = stolen.agree(300)
    shop.switch.revoke(stolen.ann.identity.device)
    refusal = stolen.submit(by_payer, stolen.bo).decline_reason
    assert name_of(refusal) == "PAYEE_WALLET_REVOKED"
    with pytest.raises(grpc.RpcError) as refused:
        stolen.submit(by_payee, stolen.ann)
    assert reason_of(refused.value) == "CERTIFICATE_REFUSED"
