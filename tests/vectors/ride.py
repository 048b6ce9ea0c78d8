"""One ride and one visit: what proves a holder to a terminal, and what a gate signs.

The gate is the terminal of the purchase, its merchant a carrier here. The holder has his own key.
"""

from __future__ import annotations

import hashlib

from kessai import envelope
from kessai.envelope import raw_public_key
from kessai.holder import challenge_of
from kessai.request_id import new_request_id
from kessai.seal import sealed_hash
from kessai.ticket import Entrance, ticket_challenge
from kessai.v1 import fare_pb2, holder_pb2
from kessai.v1.envelope_pb2 import Sealed, Signed
from tests.vectors import purchase
from tests.vectors.hpke import seal_with
from tests.vectors.keys import EPHEMERAL_KEY, KEYS, SEALING_KEY, secret, sign_payload
from tests.vectors.purchase import CREATED_MS, Case, euro, time_of

MERCHANT, GATE = "corner-shop", "register-1"
PERSONS = 2
NONCE = (CREATED_MS * 1000).to_bytes(8, "big") + secret("nonce")[:24]


def holder_key() -> bytes:
    """The holder's public key, 65 bytes."""
    return raw_public_key(KEYS["holder"].public_key())


def admission_id() -> bytes:
    """The ride's id."""
    return new_request_id(CREATED_MS, lambda count: secret("ride")[:count])


def credential_id() -> bytes:
    """The credential's id, 16 bytes."""
    return secret("credential")[:16]


def signed_authorization() -> bytes:
    """The authorisation of the purchase, signed and serialised, as the phone seals it."""
    case = purchase.cases()["authorization"][0]
    payload = case.document.SerializeToString(deterministic=True)
    return sign_payload(case.type, payload, case.key).SerializeToString(deterministic=True)


def sealed_authorization() -> Sealed:
    """The authorisation of the purchase, as `sealed.json` has it."""
    plaintext = signed_authorization()
    public = SEALING_KEY.public_key()
    made = seal_with(EPHEMERAL_KEY, public, purchase.request_hash(), plaintext)
    key_id = hashlib.sha256(public.public_bytes_raw()).digest()[:16]
    return Sealed(key_id=key_id, ciphertext=made.encapsulated_key + made.ciphertext)


def signed_ticket() -> Signed:
    """The ticket of `ticket.json`."""
    case = purchase.cases()["ticket"][0]
    return sign_payload(case.type, case.document.SerializeToString(deterministic=True), case.key)


def gift_certificate() -> Signed:
    """The gift certificate of `ticket.json`."""
    case = purchase.cases()["ticket"][1]
    return sign_payload(case.type, case.document.SerializeToString(deterministic=True), case.key)


def credential(trusted: bool = True) -> holder_pb2.HolderCredential:
    """What the switch says of the holder; one who is not trusted has no limit."""
    return holder_pb2.HolderCredential(
        credential_id=credential_id(),
        holder_public_key=holder_key(),
        offline_limit=euro(5_000) if trusted else None,
        rider_category="adult",
        issue_time=time_of(-3_600, 654_321_000),
        expire_time=time_of(7 * 86_400 - 3_600, 654_321_000),
        wallet_handle=secret("wallet handle")[:16],
        former_wallet_handle=secret("former wallet handle")[:16],
    )


def proof(challenge: bytes, sealed: bytes = b"", credential: bytes = b"") -> holder_pb2.HolderProof:
    """What the holder's key signs, for the gate."""
    return holder_pb2.HolderProof(
        credential_id=credential,
        challenge=challenge,
        merchant_id=MERCHANT,
        terminal_id=GATE,
        sealed_hash=sealed,
    )


