"""The published vectors hold for our own code, and are what `tests.make_vectors` makes."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from edge_agents.gate.admission import check_proof
from kessai import account_number, pairing_code, request_id
from kessai.bill import payee_info, wrong_bill_field
from kessai.complaint import Complaint
from kessai.envelope import (
    DocumentMalformed,
    SignatureInvalid,
    key_id_of,
    load_public_key,
    open_signed,
    raw_public_key,
    signing_input,
    verify_bytes,
)
from kessai.holder import Asked, challenge_of, key_proof_input, open_holder_answer
from kessai.money import Money
from kessai.plain_text import check_text
from kessai.request_form import wrong_field
from kessai.seal import SealBroken, seal, sealing_key_id, unseal
from kessai.ticket import Entrance, open_certificate_answer, open_ticket_answer
from kessai.v1 import bill_pb2, fare_pb2, holder_pb2, money_pb2, payment_pb2, relay_pb2, ticket_pb2
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.holder_pb2 import HolderAnswer
from kessai.v1.tap_pb2 import TicketAnswer
from server.identity.certificates import public_key_of_request
from tests.make_vectors import FOLDER, make_all
from tests.vectors import ride
from tests.vectors.bill import PAYEE_ACCOUNT
from tests.vectors.forms import GOOD_TEXTS
from tests.vectors.purchase import CREATED_MS

MESSAGES: dict[str, type[Message]] = {
    "envelope": money_pb2.Money,
    "payment_request": payment_pb2.PaymentRequest,
    "authorization": payment_pb2.PaymentAuthorization,
    "merchant_certificate": payment_pb2.MerchantCertificate,
    "receipt": payment_pb2.Receipt,
    "ticket": ticket_pb2.Ticket,
    "bill": bill_pb2.Bill,
    "bill_authorization": payment_pb2.PaymentAuthorization,
    "wallet_certificate": bill_pb2.WalletCertificate,
    "holder_credential": holder_pb2.HolderCredential,
    "holder_proof": holder_pb2.HolderProof,
    "admission": fare_pb2.Admission,
    "exit_note": fare_pb2.ExitNote,
    "journey": fare_pb2.JourneyNote,
    "relayed_call": relay_pb2.RelayedCall,
    "relayed_answer": relay_pb2.RelayedAnswer,
}
REFUSALS = {"signature": SignatureInvalid, "document": DocumentMalformed}


def load(name: str) -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return vectors


def cases(kind: str, *names: str) -> list[Any]:
    return [
        pytest.param(name, case, id=f"{name}: {case['name']}")
        for name in names
        for case in load(name)[kind]
    ]


def parser_of(name: str) -> Callable[[bytes], Message]:
    return MESSAGES[name].FromString


def test_files_are_up_to_date() -> None:
    made = make_all()
    assert {path.name for path in FOLDER.glob("*.json")} == made.keys()
    for name, text in made.items():
        assert (FOLDER / name).read_text() == text, f"{name}: run `python -m tests.make_vectors`"


@pytest.mark.parametrize(("name", "case"), cases("valid", *MESSAGES))
def test_valid_documents_are_opened(name: str, case: dict[str, Any]) -> None:
    key = load(name)["keys"][case["key"]]
    public = load_public_key(bytes.fromhex(key["public_key"]))
    assert key_id_of(public).hex() == key["key_id"]
    signed = Signed.FromString(bytes.fromhex(case["signed"]))
    document = open_signed(signed, case["type"], public, parser_of(name))
    assert document == ParseDict(case["document"], MESSAGES[name]())
    assert document.SerializeToString(deterministic=True).hex() == case["payload"]
    assert signing_input(case["type"], signed.payload).hex() == case["signing_input"]
    assert signed.signature.hex() == case["signature"]
    assert hashlib.sha256(signed.payload).hexdigest() == case["sha256"]


@pytest.mark.parametrize(("name", "case"), cases("invalid", *MESSAGES))
def test_invalid_documents_are_refused(name: str, case: dict[str, Any]) -> None:
    key = load(name)["keys"][case["key"]]
    public = load_public_key(bytes.fromhex(key["public_key"]))
    signed = Signed.FromString(bytes.fromhex(case["signed"]))
    with pytest.raises(REFUSALS[case["refused_for"]]):
        open_signed(signed, case["expected_type"], public, parser_of(name))


FORMS: dict[str, Callable[[Any], str]] = {"payment_request": wrong_field, "bill": wrong_bill_field}


@pytest.mark.parametrize(("name", "case"), cases("malformed", *FORMS))
def test_a_rule_that_is_broken_is_named(name: str, case: dict[str, Any]) -> None:
    """They are well signed and parse; and the good ones of their file break none."""
    key = load(name)["keys"][case["key"]]
    public = load_public_key(bytes.fromhex(key["public_key"]))
    signed = Signed.FromString(bytes.fromhex(case["signed"]))
    assert FORMS[name](open_signed(signed, case["type"], public, parser_of(name))) == case["field"]


@pytest.mark.parametrize(("name", "case"), cases("valid", *FORMS))
def test_good_documents_break_no_rule(name: str, case: dict[str, Any]) -> None:
    assert FORMS[name](parser_of(name)(bytes.fromhex(case["payload"]))) == ""


@pytest.mark.parametrize("text", GOOD_TEXTS)
def test_words_of_all_scripts_are_plain(text: str) -> None:
    check_text(text, 40)


def test_leading_zeros_are_there() -> None:
    """The two P-256 cases that trip up hand-written conversions are what they say."""
    named = {case["name"]: case["signature"] for case in load("envelope")["valid"]}
    assert named["P-256, r begins with a zero byte"][:2] == "00"
    assert named["P-256, s begins with a zero byte"][64:66] == "00"


def test_the_documents_are_one_purchase() -> None:
    request = load("payment_request")["valid"][0]
    for name in ("authorization", "receipt"):
        for case in load(name)["valid"]:
            assert b64decode(case["document"]["request_hash"]).hex() == request["sha256"]
    assert load("sealed")["valid"][0]["info"] == request["sha256"]
    assert load("sealed")["valid"][0]["plaintext"] == load("authorization")["valid"][0]["signed"]


def test_the_documents_are_one_bill() -> None:
    """The answer is for the bill, and the account in it opens for the switch, for this bill."""
    bill = load("bill")["valid"][0]
    answer = load("bill_authorization")["valid"][0]["document"]
    assert b64decode(answer["request_hash"]).hex() == bill["sha256"]
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(load("sealed")["private_key"]))
    document = bill_pb2.Bill.FromString(bytes.fromhex(bill["payload"]))
    info = payee_info(document.request_id)
    assert unseal(document.sealed_payee_account, private, info) == PAYEE_ACCOUNT.encode()


@pytest.mark.parametrize(("name", "case"), cases("valid", "sealed"))
def test_the_seal_opens(name: str, case: dict[str, Any]) -> None:
    """Sealed by the RFC in tests/vectors/hpke.py, opened by the library."""
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(load(name)["private_key"]))
    public = X25519PublicKey.from_public_bytes(bytes.fromhex(load(name)["public_key"]))
    assert sealing_key_id(public).hex() == load(name)["key_id"]
    sealed = Sealed.FromString(bytes.fromhex(case["sealed"]))
    plaintext, info = bytes.fromhex(case["plaintext"]), bytes.fromhex(case["info"])
    assert sealed.ciphertext.hex() == case["ciphertext"]
    assert unseal(sealed, private, info) == plaintext
    assert unseal(seal(plaintext, public, info), private, info) == plaintext


@pytest.mark.parametrize(("name", "case"), cases("invalid", "sealed"))
def test_broken_seals_stay_shut(name: str, case: dict[str, Any]) -> None:
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(load(name)["private_key"]))
    sealed = Sealed.FromString(bytes.fromhex(case["sealed"]))
    with pytest.raises(SealBroken):
        unseal(sealed, private, bytes.fromhex(case["info"]))


@pytest.mark.parametrize("case", load("account_number")["valid"], ids=lambda c: c["digits"])
def test_account_numbers_are_computed(case: dict[str, Any]) -> None:
    account = account_number.make_account(case["branch"], case["number"])
    assert account_number.format_account(account) == case["digits"]
    assert account_number.pretty_account(account) == case["pretty"]
    assert account_number.slot_of(account) == case["slot"]
    assert account_number.parse_account(case["digits"]) == account
    assert account_number.parse_account(case["pretty"]) == account


@pytest.mark.parametrize("case", load("account_number")["invalid"], ids=lambda c: c["name"])
def test_wrong_account_numbers_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(account_number.AccountNumberError):
        account_number.parse_account(case["text"])


@pytest.mark.parametrize("case", load("account_number")["invalid_on_the_wire"])
def test_on_the_wire_are_digits_alone(case: dict[str, str]) -> None:
    account_number.parse_account(case["text"])
    with pytest.raises(account_number.AccountNumberError):
        account_number.parse_digits(case["text"])


@pytest.mark.parametrize("case", load("request_id")["valid"], ids=lambda c: c["text"])
def test_request_ids_are_computed(case: dict[str, Any]) -> None:
    random = bytes.fromhex(case["random"])
    made = request_id.new_request_id(case["time_ms"], lambda count: random[:count])
    assert made.hex() == case["bytes"]
    assert request_id.format_request_id(made) == case["text"]
    assert request_id.parse_request_id(case["text"]) == made
    assert request_id.time_of(made) == case["time_ms"]


@pytest.mark.parametrize("case", load("request_id")["invalid"], ids=lambda c: c["name"])
def test_texts_that_are_no_request_id_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(request_id.RequestIdError):
        request_id.parse_request_id(case["text"])


def test_a_holder_answers_a_gate_and_a_door() -> None:
    """Credential, proofs and ticket fit together, as terminals verify them."""
    switch = load_public_key(bytes.fromhex(load("ticket")["keys"]["switch"]["public_key"]))
    gate, now_us = (ride.MERCHANT, ride.GATE), CREATED_MS * 1000
    credential = signed_of("holder_credential", "trusted to 50.00")
    answer = HolderAnswer(credential=credential, proof=proof_of("a terminal's nonce"))
    asked = Asked(challenge_of(ride.NONCE), *gate)
    assert open_holder_answer(answer, switch, asked, now_us).rider_category == "adult"
    payment = load("holder_proof")["challenges"]["a payment request"]
    answer = HolderAnswer(credential=credential, proof=proof_of("a payment request"))
    challenge, given = (bytes.fromhex(payment[name]) for name in ("challenge", "sealed_hash"))
    asked = Asked(challenge, *gate, sealed_hash=given)
    assert open_holder_answer(answer, switch, asked, now_us).offline_limit == Money(5_000, "EUR")


def test_a_ticket_and_a_gift_certificate_are_shown() -> None:
    switch = load_public_key(bytes.fromhex(load("ticket")["keys"]["switch"]["public_key"]))
    door = Entrance(ride.NONCE, ride.MERCHANT, ride.GATE)
    shown = TicketAnswer(
        ticket=signed_of("ticket", "three seats"),
        holder_public_key=ride.holder_key(),
        proof=proof_of("a ticket for two"),
        persons=2,
    )
    assert open_ticket_answer(shown, switch, door).offer.admits == 3
    shown = TicketAnswer(
        ticket=signed_of("ticket", "a gift certificate"),
        holder_public_key=ride.holder_key(),
        proof=proof_of("a gift certificate for 12.50"),
        amount_minor=1_250,
    )
    assert open_certificate_answer(shown, switch, door, Money(1_250, "EUR")).offer.admits == 0


def test_an_admission_is_the_holders() -> None:
    admission = fare_pb2.Admission.FromString(signed_of("admission", "a later one").payload)
    proof = proof_of("a terminal's nonce")
    check_proof(proof, admission, Asked(challenge_of(ride.NONCE), ride.MERCHANT, ride.GATE))


def test_enrolment_proofs_verify() -> None:
    vectors = load("enrolment")
    public_key_of_request(bytes.fromhex(vectors["signing_request"]))
    for proof in (*vectors["enrolment_proofs"], vectors["holder_key_proof"]):
        key = load_public_key(bytes.fromhex(vectors["keys"][proof["key"]]["public_key"]))
        verify_bytes(bytes.fromhex(proof["message"]), bytes.fromhex(proof["proof"]), key)
    asked = request_id.parse_request_id(vectors["holder_key_proof"]["request_id"])
    assert key_proof_input(asked).hex() == vectors["holder_key_proof"]["message"]


@pytest.mark.parametrize(
    "case", load("enrolment")["pairing_codes"]["valid"], ids=lambda c: c["name"]
)
def test_pairing_codes_are_read(case: dict[str, Any]) -> None:
    assert pairing_code.parse_code(case["text"]).hex() == case["bytes"]


@pytest.mark.parametrize(
    "case", load("enrolment")["pairing_codes"]["invalid"], ids=lambda c: c["name"]
)
def test_wrong_pairing_codes_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(pairing_code.PairingCodeError):
        pairing_code.parse_code(case["text"])


@pytest.mark.parametrize(
    "case", load("enrolment")["pairing_uris"]["valid"], ids=lambda c: c["server"]
)
def test_pairing_uris_are_read(case: dict[str, Any]) -> None:
    read = pairing_code.parse_pairing_uri(case["uri"])
    assert (read.server, read.code, read.root_fingerprint.hex()) == (
        case["server"],
        case["code"],
        case["root"],
    )


@pytest.mark.parametrize(
    "case", load("enrolment")["pairing_uris"]["invalid"], ids=lambda c: c["name"]
)
def test_wrong_pairing_uris_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(Complaint):
        pairing_code.parse_pairing_uri(case["uri"])


def signed_of(file: str, name: str) -> Signed:
    [case] = [case for case in load(file)["valid"] if case["name"] == name]
    return Signed.FromString(bytes.fromhex(case["signed"]))


def proof_of(name: str) -> Signed:
    return signed_of("holder_proof", name)


@pytest.mark.parametrize("case", load("public_key")["valid"], ids=lambda c: c["name"])
def test_sound_keys_are_read(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["public_key"])
    assert raw_public_key(load_public_key(raw)) == raw


@pytest.mark.parametrize("case", load("public_key")["invalid"], ids=lambda c: c["name"])
def test_unsound_keys_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(DocumentMalformed):
        load_public_key(bytes.fromhex(case["public_key"]))
