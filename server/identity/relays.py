"""Fleets' servers: whose calls each may pass on, and who made a call that one passes.

The terminal's signature says who calls, and the terminal must stand as one that calls by itself.
Methods may run in any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kessai.envelope import RELAYED_CALL, EnvelopeError, open_signed
from kessai.identity_path import AGENT, parse_device
from kessai.relayed import MAX_AGE_US, RELAYED_METHODS
from kessai.v1 import error_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.relay_pb2 import RelayedCall
from server.identity.callers import Caller, CallerKind
from server.identity.refusals import (
    CertificateRefused,
    FieldRefused,
    NotPermitted,
    Refusal,
    Unknown,
)
from server.shards.directory import Directory
from server.shards.relay_book import RelayBook
from server.shards.standing import good_certificate

MAX_MERCHANTS = 100


class CallStale(Refusal):
    """A call that was signed too long ago, or ahead of the switch's clock."""

    reason = error_pb2.ERROR_REASON_REQUEST_ID_STALE

    def __init__(self, age_us: int) -> None:
        ahead, seconds = age_us < 0, abs(age_us) // 1_000_000
        when = f"{seconds} s {'ahead of the switch' if ahead else 'ago'}"
        super().__init__(f"the call was signed {when}: at most are 120 s; look at the clocks")
        self.rule = "in_future" if ahead else "too_old"


class Relays:
    """Says whose calls are passed on, and opens them."""

    def __init__(self, directory: Directory, now_us: Callable[[], int]) -> None:
        self._directory, self._now_us = directory, now_us
        self._book = RelayBook(directory.file)

    def put_merchants(self, fleet_id: str, merchant_ids: Sequence[str]) -> None:
        """Enter the merchants whose terminals a fleet's server serves: FieldRefused, Unknown."""
        if not 1 <= len(merchant_ids) <= MAX_MERCHANTS:
            raise FieldRefused("relay.merchant_ids", f"must be 1 to {MAX_MERCHANTS}")
        for merchant_id in merchant_ids:
            if self._directory.merchant(merchant_id) is None:
                raise Unknown(f'there is no merchant "{merchant_id[:40]}"')
        self._book.put(fleet_id, merchant_ids)

    def merchants(self, fleet_id: str) -> list[str]:
        """The merchants whose terminals a fleet's server serves, by id."""
        return self._book.merchants(fleet_id)

    def open_call(self, signed: Signed, relay: Caller) -> tuple[Caller, RelayedCall]:
        """Who makes a call that a fleet's server passes, and the call.

        CertificateRefused, FieldRefused, NotPermitted, CallStale.
        """
        device = self._signer(signed)
        _, names = parse_device(device)
        key = self._directory.terminal_key(*names)
        if key is None:
            raise CertificateRefused(f"{device} was revoked; ask the operator")
        try:
            call = open_signed(signed, RELAYED_CALL, key, RelayedCall.FromString)
        except EnvelopeError as error:
            raise FieldRefused("call", str(error)) from None
        self._require_passable(call, device, relay)
        now_us = self._now_us()
        age_us = now_us - call.create_time.ToMicroseconds()
        if abs(age_us) > MAX_AGE_US:
            raise CallStale(age_us)
        serial = good_certificate(self._directory.file, device, now_us)
        if serial is None:
            raise CertificateRefused(f"the certificate of {device} has ended; pair it again")
        return Caller(CallerKind.AGENT, names, serial), call

    def _signer(self, signed: Signed) -> str:
        signer = self._directory.signing_key(signed.key_id)
        if signer is None or parse_device(signer.device)[0] != AGENT:
            raise FieldRefused("call", "not signed by a terminal that is known here")
        return signer.device

    def _require_passable(self, call: RelayedCall, device: str, relay: Caller) -> None:
        fleet_id, merchant_id = relay.path[0], parse_device(device)[1][0]
        if call.fleet_id != fleet_id:
            raise NotPermitted(f"this call of {device} is for another fleet's server")
        if not self._book.serves(fleet_id, merchant_id):
            raise NotPermitted(f"{relay.device} may not pass calls for merchant {merchant_id}")
        if call.method not in RELAYED_METHODS:
            raise NotPermitted(f'"{call.method[:60]}" is no call that is passed on')
