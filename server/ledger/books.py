"""The books of one shard in memory: applies transfers to the accounts that were loaded.

`server/shards/shard.py` fills the books with what a group of commands needs, applies what was
decided, and stores what changed. Semantics and order of the checks are TigerBeetle's
create_transfers; ids of transfers are not looked up here, because the settlement log already gives
every command one effect for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kessai.money import MAX_AMOUNT
from server.ledger.account import Account, AccountFlag
from server.ledger.result import TransferResult as R
from server.ledger.transfer import Entry, Hold, HoldState, Transfer, TransferFlag

_SHUT = AccountFlag.CLOSED | AccountFlag.FROZEN
_MICROSECONDS = 1_000_000
_MAX_TIMEOUT = 2**32 - 1
_SECOND_PHASE = TransferFlag.POST_PENDING_TRANSFER | TransferFlag.VOID_PENDING_TRANSFER
_FATE = {
    HoldState.POSTED: R.PENDING_TRANSFER_ALREADY_POSTED,
    HoldState.VOIDED: R.PENDING_TRANSFER_ALREADY_VOIDED,
    HoldState.EXPIRED: R.PENDING_TRANSFER_EXPIRED,
}


class Books:
    """Accounts and holds by id; what of them was changed, and the entries written, in order."""

    def __init__(self) -> None:
        self.accounts: dict[int, Account] = {}
        self.holds: dict[int, Hold] = {}
        self.start_group()

    def start_group(self) -> None:
        """Forget what was changed and written so far: it is stored, or nobody stores it."""
        self.entries: list[Entry] = []
        self.changed_accounts: dict[int, Account] = {}
        self.changed_holds: dict[int, Hold] = {}

    def open(self, account: Account) -> None:
        """Take in a new account."""
        self.accounts[account.id] = self.changed_accounts[account.id] = account

    def take_back(self, account: Account) -> None:
        """Undo `open`."""
        del self.accounts[account.id], self.changed_accounts[account.id]

    def apply(self, transfers: Sequence[Transfer], now_us: int) -> R:
        """Apply transfers as one linked chain: all, or none and the reason of the first refused.

        `now_us` is the time of the movement, microseconds since 1970.
        """
        return self._apply_chain(transfers, now_us)[1]

    def create_transfers(self, transfers: Sequence[Transfer], now_us: int) -> list[R]:
        """Apply a batch: each transfer by itself, or with its neighbours where flags say LINKED."""
        results: list[R] = []
        for chain, is_open in _chains(transfers):
            position, result = self._apply_chain(chain, now_us, is_open)
            outcomes = [R.LINKED_EVENT_FAILED if result is not R.OK else R.OK] * len(chain)
            outcomes[position] = result
            if is_open:  # the one at fault is still named, if another was before the end
                outcomes[-1] = R.LINKED_EVENT_CHAIN_OPEN
            results += outcomes
        return results

    def expire(self, hold: Hold, finish_id: int) -> None:
        """Release a hold whose time is over; the caller has checked that it is still pending."""
        self._release(hold, HoldState.EXPIRED, finish_id)

    def _apply_chain(
        self, chain: Sequence[Transfer], now_us: int, is_open: bool = False
    ) -> tuple[int, R]:
        if len(chain) == 1 and not is_open:  # one alone is refused before it changes anything
            return 0, self._create_transfer(chain[0], now_us)
        before = self._snapshot(chain)
        written = len(self.entries)
        for position, transfer in enumerate(chain):
            is_end = is_open and position == len(chain) - 1
            result = R.LINKED_EVENT_CHAIN_OPEN
            if not is_end:
                result = self._create_transfer(transfer, now_us)
            if result is not R.OK:
                self._restore(before)
                del self.entries[written:]
                return position, result
        return 0, R.OK

    def _create_transfer(self, t: Transfer, now_us: int) -> R:
        if t.id == 0:
            return R.ID_MUST_NOT_BE_ZERO
        if t.flags & _SECOND_PHASE:
            return self._finish_pending(t, now_us)
        if t.debit_account_id == 0:
            return R.DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO
        if t.credit_account_id == 0:
            return R.CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO
        if t.debit_account_id == t.credit_account_id:
            return R.ACCOUNTS_MUST_BE_DIFFERENT
        if t.pending_id != 0:
            return R.PENDING_ID_MUST_BE_ZERO
        if t.timeout != 0 and not t.flags & TransferFlag.PENDING:
            return R.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER
        if t.amount <= 0:
            return R.AMOUNT_MUST_NOT_BE_ZERO
        if t.ledger == 0:
            return R.LEDGER_MUST_NOT_BE_ZERO
        if t.code == 0:
            return R.CODE_MUST_NOT_BE_ZERO
        debit = self.accounts.get(t.debit_account_id)
        if debit is None:
            return R.DEBIT_ACCOUNT_NOT_FOUND
        credit = self.accounts.get(t.credit_account_id)
        if credit is None:
            return R.CREDIT_ACCOUNT_NOT_FOUND
        if debit.ledger != credit.ledger:
            return R.ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER
        if t.ledger != debit.ledger:
            return R.TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS
        return self._move(t, debit, credit, now_us)

    def mark(self, account_id: int, flags: int) -> None:
        """Give an account other flags."""
        account = self.changed_accounts[account_id] = self.accounts[account_id]
        account.flags = flags

    def _move(self, t: Transfer, debit: Account, credit: Account, now_us: int) -> R:
        pending = bool(t.flags & TransferFlag.PENDING)
        if pending and t.id in self.holds:
            return R.EXISTS
        if debit.flags & _SHUT or credit.flags & AccountFlag.CLOSED:
            return _standing_broken(debit)
        limit = _limit_broken(t, debit, credit, pending)
        if limit is not R.OK:
            return limit
        if not pending:
            self._post(t, debit, credit, t.code, t.far_payee)
            return R.OK
        debit.debits_pending += t.amount
        credit.credits_pending += t.amount
        expire_us = now_us + t.timeout * _MICROSECONDS if t.timeout else 0
        self.holds[t.id] = self.changed_holds[t.id] = Hold(
            t.id, debit.id, credit.id, t.amount, t.ledger, t.code, expire_us, t.far_payee
        )
        self._note_changed(debit, credit)
        return R.OK

    def _finish_pending(self, t: Transfer, now_us: int) -> R:
        post = bool(t.flags & TransferFlag.POST_PENDING_TRANSFER)
        if t.flags & TransferFlag.PENDING or t.flags & _SECOND_PHASE == _SECOND_PHASE:
            return R.FLAGS_ARE_MUTUALLY_EXCLUSIVE
        if t.pending_id == 0:
            return R.PENDING_ID_MUST_NOT_BE_ZERO
        if t.pending_id == t.id:
            return R.PENDING_ID_MUST_BE_DIFFERENT
        if t.timeout != 0:
            return R.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER
        if post and t.amount <= 0:
            return R.AMOUNT_MUST_NOT_BE_ZERO
        hold = self.holds.get(t.pending_id)
        if hold is None:
            return R.PENDING_TRANSFER_NOT_FOUND
        difference = _difference(t, hold)
        if difference is not R.OK:
            return difference
        if t.amount > hold.amount:
            return R.EXCEEDS_PENDING_TRANSFER_AMOUNT
        if not post and t.amount not in (0, hold.amount):
            return R.PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT
        if hold.state is not HoldState.PENDING:
            return _FATE[hold.state]
        if hold.expire_us and hold.expire_us <= now_us:
            return R.PENDING_TRANSFER_EXPIRED
        debit, credit = self._release(hold, HoldState.POSTED if post else HoldState.VOIDED, t.id)
        if post:
            self._post(t, debit, credit, hold.code, hold.far_account)
        return R.OK

    def _post(self, t: Transfer, debit: Account, credit: Account, code: int, payee: int) -> None:
        amount, payee, payer = t.amount, payee or credit.id, t.far_payer or debit.id
        debit.debits_posted += amount
        credit.credits_posted += amount
        debit.sequence += 1
        credit.sequence += 1
        self.entries += (
            Entry(debit.id, debit.sequence, -amount, debit.balance, payee, code, t.id),
            Entry(credit.id, credit.sequence, amount, credit.balance, payer, code, t.id),
        )
        self._note_changed(debit, credit)

    def _release(self, hold: Hold, fate: HoldState, finish_id: int) -> tuple[Account, Account]:
        debit = self.accounts[hold.debit_account_id]
        credit = self.accounts[hold.credit_account_id]
        debit.debits_pending -= hold.amount
        credit.credits_pending -= hold.amount
        hold.state, hold.finish_id = fate, finish_id
        self.changed_holds[hold.id] = hold
        self._note_changed(debit, credit)
        return debit, credit

    def _note_changed(self, debit: Account, credit: Account) -> None:
        changed = self.changed_accounts
        changed[debit.id] = debit
        changed[credit.id] = credit

    def _snapshot(self, transfers: Iterable[Transfer]) -> _Snapshot:
        accounts: dict[int, tuple[int, int, int, int, int]] = {}
        holds: dict[int, HoldState | None] = {}
        for t in transfers:
            hold = self.holds.get(t.pending_id or t.id)
            holds[t.pending_id or t.id] = hold.state if hold else None
            touched = [t.debit_account_id, t.credit_account_id]
            if hold:
                touched += [hold.debit_account_id, hold.credit_account_id]
            for account_id in touched:
                a = self.accounts.get(account_id)
                if a is not None and account_id not in accounts:
                    accounts[account_id] = (
                        a.debits_pending, a.debits_posted,
                        a.credits_pending, a.credits_posted, a.sequence,
                    )  # fmt: skip
        return accounts, holds

    def _restore(self, before: _Snapshot) -> None:
        accounts, holds = before
        for account_id, counters in accounts.items():
            a = self.accounts[account_id]
            (
                a.debits_pending, a.debits_posted,
                a.credits_pending, a.credits_posted, a.sequence,
            ) = counters  # fmt: skip
        for hold_id, state in holds.items():
            if state is None:
                self.holds.pop(hold_id, None)
                self.changed_holds.pop(hold_id, None)
            else:
                hold = self.holds[hold_id]
                hold.state = state
                hold.finish_id = 0 if state is HoldState.PENDING else hold.finish_id


_Snapshot = tuple[dict[int, tuple[int, int, int, int, int]], dict[int, HoldState | None]]


def _standing_broken(debit: Account) -> R:
    if debit.flags & AccountFlag.CLOSED:
        return R.DEBIT_ACCOUNT_ALREADY_CLOSED
    if debit.flags & AccountFlag.FROZEN:
        return R.DEBIT_ACCOUNT_FROZEN
    return R.CREDIT_ACCOUNT_ALREADY_CLOSED


def _limit_broken(t: Transfer, debit: Account, credit: Account, pending: bool) -> R:
    if pending and debit.debits_pending + t.amount > MAX_AMOUNT:
        return R.OVERFLOWS_DEBITS_PENDING
    if pending and credit.credits_pending + t.amount > MAX_AMOUNT:
        return R.OVERFLOWS_CREDITS_PENDING
    if debit.debits_posted + t.amount > MAX_AMOUNT:
        return R.OVERFLOWS_DEBITS_POSTED
    if credit.credits_posted + t.amount > MAX_AMOUNT:
        return R.OVERFLOWS_CREDITS_POSTED
    if debit.debits_pending + debit.debits_posted + t.amount > MAX_AMOUNT:
        return R.OVERFLOWS_DEBITS
    if credit.credits_pending + credit.credits_posted + t.amount > MAX_AMOUNT:
        return R.OVERFLOWS_CREDITS
    if not 0 <= t.timeout <= _MAX_TIMEOUT:
        return R.OVERFLOWS_TIMEOUT
    debits = debit.debits_pending + debit.debits_posted + t.amount
    if debit.flags & AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS and debits > debit.credits_posted:
        return R.EXCEEDS_CREDITS
    credits = credit.credits_pending + credit.credits_posted + t.amount
    if credit.flags & AccountFlag.CREDITS_MUST_NOT_EXCEED_DEBITS and credits > credit.debits_posted:
        return R.EXCEEDS_DEBITS
    return R.OK


def _difference(t: Transfer, hold: Hold) -> R:
    if t.debit_account_id not in (0, hold.debit_account_id):
        return R.PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID
    if t.credit_account_id not in (0, hold.credit_account_id):
        return R.PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID
    if t.ledger not in (0, hold.ledger):
        return R.PENDING_TRANSFER_HAS_DIFFERENT_LEDGER
    if t.code not in (0, hold.code):
        return R.PENDING_TRANSFER_HAS_DIFFERENT_CODE
    return R.OK


def _chains(transfers: Sequence[Transfer]) -> Iterable[tuple[Sequence[Transfer], bool]]:
    start = 0
    for end, transfer in enumerate(transfers, 1):
        if not transfer.flags & TransferFlag.LINKED:
            yield transfers[start:end], False
            start = end
    if start < len(transfers):
        yield transfers[start:], True
