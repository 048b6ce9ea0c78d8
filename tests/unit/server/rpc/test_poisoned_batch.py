"""One poisoned payment ends itself: the others of its batch are answered, and the till is, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.envelope import key_id_of, raw_public_key
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.directory import DeviceEntry, IssuedCertificate
from tests.unit.server.domain.commands import fresh_id
from tests.unit.server.rpc.test_payment_servicer import Till, till
from tests.unit.server.rpc.test_submit_batch import SETTLED, receipts_of, submit
from tests.unit.server.switch.counter import Alterations
from tests.vectors.times import OUT_OF_RANGE


def poisoned(part: str, field: str, seconds: int, nanos: int) -> Alterations:
    """Put a time out of range into a document, before it is signed."""

    def alter(document: Any) -> None:  # noqa: ANN401
        time = getattr(document, field)
        time.seconds, time.nanos = seconds, nanos

    changes: dict[str, Any] = {part: alter}
    return Alterations(**changes)


def reason(at: Till, receipt: Any) -> str:  # noqa: ANN401
    """The decline reason of a receipt, without its prefix."""
    name = DeclineReason.Name(at.counter.read(receipt).decline_reason)
    return name.removeprefix("DECLINE_REASON_")


async def test_poisoned_times_end_themselves(tmp_path: Path) -> None:
    """Among ten good ones, every kind of it: in what the phone signed, and in the till's own."""
    async with till(tmp_path) as at:
        good = [at.pay(10) for _ in range(10)]
        bad = {}
        for seconds, nanos in OUT_OF_RANGE.values():
            for part, field, expected in (
                ("authorization", "expire_time", "AUTHORIZATION_MALFORMED"),
                ("request", "expire_time", "REQUEST_MALFORMED"),
                ("request", "deferred_expire_time", "REQUEST_MALFORMED"),
            ):
                payment = at.pay(10, poisoned(part, field, seconds, nanos))
                bad[payment.request_id] = (payment, expected)
        payments = [payment for payment, _ in bad.values()]
        told = receipts_of(await submit(at, [*payments[:5], *good, *payments[5:]]))
        assert {at.counter.read(told[p.request_id]).outcome for p in good} == {SETTLED}
        for request_id, (payment, expected) in bad.items():
            assert reason(at, told[request_id]) == expected
            assert (await at.settle(payment)) == told[request_id]


async def test_a_fault_of_the_switch_ends_one_payment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row of the directory is damaged: whose key it is is declined, and told to the operator."""
    async with till(tmp_path) as at:
        key = ec.generate_private_key(ec.SECP256R1())
        entered = IssuedCertificate(77, "phone/eve/pixel", fresh_id(), b"", b"", b"", 2**60)
        key_id = key_id_of(key.public_key())
        raw = raw_public_key(key.public_key())
        at.counter.directory.enroll(DeviceEntry(entered, key_id, raw, "1.0", 1))
        damage = "UPDATE signing_key SET device = ? WHERE key_id = ?"
        at.counter.directory.file.rows(damage, "phone/eve", key_id)
        good, bad = [at.pay(10) for _ in range(3)], at.pay(10, Alterations(phone_key=key))
        told = receipts_of(await submit(at, [good[0], bad, *good[1:]]))
        assert {at.counter.read(told[p.request_id]).outcome for p in good} == {SETTLED}
        assert reason(at, told[bad.request_id]) == "SWITCH_FAULT"
        assert reason(at, await at.settle(bad)) == "SWITCH_FAULT"
        log = capsys.readouterr().out
        assert bad.request_id in log
        assert "Traceback" in log
