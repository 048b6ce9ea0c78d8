"""Every command with extreme values, among honest ones in the same groups: these never notice.

What can stand in documents is made of documents, so that the log can be decided again; what cannot
is put into a command that is otherwise good, and must be refused alone.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from kessai.account_number import format_account
from kessai.currency import BY_NUMBER
from kessai.v1.bill_pb2 import Bill, BillEvidence
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.money_pb2 import Money
from kessai.v1.payment_pb2 import PaymentAuthorization
from kessai.v1.shard_pb2 import MovedAccount, SlotMove
from server.domain.arrival import arrival
from server.domain.bill import SettleBill
from server.domain.busy_payee import merge
from server.domain.command import ACCEPTED, Command, CommandKind
from server.domain.history import finish_input_hash
from server.domain.hold import CaptureHold, ExpireHold, PlaceHold, VoidHold
from server.domain.payment_history import payment_input_hash
from server.domain.slot_move import move_in, move_out
from server.ledger.chart import auxiliary_id
from server.ledger.relocation import RelocationBroken
from server.shards.carry_out import CommandRefused
from server.shards.jobs import Outcome
from server.shards.router import Shards
from server.shards.settlement_log import LogRow, RequestIdReused
from tests.unit.server.domain import commands as made
from tests.unit.server.domain.commands import EUR, JPY, MINUTE_US, NOW_US, PAYMENT, USD, fresh_id
from tests.unit.server.domain.tickets import offer, redeem, refund, revoke, ticket
from tests.unit.server.shards.parts import LIMIT_S, shards_in, verify_shards

EXAMPLES = int(os.environ.get("KESSAI_EXAMPLES", "15"))
ANN, SHOP, EVE, MALLORY, YEN, NOBODY = (
    a for a, _ in zip(made.accounts_on(0, 1), range(6), strict=False)
)
MOST, LEAST = 2**63 - 1, -(2**63)

amounts = st.sampled_from([0, 1, -1, 2**31, MOST, LEAST])
# Who means ill may name anybody; what he could make overflow is not the honest ones' own.
payers = st.sampled_from([ANN, EVE, MALLORY, YEN, NOBODY])
payees = st.sampled_from([EVE, MALLORY, YEN, NOBODY])
ledgers = st.sampled_from([EUR, JPY, USD])
owners = st.sampled_from(["wallet/eve", "", "x" * 10_000])
wallets = st.sampled_from(["eve", "", "y" * 10_000])
bodies = st.sampled_from([b"", bytes(16), b"\xff" * 16, bytes(10_000), b"\xff" * 10_000])
GIFT, CROWD, FREE, DEAR = (
    ticket(offer(value=MOST)), ticket(offer(admits=2**31 - 1)), ticket(offer(price=0)),
    ticket(offer(price=MOST)),
)  # fmt: skip
tickets = st.sampled_from([GIFT, CROWD, FREE, DEAR])


def finish(kind: type[Command], payer: int, payee: int, amount: int, body: bytes) -> Command:
    """End a hold that there is not."""
    content = finish_input_hash(body, amount)
    return kind(fresh_id(), content, payer, payee, amount, EUR, body)


def bill(payer: int, payee: int, amount: int, wallet: str, ledger: int) -> SettleBill:
    """Pay a bill."""
    request_id, total = fresh_id(), Money(amount_minor=amount, currency_code=BY_NUMBER[ledger].code)
    asked = Bill(request_id=request_id, amount=total)
    asked.create_time.FromMicroseconds(NOW_US)
    agreed = PaymentAuthorization(amount=total, account_number=format_account(payer))
    agreed.expire_time.FromMicroseconds(NOW_US + MINUTE_US)
    payloads = (asked.SerializeToString(), agreed.SerializeToString())
    evidence = BillEvidence(
        bill=Signed(payload=payloads[0]), authorization=Signed(payload=payloads[1]),
        payee_account=format_account(payee), payer_wallet_id=wallet,
    )  # fmt: skip
    said = (request_id, payment_input_hash(*payloads), payer, payee, amount, ledger)
    return SettleBill(*said, evidence.SerializeToString(), wallet, NOW_US, NOW_US + MINUTE_US)


def arriving(payee: int, amount: int, code: int) -> Command:
    """Bring what nobody owes, and what is therefore never to be booked."""
    amount = 1 if code == 0 else -abs(amount)
    return arrival(1, 7, fresh_id(), NOBODY, payee, amount, EUR, code)


def moving(amount: int, make: Any) -> Command:  # noqa: ANN401
    """Move a slot with an account that is here, or is not, and more than all money."""
    account = MovedAccount(id=ANN, ledger=EUR, code=20, credits_posted=amount, owner="wallet/eve")
    move = SlotMove(slot=3, source_shard=0, target_shard=1, generation=1, accounts=[account])
    command: Command = make(fresh_id(), move, {}) if make is move_in else make(fresh_id(), move)
    return command


finishing = (payers, payees, amounts, bodies)
EXTREME: dict[CommandKind, st.SearchStrategy[Command]] = {
    CommandKind.OPEN_ACCOUNT: st.builds(made.open_account, payees, owners, ledgers),
    CommandKind.DEPOSIT_CASH: st.builds(made.deposit, payees, amounts, ledgers),
    CommandKind.WITHDRAW_CASH: st.builds(made.withdraw, payees, amounts, ledgers),
    CommandKind.SETTLE_PAYMENT: st.builds(
        made.pay, payers, payees, amounts, wallet=wallets, ledger=ledgers
    ),
    CommandKind.ARRIVE: st.builds(arriving, payees, amounts, st.sampled_from([0, PAYMENT])),
    CommandKind.PLACE_HOLD: st.builds(
        made.place_hold, payers, payees, amounts, st.sampled_from([0, 1, 2**31 - 1]), ledgers,
        wallet=wallets,
    ),
    CommandKind.CAPTURE_HOLD: st.builds(finish, st.just(CaptureHold), *finishing),
    CommandKind.VOID_HOLD: st.builds(finish, st.just(VoidHold), *finishing),
    CommandKind.EXPIRE_HOLD: st.builds(finish, st.just(ExpireHold), *finishing),
    CommandKind.OPEN_AUXILIARY: st.builds(
        made.open_auxiliary, st.just(0), payees, owners, ledgers
    ),
    CommandKind.MERGE_AUXILIARY: st.builds(
        lambda *said: merge(fresh_id(), auxiliary_id(0, said[0]), *said[1:]),
        payees, amounts, ledgers,
    ),
    CommandKind.FREEZE_ACCOUNT: st.builds(made.freeze, payees),
    CommandKind.UNFREEZE_ACCOUNT: st.builds(made.unfreeze, payees),
    CommandKind.CLOSE_ACCOUNT: st.builds(made.close, payees),
    CommandKind.RELEASE_SUSPENSE: st.builds(
        made.release_to, payees, amounts, st.just(fresh_id()), st.just(0), ledgers
    ),
    CommandKind.REDEEM_TICKET: st.builds(
        redeem, tickets, payees, st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]), amounts,
        st.sampled_from([NOW_US, 0, 2**53]),
    ),
    CommandKind.REFUND_TICKET: st.builds(refund, tickets, payees, payers),
    CommandKind.REVOKE_TICKET: st.builds(revoke, st.just(FREE), payees),
    CommandKind.SETTLE_BILL: st.builds(bill, payers, payees, amounts, wallets, ledgers),
    CommandKind.SETTLE_FARE: st.builds(
        made.pay, payers, payees, amounts, wallet=wallets, ledger=ledgers,
        ride=st.sampled_from([bytes(16), b"\xff" * 16]),
    ),
    CommandKind.MOVE_OUT: st.builds(moving, amounts, st.just(move_out)),
    CommandKind.MOVE_IN: st.builds(moving, amounts, st.just(move_in)),
}  # fmt: skip

BEYOND: list[dict[str, Any]] = [
    {field: value}
    for field, values in {
        "amount": (2**63, 2**64, -(2**63) - 1),
        "payer": (2**63, 2**64, -1, LEAST),
        "payee": (2**63, 2**64, -1, LEAST),
        "ledger": (2**16, 2**31, 2**64, -1),
        "request_id": (b"", bytes(15), bytes(10_000)),
        "input_hash": (b"", bytes(10_000)),
    }.items()
    for value in values
]
written = st.one_of(*EXTREME.values())
unwritable = st.builds(
    lambda command, change: replace(command, **change), written, st.sampled_from(BEYOND)
)


def overflowing() -> list[Command]:
    """What overflowed once: a gift certificate and a ticket that are used up twice."""
    spent = [redeem(GIFT, EVE, 0, MOST), redeem(GIFT, EVE, 0, MOST)]
    return [*spent, redeem(CROWD, EVE, 2**31 - 1), redeem(CROWD, EVE, 2**31 - 1)]


def test_every_kind_of_command_is_described() -> None:
    """Whoever adds a command says here what is extreme in it."""
    assert set(EXTREME) == set(CommandKind)


# An example has texts of 10 KB, and is shown in full where it fails.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@settings(max_examples=EXAMPLES, deadline=None)
@given(extreme=st.lists(st.one_of(written, written, unwritable), min_size=20, max_size=60))
def test_honest_commands_do_not_notice_extreme_ones(extreme: Sequence[Command]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        structlog.testing.capture_logs() as logs,
    ):
        asyncio.run(play(Path(folder), [*overflowing(), *extreme]))
        assert verify_shards(Path(folder)).faults == []
        # What can be in a document is foreseen; but an arrival of no kind, which nobody can send.
        kinds = {line["kind"] for line in logs if line["event"] == "a command failed"}
        assert kinds <= {CommandKind.ARRIVE.name}


async def play(folder: Path, extreme: Sequence[Command]) -> None:
    """Submit all at once, every extreme one between two honest ones."""
    with shards_in(folder) as shards:
        hold, concert = await open_all(shards)
        honest: list[Command] = [
            made.capture(hold, 40),
            redeem(concert, SHOP),
            *(made.pay(ANN, SHOP, 1) for _ in range(len(extreme) - 2)),
        ]
        mixed = [command for pair in zip(honest, extreme, strict=True) for command in pair]
        async with asyncio.timeout(LIMIT_S):
            outcomes: list[Outcome | BaseException] = await asyncio.gather(
                *(shards.shard(0).submit(command) for command in mixed), return_exceptions=True
            )
        declines = [getattr(outcome, "decline", outcome) for outcome in outcomes[::2]]
        assert declines == [ACCEPTED] * len(honest)
        allowed = (LogRow, CommandRefused, RelocationBroken, RequestIdReused)
        assert [o for o in outcomes[1::2] if not isinstance(o, allowed)] == []
        shop = await shards.account(SHOP)
        assert shop is not None
        assert shop.balance == 40 + len(extreme) - 2


async def open_all(shards: Shards) -> tuple[PlaceHold, Any]:
    """Open the honest ones' accounts and the others'; a hold of Ann's, and a ticket."""
    hold = made.place_hold(ANN, SHOP, 50)
    for command in (
        made.open_account(ANN), made.open_account(SHOP, "merchant/shop"),
        made.open_account(EVE, "wallet/eve"), made.open_account(MALLORY, "wallet/eve", USD),
        made.open_account(YEN, "wallet/eve", JPY), made.deposit(ANN, 1000), made.deposit(EVE, 1),
        made.deposit(YEN, MOST, JPY), hold,
    ):  # fmt: skip
        assert not (await shards.submit(command)).decline
    return hold, ticket(offer())
