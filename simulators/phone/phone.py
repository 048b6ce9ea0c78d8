"""A whole phone, put together from its folder: vault, store, wallet, app and card.

Used by `cli` in a process of its own, and by demonstrations, load and tests that want phones within
theirs. The folder is what pairing made: the identity (`kessai.device_identity`) and the vault.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from kessai.account_number import AccountNumberError, format_account, parse_account
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity, load_identity
from simulators.phone import screen
from simulators.phone.admissions import Admissions
from simulators.phone.consent import Consent
from simulators.phone.customer import Customer
from simulators.phone.field import Field
from simulators.phone.holder_key import HolderKey
from simulators.phone.iso_dep import LeftTheField
from simulators.phone.misbehaviour import (
    HONEST,
    MisbehavingCard,
    MisbehavingWallet,
    Misbehaviour,
)
from simulators.phone.screen import Screen, View
from simulators.phone.store import Store
from simulators.phone.submitter import Submitter
from simulators.phone.ticket_pocket import ALONE, TicketPocket, Wants
from simulators.phone.ticket_store import TicketStore
from simulators.phone.travel import TravelCard
from simulators.phone.vault import Vault
from simulators.phone.wallet import PATIENCE_S, Wallet

# After the last page the phone stays until the terminal has surely heard its last answer.
LINGER_S = 0.4


class Phone:
    """A phone in the customer's hand. One at a time may use a folder for taps.

    Its owner `wants` its tickets for so many persons, and a gift certificate to pay up to so much.
    """

    def __init__(
        self,
        folder: Path,
        customer: Customer,
        show: Callable[[Screen], None],
        misbehaviour: Misbehaviour = HONEST,
        account_number: str = "",
        now_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
        patience_s: float = PATIENCE_S,
        linger_s: float = LINGER_S,
        wants: Wants = ALONE,
    ) -> None:
        """Open a paired phone that pays from one of its accounts, by default the first.

        Complaint if the folder holds no paired phone, or the account is not one of its own.
        """
        identity = load_identity(folder)
        self._show, self._done, self._left = show, threading.Event(), False
        self._last, self._linger_s = screen.idle(), linger_s
        self._failure: BaseException | None = None
        self._misbehaviour = misbehaviour
        self._store, self._tickets = Store(folder), TicketStore(folder)
        self._submitter = Submitter(
            identity, self._store, self._turn_page, now_us, misbehaviour.submit_late_s
        )
        self._admissions = Admissions(folder)
        key, holder_key = identity.switch_key, HolderKey(folder, identity.switch_key)
        consent = Consent(
            choose_account(identity, account_number), identity.sealing_key, Vault(folder),
            self._store, customer, self._turn_page, now_us, misbehaviour.amend,
            holder_key.public_key,
        )  # fmt: skip
        pocket = TicketPocket(key, self._tickets, holder_key, self._turn_page, now_us, wants)
        travel = TravelCard(key, self._admissions, self._store, holder_key, self._turn_page, now_us)
        wallet = Wallet(
            key, self._store, consent, holder_key, pocket, travel, self._submitter.submit,
            self._turn_page, now_us, patience_s,
        )  # fmt: skip
        self._wallet = MisbehavingWallet(wallet.answer, self._store, misbehaviour)
        self._submitter.take_up()

    def tap(self, field: Field, stay_s: float) -> Screen:
        """Hold the phone into a field until its purchase is over; give the last page it showed.

        It leaves after `stay_s` seconds whatever happens. Complaint if another phone is in the
        field; what the disk raised, if the phone could not keep what it had to.
        """
        self._done.clear()
        self._left = False
        self._wallet.start_tap()
        self._turn_page(screen.idle())
        card = field.make_card(self._answer)
        try:
            field.bring(MisbehavingCard(card, self._misbehaviour, self._leave))
            self._stay(time.monotonic() + stay_s)
        finally:
            field.take_away()
            card.close()
        if self._failure is not None:
            raise self._failure
        return self._last

    def close(self) -> None:
        """Switch it off; what it has not submitted yet is taken up at its next start."""
        self._submitter.close()
        self._store.close()
        self._tickets.close()
        self._admissions.close()

    def _stay(self, until: float) -> None:
        while self._done.wait(max(0.0, until - time.monotonic())):
            time.sleep(self._linger_s)
            if self._done.is_set():  # and no other purchase has begun meanwhile
                return

    def _answer(self, message: bytes) -> bytes:
        try:
            return self._wallet.answer(message)
        except LeftTheField:
            self._leave()
            raise
        except Exception as error:
            # What could not be kept must not be said: the phone falls silent and ends.
            self._failure = error
            self._leave()
            raise LeftTheField from error

    def _leave(self) -> None:
        """Be gone, whatever the customer does with the phone later on."""
        self._left = True
        self._done.set()

    def _turn_page(self, page: Screen) -> None:
        self._last = page
        self._show(page)
        if page.view.is_final:
            self._done.set()
        elif page.view is not View.IDLE and not self._left:
            self._done.clear()


def choose_account(identity: DeviceIdentity, wanted: str) -> str:
    """Choose one of a phone's own accounts, by default the first: 14 digits.

    Complaint if it has none, or another one is wanted.
    """
    own = [format_account(account) for account in identity.accounts]
    if not own:
        raise Complaint(f"{identity.device} has no account: let the bank pair it with one.")
    if not wanted:
        return own[0]
    try:
        number = format_account(parse_account(wanted))
    except AccountNumberError as error:
        raise Complaint(f"{wanted}: {error}.") from error
    if number not in own:
        raise Complaint(f"{wanted} is none of this phone's accounts: {', '.join(own)}.")
    return number
