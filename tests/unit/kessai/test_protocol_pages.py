"""The pages of docs/protocols say what the code does: prefixes, numbers, worked examples, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_agents import direct_payments, receipts, settlements, tap, tap_desk, uplink
from edge_agents.entrance import hub_line
from edge_agents.links import apdu_link, ble_choice, ble_link, ble_radio, message_link, nfc_radio
from edge_agents.relay import machines, port
from edge_agents.renewal import CHECK_EVERY_S
from kessai import (
    ble_profile,
    channel,
    envelope,
    holder,
    pairing_code,
    relayed,
    request_form,
    seal,
    settlement_terms,
    ticket,
    time_range,
)
from kessai.identity_path import relay_host, terminal_host
from kessai.v1.tap_pb2 import TapStatus
from server.config import ServerConfig
from server.domain import payment
from server.identity import authority, certificates, enrollment, guess_limit, holders, pairing
from server.rpc import limits
from server.switch import claims, followers, questions
from simulators.phone import bill_collector, hce, purchase, wallet
from tests.house.tree import ROOT, modules
from tests.vectors.pages import examples

PAGES = ROOT / "docs" / "protocols"
_PREFIX = re.compile(r"kessai/[a-z-]+/v[0-9]+")
_IN_CODE = re.compile(r"b\"(kessai/[a-z-]+/v[0-9]+)\\0")
_BLOCK = re.compile(r"```example\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(#[^)]*)?\)")

S = 1_000_000
DAY_S = 86_400


def page(name: str) -> str:
    return (PAGES / name).read_text()


def rows(name: str) -> dict[str, str]:
    """The rows of a page's tables: the first cell, and the rest as it stands."""
    cells = [
        line.strip("| \n").split(" | ", 1) for line in page(name).splitlines() if line[:1] == "|"
    ]
    return {row[0]: row[1] for row in cells if len(row) == 2}


