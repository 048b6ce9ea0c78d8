"""Who is a debtor: a deferred payment without cover, that came after its time; nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.envelope import key_id_of, raw_public_key
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.payment_pb2 import PaymentEvidence, PaymentRequest
from server.domain.command import CommandKind
from server.domain.directory import DeviceEntry, IssuedCertificate
from server.shards.settlement_log import LogRow
from server.switch.debtors import Debtors
from tests.unit.server.identity.test_holders import ACCOUNT, LIMIT, asking
from tests.unit.server.ports import Switch

PIXEL = "phone/ann/pixel"
NOW_US = 1_800_000_000_000_000
MINUTE_US = 60_000_000
KEY = ec.generate_private_key(ec.SECP256R1())
NO_MONEY = d.DECLINE_REASON_INSUFFICIENT_FUNDS


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """A directory with one phone that has a credential."""
    made = Switch(tmp_path)
    entered = IssuedCertificate(1, PIXEL, b"r" * 16, b"", b"", b"", made.clock() + 10**12)
    raw = raw_public_key(KEY.public_key())
    made.directory.enroll(
        DeviceEntry(entered, key_id_of(KEY.public_key()), raw, "kessai 1", made.clock())
    )
    made.holders.issue(
        made.caller(PIXEL), asking(made, ec.generate_private_key(ec.SECP256R1())), LIMIT
    )
    yield made
    made.directory.close()


def row(
    decline: DeclineReason.ValueType = NO_MONEY,
    kind: CommandKind = CommandKind.SETTLE_PAYMENT,
    late_us: int = MINUTE_US,
    deferred: bool = True,
) -> LogRow:
    """Write the log row of a payment, booked so late after the request's own time."""
    request = PaymentRequest()
    request.expire_time.FromMicroseconds(NOW_US)
    if deferred:
        request.deferred_expire_time.FromMicroseconds(NOW_US + 10**12)
    evidence = PaymentEvidence(wallet_id="ann")
    evidence.payment_request.payload = request.SerializeToString()
    evidence.authorization.key_id = key_id_of(KEY.public_key())
    return LogRow(
        sequence=1, request_id=b"i" * 16, kind=kind, input_hash=b"h" * 32, payer=ACCOUNT,
        payee=ACCOUNT + 1, amount=5, ledger=978, book_us=NOW_US + late_us, decline=decline,
        body=evidence.SerializeToString(), chain_hash=b"c" * 32,
    )  # fmt: skip


def denied_after(switch: Switch, *rows: LogRow) -> int:
    """Tell of rows; how many credentials are on the deny list then."""
    debtors = Debtors(switch.directory, switch.holders)
    debtors.on_written(0, rows)
    debtors.close()
    return len(switch.deny_list.page_after(0, "shop")[0])


def test_a_debtor_loses_his_credential(switch: Switch) -> None:
    assert denied_after(switch, row(), row()) == 1


@pytest.mark.parametrize(
    "other",
    [
        row(d.DECLINE_REASON_UNSPECIFIED),
        row(d.DECLINE_REASON_EXPIRED),
        row(kind=CommandKind.WITHDRAW_CASH),
        row(late_us=-1),
        row(deferred=False),
    ],
    ids=["paid", "too late", "at the bank", "in time", "not deferred"],
)
def test_nobody_else_does(switch: Switch, other: LogRow) -> None:
    """A payment in time may have been asked for first; then nothing was handed over."""
    assert denied_after(switch, other) == 0
