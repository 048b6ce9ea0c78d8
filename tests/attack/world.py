"""The world of an attack: a real switch, honest people, and hostile ones with good certificates.

An attack is over when an honest payment settles as ever and the books verify: `assert_unharmed`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.device_identity import DeviceIdentity
from kessai.enrollment import pair, parse_pairing_uri
from kessai.envelope import RECEIPT, PrivateKey, open_signed
from kessai.v1 import payment_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import Receipt
from tests.attack.parties import Attacker, HostilePhone, HostileRelay, HostileTerminal
from tests.running import RunningSwitch

Party = TypeVar("Party", bound=Attacker)

SETTLE = "/kessai.v1.PaymentService/SettlePayment"
CASH = 10_000_00
FLEET = "fleet"


class World:
    """A switch with two shops, and two wallets with a phone each; everybody may be the attacker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.switch = RunningSwitch.start(folder / "switch", 2)
        self._number = 0
        self._parties: list[Attacker] = []
        self.terminal = self.terminal_of("corner", "till-1")
        self.rival = self.terminal_of("rival", "till-1")
        self.relay = self.relay_of(FLEET, "corner")
        self.phone = self.phone_of("ann")
        self.other_phone = self.phone_of("bob")
        self.operator = self._party(Attacker(self.switch.operator))
        # Who may be revoked, frozen or closed: nobody else needs them.
        self.spare_terminal = self.terminal_of("spare", "till-1")
        self.spare_account = self.switch.open_account("wallet/carl", self._next())

    def terminal_of(self, merchant_id: str, terminal_id: str) -> HostileTerminal:
        """Enter a merchant, and pair a terminal of his."""
        account = self.switch.open_account(f"merchant/{merchant_id}", self._next())
        self.switch.create_merchant(merchant_id, merchant_id.title(), account)
        key = Ed25519PrivateKey.generate()
        uri = self.switch.pair_terminal(merchant_id, terminal_id)
        return self._party(HostileTerminal(self._enroll(uri, key), key))

    def relay_of(self, fleet_id: str, *merchant_ids: str) -> HostileRelay:
        """Pair the server of a fleet with machines of these merchants."""
        key = Ed25519PrivateKey.generate()
        uri = self.switch.pair_relay(fleet_id, *merchant_ids)
        return self._party(HostileRelay(self._enroll(uri, key), key))

    def phone_of(self, wallet_id: str) -> HostilePhone:
        """Open a wallet with cash, and pair a phone of it."""
        account = self.switch.open_account(f"wallet/{wallet_id}", self._next(), CASH)
        key = ec.generate_private_key(ec.SECP256R1())
        uri = self.switch.pair_phone(wallet_id, "phone-1", account)
        return self._party(HostilePhone(self._enroll(uri, key), key, account))

    def receipt(self, signed: Signed) -> Receipt:
        """Open a receipt as a terminal does."""
        return open_signed(signed, RECEIPT, self.terminal.identity.switch_key, Receipt.FromString)

    def assert_unharmed(self) -> None:
        """An honest payment settles at once, and moves its amount once."""
        before = self.switch.balance(self.phone.account_number)
        asked = self.terminal.ask()
        message = self.terminal.settlement(asked, self.phone.agree(asked))
        answer = self.terminal.call(SETTLE, message)
        receipt = self.receipt(answer.response.receipt)
        assert receipt.outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED
        left = self.switch.balance(self.phone.account_number)
        assert before - left == asked[0].total.amount_minor

    def close(self) -> None:
        """Verify the books, and stop."""
        try:
            for party in self._parties:
                party.close()
            self.switch.verify()
            self.switch.stop()
        finally:
            self.switch.kill()

    def _enroll(self, uri: str, key: PrivateKey) -> DeviceIdentity:
        return pair(parse_pairing_uri(uri), self.folder / f"device-{self._next()}", key, "attacker")

    def _party(self, party: Party) -> Party:
        self._parties.append(party)
        return party

    def _next(self) -> int:
        self._number += 1
        return self._number
