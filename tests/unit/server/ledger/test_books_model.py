"""The books against a model so plain that it is right: a list of events, summed up each time."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from server.ledger.books import Books
from server.ledger.chart import AccountKind, open_account
from server.ledger.result import TransferResult as R
from server.ledger.transfer import HoldState, Transfer, TransferFlag

EUR, CODE, SECOND_US = 978, 1, 1_000_000
WORLD, ANN, BOB, SHOP = 1, 2, 3, 4
ACCOUNTS = (WORLD, ANN, BOB, SHOP)
LIMITED = (ANN, BOB, SHOP)
FIRST_HOLD = 1_000_000
LINKED, PENDING = TransferFlag.LINKED, TransferFlag.PENDING
POST, VOID = TransferFlag.POST_PENDING_TRANSFER, TransferFlag.VOID_PENDING_TRANSFER

accounts = st.sampled_from(ACCOUNTS)
amounts = st.integers(1, 60)
holds = st.integers(FIRST_HOLD, FIRST_HOLD + 12)


@dataclass(frozen=True)
class Event:
    """Something that happened: money moved, was held, or a hold ended."""

    kind: str
    debit: int
    credit: int
    amount: int
    hold: int = 0


Counters = tuple[int, int, int, int]


def count(events: list[Event], account: int) -> Counters:
    """Sum up debits pending and posted, credits pending and posted."""
    totals = {"dp": 0, "d": 0, "cp": 0, "c": 0}
    for event in events:
        sign = -1 if event.kind == "release" else 1
        suffix = "" if event.kind == "move" else "p"
        if event.debit == account:
            totals["d" + suffix] += sign * event.amount
        if event.credit == account:
            totals["c" + suffix] += sign * event.amount
    return totals["dp"], totals["d"], totals["cp"], totals["c"]


class BooksMachine(RuleBasedStateMachine):
    """Random transfers, holds and chains on four accounts, as time goes by."""

    @initialize()
    def begin(self) -> None:
        self.books = Books()
        for account in ACCOUNTS:
            kind = AccountKind.WORLD if account == WORLD else AccountKind.CUSTOMER
            self.books.accounts[account] = open_account(account, EUR, kind, "somebody", 0)
        self.events: list[Event] = []
        self.placed: dict[int, tuple[Transfer, int]] = {}
        self.ended: set[int] = set()
        self.now_us = SECOND_US
        self.next_id = 1

    def model(self, t: Transfer) -> list[Event] | None:
        """What a transfer does by the model; None if it is refused."""
        if t.flags & (POST | VOID):
            return self.model_end(t)
        pending_debits, debits, _, credits = count(self.events, t.debit_account_id)
        broke = t.debit_account_id in LIMITED and pending_debits + debits + t.amount > credits
        if t.debit_account_id == t.credit_account_id or broke:
            return None
        if not t.flags & PENDING:
            return [Event("move", t.debit_account_id, t.credit_account_id, t.amount)]
        if t.id in self.placed:
            return None
        return [Event("hold", t.debit_account_id, t.credit_account_id, t.amount, t.id)]

    def model_end(self, t: Transfer) -> list[Event] | None:
        """How a hold ends by the model."""
        if t.pending_id not in self.placed or t.pending_id in self.ended:
            return None
        held, expire_us = self.placed[t.pending_id]
        if (expire_us and expire_us <= self.now_us) or t.amount > held.amount:
            return None
        debit, credit = held.debit_account_id, held.credit_account_id
        release = Event("release", debit, credit, held.amount, held.id)
        if t.flags & VOID:
            return [release]
        return [release, Event("move", debit, credit, t.amount)]

    def perform(self, chain: list[Transfer]) -> bool:
        """Do a chain in the model: all of it, or nothing."""
        before = list(self.events), dict(self.placed), set(self.ended)
        for t in chain:
            done = self.model(t)
            if done is None:
                self.events, self.placed, self.ended = before
                return False
            self.events += done
            if t.flags & PENDING:
                expire_us = self.now_us + t.timeout * SECOND_US if t.timeout else 0
                self.placed[t.id] = t, expire_us
            if t.pending_id:
                self.ended.add(t.pending_id)
        return True

    def transfer(self, debit: int, credit: int, amount: int) -> Transfer:
        self.next_id += 1
        return Transfer(self.next_id, debit, credit, amount, EUR, CODE)

    def check(self, chain: list[Transfer]) -> None:
        expected = self.perform(chain)
        assert (self.books.apply(chain, self.now_us) is R.OK) == expected

    @rule(debit=accounts, credit=accounts, amount=amounts)
    def move(self, debit: int, credit: int, amount: int) -> None:
        self.check([self.transfer(debit, credit, amount)])

    @rule(hold=holds, debit=accounts, credit=accounts, amount=amounts, timeout=st.integers(0, 9))
    def place(self, hold: int, debit: int, credit: int, amount: int, timeout: int) -> None:
        self.check([Transfer(hold, debit, credit, amount, EUR, CODE, PENDING, timeout=timeout)])

    @rule(hold=holds, amount=amounts)
    def post(self, hold: int, amount: int) -> None:
        self.next_id += 1
        self.check([Transfer(self.next_id, amount=amount, flags=POST, pending_id=hold)])

    @rule(hold=holds)
    def void(self, hold: int) -> None:
        self.next_id += 1
        self.check([Transfer(self.next_id, flags=VOID, pending_id=hold)])

    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        """Time goes by; what is over is released, as the shard does."""
        self.now_us += seconds * SECOND_US
        for hold in self.books.holds.values():
            due = hold.state is HoldState.PENDING and 0 < hold.expire_us <= self.now_us
            if due:
                self.books.expire(hold, 99)
                held, _ = self.placed[hold.id]
                self.ended.add(hold.id)
                release = Event(
                    "release", held.debit_account_id, held.credit_account_id, held.amount
                )
                self.events.append(release)

    @rule(
        moves=st.lists(st.tuples(accounts, accounts, amounts), min_size=2, max_size=4),
        hold=holds,
        amount=amounts,
    )
    def chain(self, moves: list[tuple[int, int, int]], hold: int, amount: int) -> None:
        """Moves, then a hold that is posted in the same chain."""
        chain = [self.transfer(*move) for move in moves]
        chain.append(Transfer(hold, ANN, SHOP, amount, EUR, CODE, PENDING))
        self.next_id += 1
        chain.append(Transfer(self.next_id, amount=1, flags=POST, pending_id=hold))
        self.check(chain)

    @invariant()
    def the_counters_are_the_sums_of_the_events(self) -> None:
        for account in self.books.accounts.values():
            counters = (
                account.debits_pending, account.debits_posted,
                account.credits_pending, account.credits_posted,
            )  # fmt: skip
            assert counters == count(self.events, account.id)

    @invariant()
    def entries_tell_every_balance(self) -> None:
        """Sequences without gaps, each balance the one before and the amount."""
        last: dict[int, tuple[int, int]] = dict.fromkeys(ACCOUNTS, (0, 0))
        for entry in self.books.entries:
            sequence, balance = last[entry.account]
            assert (entry.sequence, entry.balance) == (sequence + 1, balance + entry.amount)
            last[entry.account] = entry.sequence, entry.balance
        for account in self.books.accounts.values():
            assert last[account.id] == (account.sequence, account.balance)

    @invariant()
    def nobody_limited_is_below_zero(self) -> None:
        assert all(self.books.accounts[account].available >= 0 for account in LIMITED)


BooksMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestBooksAgainstTheModel = BooksMachine.TestCase
