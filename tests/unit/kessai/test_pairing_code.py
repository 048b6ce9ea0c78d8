"""Pairing codes and addresses, as people and QR codes carry them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kessai.complaint import Complaint
from kessai.pairing_code import (
    PairingCode,
    PairingCodeError,
    format_code,
    format_pairing_uri,
    parse_code,
    parse_pairing_uri,
)

ROOT = bytes(range(32))
CODE = format_code(bytes(range(16)))


@given(st.binary(min_size=16, max_size=16))
def test_a_code_reads_back(raw: bytes) -> None:
    """All 128 bits survive, and a code is 26 characters in groups of four."""
    code = format_code(raw)
    assert parse_code(code) == raw
    assert [len(group) for group in code.split("-")] == [4, 4, 4, 4, 4, 4, 2]


def test_reading_forgives_what_people_do() -> None:
    """Case, missing hyphens, blanks, and the letters that look like digits."""
    sloppy = CODE.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert parse_code(sloppy) == bytes(range(16))


@pytest.mark.parametrize("text", ["", "0", CODE[:-1], CODE + "0", "8" + CODE[1:], "U" + CODE[1:]])
def test_what_is_no_code_is_refused(text: str) -> None:
    """Too short, too long, more than 128 bits, or a letter that the alphabet leaves out."""
    with pytest.raises(PairingCodeError):
        parse_code(text)


@pytest.mark.parametrize("server", ["127.0.0.1:7443", "[::1]:7443", "switch.example.org:1"])
def test_an_address_reads_back(server: str) -> None:
    """What the QR code says is what the device reads."""
    pairing = PairingCode(server, CODE, ROOT)
    assert parse_pairing_uri(f" {format_pairing_uri(pairing)}\n") == pairing


GOOD = format_pairing_uri(PairingCode("host:7443", CODE, ROOT))


def test_the_address_looks_as_documented() -> None:
    """The form that device.proto promises."""
    assert f"kessai://pair?server=host:7443&code={CODE}&root={ROOT.hex()}" == GOOD


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("kessai://", "https://"),
        ("pair?", "other?"),
        ("host:7443", "host"),
        ("host:7443", "host:0"),
        ("host:7443", "host:65536"),
        ("host:7443", "ho st:1"),
        (CODE, CODE[1:]),
        (ROOT.hex(), ROOT.hex()[1:]),
        (ROOT.hex(), "g" * 64),
        ("&root=" + ROOT.hex(), ""),
        ("&root", "&server=evil:1&root"),
        (GOOD, "what is this?"),
        (GOOD, ""),
    ],
)
def test_a_malformed_address_is_one_complaint(good: str, bad: str) -> None:
    """And the complaint shows what one looks like."""
    assert good in GOOD
    with pytest.raises(Complaint, match="kessai://pair"):
        parse_pairing_uri(GOOD.replace(good, bad, 1))
