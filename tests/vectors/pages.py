"""The worked examples of docs/protocols, computed: by page, line by line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from edge_agents.links.apdu_link import exchange_message, select_application
from kessai.ble_profile import ATT_HEADER_BYTES, fragments, service_uuid
from kessai.envelope import signing_input
from kessai.v1 import tap_pb2
from simulators.phone.hce import WalletService
from tests.vectors import enrolment, ride
from tests.vectors.keys import sign_fixed

VECTORS = Path(__file__).resolve().parents[2] / "protos" / "kessai" / "vectors"
LEAST_MTU = 23

Lines = dict[str, str]


def examples() -> dict[str, Lines]:
    """Every worked example, by the page that it stands in."""
    return {
        "documents.md": _documents(),
        "enrolment.md": _enrolment(),
        "holders.md": _holders(),
        "tap.md": _tap(),
        "nfc.md": _nfc(),
        "ble.md": _ble(),
    }


def load(name: str) -> dict[str, Any]:
    """Read a vector file."""
    vectors: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text())
    return vectors


def _documents() -> Lines:
    vectors = load("envelope")
    key, case = vectors["keys"]["terminal"], vectors["valid"][0]
    message = signing_input(case["type"], bytes.fromhex(case["payload"]))
    return {
        "type": case["type"],
        "payload": case["payload"],
        "private key": key["private_key"],
        "public key": key["public_key"],
        "key_id": key["key_id"],
        "signing input": message.hex(),
        "signature": sign_fixed(message, "terminal").hex(),
        "signed": case["signed"],
    }


def _enrolment() -> Lines:
    made = enrolment.vectors()
    address = made["pairing_uris"]["valid"][0]
    [proof] = [each for each in made["enrolment_proofs"] if each["key"] == "phone"]
    return {
        "code": address["code"],
        "raw code": enrolment.CODE.hex(),
        "uri": address["uri"],
        "phone": made["keys"]["phone"]["public_key"],
        "prefix": proof["message"].removesuffix(made["signing_request"]),
        "proof": proof["proof"],
    }


def _holders() -> Lines:
    made, asked = ride.challenges(), enrolment.vectors()["holder_key_proof"]
    nonce, ticket = made["a terminal's nonce"], made["a ticket for two"]
    return {
        "nonce": str(nonce["nonce"]),
        "challenge": str(nonce["challenge"]),
        "persons": ride.PERSONS.to_bytes(4, "big").hex(),
        "ticket": str(ticket["ticket_sha256"]),
        "ticket challenge": str(ticket["challenge"]),
        "request_id": asked["request_id"],
        "key proof over": asked["message"],
    }


def _tap() -> Lines:
    request = tap_pb2.TapRequest(
        session_id=bytes(range(16)),
        sequence=2,
        inquire_payment=tap_pb2.InquirePayment(request_hash=b"\x11" * 32),
    )
    response = tap_pb2.TapResponse(
        session_id=bytes(range(16)), sequence=2, status=tap_pb2.TAP_STATUS_CUSTOMER_DECIDING
    )
    return {
        "request": request.SerializeToString().hex(),
        "response": response.SerializeToString().hex(),
    }


def _nfc() -> Lines:
    """Exchange the page's message between our reader and our phone, and write down what goes by."""
    message, answer = bytes(n % 256 for n in range(300)), b"\xaa" * 260
    phone = WalletService(lambda heard: answer if heard == message else b"")
    commands: list[bytes] = []
    responses: list[bytes] = []

    def transceive(apdu: bytes) -> bytes:
        commands.append(apdu)
        responses.append(phone.process_command_apdu(apdu))
        return responses[-1]

    assert select_application(transceive)
    assert exchange_message(transceive, message) == answer
    hashes = [hashlib.sha256(part).hexdigest()[:16] for part in (commands[1], commands[2])]
    return {
        "select": commands[0].hex(),
        "selected": responses[0].hex(),
        "first": f"{commands[1][:5].hex()} and {len(commands[1]) - 5} bytes",
        "acknowledge": responses[1].hex(),
        "last": f"{commands[2][:5].hex()}, {len(commands[2]) - 6} bytes, {commands[2][-1:].hex()}",
        "sha256": " ".join(hashes),
        "piece": f"{len(responses[2]) - 2} bytes and {responses[2][-2:].hex()}",
        "fetch": commands[3].hex(),
        "rest": f"{len(responses[3]) - 2} bytes and {responses[3][-2:].hex()}",
    }


def _ble() -> Lines:
    values = fragments(bytes(range(30)), LEAST_MTU - ATT_HEADER_BYTES)
    numbered = {f"value {n}": value.hex() for n, value in enumerate(values, 1)}
    return {"service": service_uuid("0417")} | numbered