def number(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def test_every_prefix_is_in_the_table_and_in_the_code() -> None:
    """Of documents, of what is hashed, and of what stays inside the switch; no other anywhere."""
    types = {
        value for name, value in vars(envelope).items() if name.isupper() and type(value) is str
    }
    signed = {f"kessai/{document}/v1" for document in types}
    written = {
        prefix for path in modules(ROOT).values() for prefix in _IN_CODE.findall(path.read_text())
    }
    listed = [row.strip("`") for row in rows("documents.md") if _PREFIX.fullmatch(row.strip("`"))]
    assert sorted(listed) == sorted(signed | written)
    assert len(signed) == 14


def test_no_page_names_a_prefix_that_is_not_in_the_table() -> None:
    listed = {row.strip("`") for row in rows("documents.md")}
    for path in PAGES.glob("*.md"):
        assert set(_PREFIX.findall(path.read_text())) - listed - {"kessai/v1"} == set(), path.name


@pytest.mark.parametrize("name", examples())
def test_worked_examples_are_computed(name: str) -> None:
    [block] = _BLOCK.findall(page(name))
    shown = dict(line.split(":", 1) for line in block.splitlines())
    assert {label: text.strip() for label, text in shown.items()} == examples()[name]


# What a row of a page must say: numbers as the code has them, each in the form that people read.
SAID = {
    "documents.md": {
        "`payload`": [f"{envelope.MAX_PAYLOAD_BYTES:,} bytes"],
        "`expire_time` - `create_time`": [f"{request_form.LIFETIME_LIMIT_US // S} s"],
        "`deferred_expire_time`, if there is one": [
            f"{request_form.DEFERRED_LIMIT_US // S // DAY_S} days"
        ],
        "time": [f"{time_range.LATEST_S}", f"0 to {time_range.MAX_NANOS} in whole thousands"],
        "milliseconds in `request_id`, with `deferred_expire_time`": [
            f"within {request_form.ID_LIMIT_MS // 1000} s"
        ],
        "`order_id`; `description` of each line": [
            f"1 to {request_form.ORDER_ID_CHARACTERS}",
            f"1 to {request_form.DESCRIPTION_CHARACTERS} characters",
        ],
        "`hold_seconds`": [f"1 to {settlement_terms.MAX_HOLD_S}"],
        "`create_time`": [f"{payment.CLOCK_TOLERANCE_US // S} s after"],
        "age of the request id (its own 48 bits of milliseconds)": [
            f"{claims.AGE_LIMIT_US // S} s old",
            f"{claims.CLOCK_TOLERANCE_US // S} s ahead",
        ],
    },
    "nfc.md": {
        "application identifier (AID)": [apdu_link.APPLICATION_ID.hex().upper()],
        "data of an ENVELOPE": [f"1 to {apdu_link.CHUNK_BYTES} bytes"],
        "data of a response": [f"{hce._PIECE_BYTES} bytes"],
        "a message, either way": [
            f"{message_link.MAX_MESSAGE_BYTES:,} bytes",
            f"{tap.MAX_ANSWER_BYTES:,}",
        ],
        "a whole exchange: message and answer, all APDUs": [f"{number(tap.EXCHANGE_S)} s"],
        "an answer while the customer decides": [f"{number(wallet.PATIENCE_S)} s"],
        "polling for a phone": [f"{number(nfc_radio._PAUSE_BETWEEN_POLLS_S * 1000)} ms"],
        "looking whether it left": [
            f"{number(nfc_radio._PAUSE_BETWEEN_PRESENCE_CHECKS_S * 1000)} ms",
            f"{number(tap_desk.LEAVE_S)} s",
        ],
    },
    "ble.md": {
        "State": [ble_profile.STATE],
        "Client2Server": [ble_profile.CLIENT_TO_SERVER],
        "Server2Client": [ble_profile.SERVER_TO_CLIENT],
        "received with at least": [f"{ble_radio.MIN_RSSI} dBm"],
        "two phones with the code": [f"{ble_choice.CLEARLY_NEARER_DB} dB"],
        "a phone that refused the connection": [f"{number(ble_choice.SHUN_S)} s"],
        "listening before a choice": [f"{number(ble_radio._LISTEN_S)} s"],
        "connecting, discovery and both subscriptions": [f"{number(ble_link.CONNECT_S)} s"],
        "a whole exchange": [f"{number(tap.EXCHANGE_S)} s"],
        "hanging up": [f"{number(ble_link.CLOSE_S)} s"],
        "a phone counts as gone after": [f"{number(ble_radio._GONE_AFTER_S)} s"],
    },
    "tap.md": {
        "`session_id`: 16 random bytes, new each time a phone comes into the field": ["terminal"],
        "`InquirePayment` every 0.15 s, by the request's hash": ["the decision"],
        f"the answers of the last {wallet._REMEMBERED_ANSWERS} exchanges are kept. The same bytes "
        "under a session and sequence get the same bytes": ["phone"],
    },
    "relay.md": {
        "whom the terminal trusts": [f"`{relay_host('FLEET')}`"],
        "calls that go through": [
            f"`{method.rpartition('/')[2]}`" for method in relayed.RELAYED_METHODS
        ],
        "a call": [f"{envelope.MAX_PAYLOAD_BYTES:,} bytes"],
        "of one terminal, at a server of ours": [
            f"{machines.CALLS_AT_ONCE} calls at once, {number(machines.CALLS_PER_SECOND)} a second"
        ],
        "a server's patience with the switch": [f"{number(port.PASS_S)} s"],
    },
    "calls.md": {
        "a request": [f"{channel.MAX_REQUEST_BYTES:,}", f"{channel.MAX_BATCH_BYTES:,}"],
        "a response": [f"{channel.MAX_RESPONSE_BYTES:,} bytes"],
        "keepalive pings": [
            f"every {number(channel._KEEPALIVE_MS / 2000)} s",
            f"every {channel._KEEPALIVE_MS // 1000} s",
        ],
        "deadline of an attempt": [
            f"{number(uplink.ATTEMPT_S)} s",
            f"{number(channel.CALL_TIMEOUT_S)} s",
        ],
        "calls": [
            f"{ServerConfig.model_fields['calls_per_second'].default} a second",
            f"{limits.CALLS_AT_ONCE} at once, {limits.STREAMS_AT_ONCE} open streams",
        ],
        "first pause": [f"{number(channel.RETRY_FIRST_S)} s"],
        "longest pause": [f"{number(uplink.LONGEST_PAUSE_S)} s"],
        "a customer waits": [
            f"{number(tap_desk.SETTLE_BUDGET_S)} s",
            f"{number(settlements.PATIENCE_S)} s",
        ],
        "afterwards": [
            f"{number(settlements.FIRST_PAUSE_S)} s",
            f"{number(settlements.LONGEST_PAUSE_S)} s",
        ],
        "given up without a receipt": [f"{direct_payments.LATE_US // S} s"],
    },
}

# What the prose of a page must say.
IN_PROSE = {
    "documents.md": [
        f"`issue_time` at most {purchase.CLOCK_TOLERANCE_US // S} s ahead",
        f"The payload has at most {envelope.MAX_PAYLOAD_BYTES:,} bytes",
        f"longer than the plaintext, at most {seal.MAX_SEALED_BYTES:,} in all",
        f"allows the terminal's clock {purchase.CLOCK_TOLERANCE_US // S} s either way",
    ],
    "tap.md": [
        f"every {number(bill_collector.INQUIRE_EVERY_S)} s, by the bill's hash",
        f"offers it for {tap_desk.OFFER_FOR_US // S // 60} minutes",
        f"more than {tap.MAX_ANSWER_BYTES:,} bytes",
    ],
    "enrolment.md": [
        f"at most {certificates.MAX_REQUEST_BYTES:,} bytes",
        f"at most {enrollment.MAX_SOFTWARE_VERSION} printable",
        f"{authority.LIFETIME_DAYS['phone']} days for phones",
        f"{authority.LIFETIME_DAYS['agent']} for terminals",
        f"At most {enrollment.RENEWALS_A_DAY} in any",
    ],
    "holders.md": [
        f"from {holder.CLOCK_TOLERANCE_US // S} s before `issue_time`",
        f"At most {holders.CREDENTIALS_A_DAY} in any 24 hours",
        f"takes it for {questions.MAX_AGE_US // S} s, and {questions.MAX_AHEAD_US // S} s ahead",
        f"persons 1 to {ticket.MAX_PERSONS}",
        f"`{terminal_host('MERCHANT', 'TERMINAL')}`",
        f"A call has {number(hub_line.ANSWER_S)} s",
    ],
    "relay.md": [f"`create_time` is at most {relayed.MAX_AGE_US // S} s from its clock"],
    "calls.md": [
        f"`{receipts.QR_PREFIX}` and the serialised",
        f"at most {receipts.MAX_QR_CHARACTERS:,} characters in all",
        f"at most {claims.AGE_LIMIT_US // S} s ago and at most {claims.CLOCK_TOLERANCE_US // S} s",
        f"at least every {number(followers.REFRESH_S)} s. {number(direct_payments.SILENCE_S)} s",
    ],
}


@pytest.mark.parametrize(
    ("name", "row"), [(name, row) for name, said in SAID.items() for row in said]
)
def test_numbers_of_tables_are_those_of_the_code(name: str, row: str) -> None:
    for said in SAID[name][row]:
        assert said in rows(name)[row], f"{name}: {row}: {said}"


@pytest.mark.parametrize("name", IN_PROSE)
def test_numbers_of_sentences_are_those_of_the_code(name: str) -> None:
    text = " ".join(page(name).split())
    for said in IN_PROSE[name]:
        assert said in text, f"{name}: {said}"


def test_a_code_lasts_and_stands_as_long_as_the_page_says() -> None:
    assert (pairing.LIFETIME_US // S, pairing.TRIES, guess_limit.GUESSES_A_MINUTE) == (600, 5, 10)
    assert (pairing_code.CODE_BYTES, tap.INQUIRE_EVERY_S, CHECK_EVERY_S) == (16, 0.15, 3600)


def test_every_status_of_a_tap_is_on_its_page() -> None:
    names = {name.removeprefix("TAP_STATUS_") for name, _ in TapStatus.items()} - {"UNSPECIFIED"}
    missing = {name for name in names if name not in page("tap.md")}
    assert not missing


def test_every_link_of_the_docs_leads_somewhere() -> None:
    """Files, and headings in them."""
    broken = [
        f"{path.relative_to(ROOT)}: {target}{anchor}"
        for path in (*(ROOT / "docs").rglob("*.md"), *(ROOT / "protos").rglob("*.md"))
        for target, anchor in _LINK.findall(path.read_text())
        if "://" not in target and not _leads(path, target, anchor)
    ]
    assert not broken, broken


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    here = tmp_path / "here.md"
    here.write_text("# A heading, here\n")
    assert _leads(here, "", "#a-heading-here")
    assert not _leads(here, "", "#another")
    assert not _leads(here, "gone.md", "")


def _leads(path: Path, target: str, anchor: str) -> bool:
    file = (path.parent / target).resolve() if target else path
    if not file.exists():
        return False
    headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE) if anchor else []
    slugs = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
    return not anchor or anchor[1:] in slugs
