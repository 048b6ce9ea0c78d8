"""Texts that people type, scan or paste: pairing addresses and codes, bar codes, QR codes of
receipts, account numbers, request ids, amounts, names, and where readers and shards are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.links.ble_place import parse_place
from edge_agents.links.nfc_reader import open_nfc_radio
from edge_agents.receipts import ReceiptRefused, decode_qr, encode_qr
from edge_agents.register.bar_code import read_code
from kessai.account_number import AccountNumberError, parse_account
from kessai.complaint import Complaint
from kessai.identity_path import IdentityError, parse_device, parse_identity
from kessai.money import Money, MoneyError
from kessai.pairing_code import PairingCodeError, parse_code, parse_pairing_uri
from kessai.plain_text import plain
from kessai.request_id import RequestIdError, parse_request_id
from server.shards.address import addresses
from tests.fuzz.mangling import examples, text_like
from tests.unit.edge_agents.parties import make_pending, make_receipt, sign_receipt

URI = (
    "kessai://pair?server=pay.example:7444&code=0ABC-DEFG-HJKM-NPQR-STVW-XYZ0-12&root=" + "a1" * 32
)
RECEIPT = encode_qr(sign_receipt(make_receipt(make_pending())))

# What is read -> good ones, the reader, and its own words for what is none.
CODES: dict[str, tuple[tuple[str, ...], Callable[[str], object], type[Exception]]] = {
    "pairing address": ((URI,), parse_pairing_uri, Complaint),
    "pairing code": (("0ABC-DEFG-HJKM-NPQR-STVW-XYZ0-12",), parse_code, PairingCodeError),
    "receipt": ((RECEIPT,), decode_qr, ReceiptRefused),
    "bar code": (
        (
            "4006381333931", "96385074", "01234565", "]C1010950600013435210A1",
            "01995060001343553103001250", "https://id.gs1.org/01/99506000134355?3103=001250",
        ),
        read_code,
        AssertionError,
    ),
    "account": (("00010000004220", "0001-00000042-20"), parse_account, AccountNumberError),
    "request id": (("019a0000-0000-7000-8000-000000000000",), parse_request_id, RequestIdError),
    "amount": (("12.34", "-0.5", "9" * 16), lambda text: Money.parse(text, "EUR"), MoneyError),
    "currency": (("EUR",), lambda text: Money.parse("1", text), MoneyError),
    "identity": (("spiffe://pay.example/agent/shop/till-1",), parse_identity, IdentityError),
    "device": (("agent/shop/till-1", "operator/ann"), parse_device, IdentityError),
    "BLE radio": (
        ("hci0,code=0417,rssi=-60", "unix:path=/tmp/air"),
        lambda text: parse_place(text, ("code", "rssi")).number("rssi", 0),
        ValueError,
    ),
    "shard": (
        ("sqlite:///shards/0000.db", "sqlite:////a.db"),
        lambda text: addresses([text], Path("data"), "books"),
        Complaint,
    ),
    "name": (("Corner Shop",), plain, AssertionError),
}  # fmt: skip


@pytest.mark.parametrize("name", CODES)
@examples(4)
@given(data=st.data())
def test_what_people_type(name: str, data: st.DataObject) -> None:
    """It is read, or refused in the reader's own words; also bytes that are no text at all."""
    good, read, refusal = CODES[name]
    for text in (data.draw(text_like(*good)), good[0] + "\udcff"):
        with contextlib.suppress(refusal):
            read(text)
    for text in good:
        read(text)


@examples()
@given(text_like("udp:127.0.0.1:54321", "pn532:/dev/none", "tty:USB9:pn532").map(lambda t: "x" + t))
def test_readers_that_do_not_exist(moniker: str) -> None:
    """One line, whatever stands in the configuration."""
    with pytest.raises(Complaint):
        open_nfc_radio(moniker)