def challenges() -> dict[str, dict[str, object]]:
    """How each challenge is computed, by what it answers."""
    door = Entrance(NONCE, MERCHANT, GATE)
    ticket, gift, sealed = signed_ticket(), gift_certificate(), sealed_authorization()
    return {
        "a terminal's nonce": {"nonce": NONCE.hex(), "challenge": challenge_of(NONCE).hex()},
        "a payment request": {
            "request_hash": purchase.request_hash().hex(),
            "challenge": purchase.request_hash().hex(),
            "sealed": sealed.SerializeToString(deterministic=True).hex(),
            "sealed_hash": sealed_hash(sealed).hex(),
        },
        "a ticket for two": {
            "nonce": NONCE.hex(),
            "ticket_sha256": hashlib.sha256(ticket.payload).hexdigest(),
            "persons": PERSONS,
            "amount_minor": 0,
            "challenge": ticket_challenge(ticket, PERSONS, 0, door.nonce).hex(),
        },
        "a gift certificate for 12.50": {
            "nonce": NONCE.hex(),
            "ticket_sha256": hashlib.sha256(gift.payload).hexdigest(),
            "persons": 0,
            "amount_minor": 1_250,
            "challenge": ticket_challenge(gift, 0, 1_250, door.nonce).hex(),
        },
    }


def admission(spent_minor: int = 0) -> fare_pb2.Admission:
    """What the entry gate gives the phone."""
    return fare_pb2.Admission(
        admission_id=admission_id(),
        merchant_id=MERCHANT,
        terminal_id=GATE,
        station_id="harbour",
        holder_public_key=holder_key(),
        credential_id=credential_id(),
        rider_category="adult",
        spent_today_minor=spent_minor,
        entry_time=time_of(0),
        expire_time=time_of(4 * 3_600),
    )


def exit_note(station: str, fare_minor: int) -> fare_pb2.ExitNote:
    """What the exit gate closes the ride with."""
    return fare_pb2.ExitNote(
        admission_id=admission_id(),
        merchant_id=MERCHANT,
        terminal_id=GATE,
        station_id=station,
        fare=euro(fare_minor),
        exit_time=time_of(1_500),
    )


def journey() -> fare_pb2.Journey:
    """A ride that the next one may be a transfer from."""
    before = fare_pb2.JourneyRide(
        entry_station_id="market",
        exit_station_id="harbour",
        entry_time=time_of(-2_400),
        exit_time=time_of(-1_200),
    )
    return fare_pb2.Journey(rides=[before], charged=euro(180))


def journey_note() -> fare_pb2.JourneyNote:
    """What the exit gate of that ride told the phone."""
    return fare_pb2.JourneyNote(
        merchant_id=MERCHANT,
        terminal_id=GATE,
        holder_public_key=holder_key(),
        journey=journey(),
    )


def transfer() -> fare_pb2.Admission:
    """An admission after that ride."""
    made = admission(180)
    made.journey.CopyFrom(journey())
    return made


def cases() -> dict[str, list[Case]]:
    """The documents by the vector file that they stand in; the first is the one damaged."""
    asked = {name: bytes.fromhex(str(how["challenge"])) for name, how in challenges().items()}
    sealed = sealed_hash(sealed_authorization())
    proofs = {
        "a terminal's nonce": proof(asked["a terminal's nonce"], credential=credential_id()),
        "a payment request": proof(asked["a payment request"], sealed, credential_id()),
        "a ticket for two": proof(asked["a ticket for two"]),
        "a gift certificate for 12.50": proof(asked["a gift certificate for 12.50"]),
    }
    given, said = envelope.HOLDER_CREDENTIAL, envelope.HOLDER_PROOF
    return {
        "holder_credential": [
            Case("trusted to 50.00", given, "switch", credential()),
            Case("trusted with nothing", given, "switch", credential(trusted=False)),
        ],
        "holder_proof": [Case(name, said, "holder", made) for name, made in proofs.items()],
        "admission": [
            Case("the first ride of the day", envelope.ADMISSION, "terminal", admission()),
            Case("a later one", envelope.ADMISSION, "terminal", admission(640)),
            Case("a transfer", envelope.ADMISSION, "terminal", transfer()),
        ],
        "journey": [Case("one ride", envelope.JOURNEY, "terminal", journey_note())],
        "exit_note": [
            Case("a fare", envelope.EXIT_NOTE, "terminal", exit_note("market", 320)),
            Case("free, nobody knows where", envelope.EXIT_NOTE, "terminal", exit_note("", 0)),
        ],
    }
