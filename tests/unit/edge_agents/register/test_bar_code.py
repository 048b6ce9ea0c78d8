"""Bar codes: every kind of GS1 code gives its GTIN-14, and garbage gives none."""

from __future__ import annotations

import subprocess
import sys

import biip
import pytest
from biip.checksums import gs1_standard_check_digit
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agents.register.bar_code import Scan, read_code
from edge_agents.register.measure import LabelNumber, Measure


@pytest.mark.parametrize(
    ("text", "gtin"),
    [
        ("4006381333931", "04006381333931"),
        ("036000291452", "00036000291452"),
        ("96385074", "00000096385074"),
        ("0109506000134352211234\x1d10ABC", "09506000134352"),
        ("]C10109506000134352", "09506000134352"),
        ("]I109506000134352", "09506000134352"),
        ("]E04006381333931", "04006381333931"),
        ("https://id.gs1.org/01/09506000134352/21/ABC?17=301231", "09506000134352"),
        ("HTTPS://ID.GS1.ORG/01/09506000134352/", "09506000134352"),
        ("Http://Shop.Example:8080/a/01/b/01/09506000134352/10/A%2FB/", "09506000134352"),
        ("https://id.gs1.org/gtin/9506000134352", "09506000134352"),
        ("]Q3HTTPS://id.gs1.org/01/09506000134352", "09506000134352"),
    ],
)
def test_goods_are_read(text: str, gtin: str) -> None:
    assert read_code(text) == Scan((gtin,))


@settings(max_examples=400, deadline=None)
@given(st.text("0123456789", min_size=7, max_size=13))
def test_plain_codes_are_read_as_biip_reads_them(payload: str) -> None:
    """All but the short forms of UPC-E, which have no check digit."""
    code = f"{payload}{gs1_standard_check_digit(payload)}"
    scan, gtin = read_code(code), biip.parse(code).gtin
    assert (scan is not None) is (len(code) in (8, 12, 13, 14))
    if scan is not None:
        assert gtin is not None
        assert gtin.as_gtin_14() in scan.gtins


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789", min_size=6, max_size=6), st.sampled_from("01"))
def test_upc_e_is_written_out_as_biip_does(body: str, system: str) -> None:
    """Its check digit is that of the twelve digits."""
    written = biip.parse(system + body).gtin
    assert written is not None
    code = f"{system}{body}{written.value[-1]}"
    scan = read_code(code)
    assert scan is not None
    assert scan.gtins[-1] == written.as_gtin_14()
    assert read_code(code[:-1] + str((int(code[-1]) + 1) % 10)) != scan


def test_eight_digits_may_be_two_goods() -> None:
    """EAN-8 and UPC-E at once; a scanner that names the symbology settles it."""
    assert read_code("01234565") == Scan(("00000001234565", "00012345000065"))
    assert read_code("]E401234565") == Scan(("00000001234565",))


APPLES = "99506000134355"


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        (APPLES, Measure()),
        (f"01{APPLES}", Measure()),
        (f"01{APPLES}3103001250", Measure(LabelNumber(1250, 3), "kg")),
        (f"]C101{APPLES}3202000275", Measure(LabelNumber(275, 2), "lb")),
        (f"]e001{APPLES}3922374", Measure(price=LabelNumber(374, 2))),
        (f"01{APPLES}39329780374", Measure(price=LabelNumber(374, 2), currency_number=978)),
        (
            f"01{APPLES}31030012503922374",
            Measure(LabelNumber(1250, 3), "kg", LabelNumber(374, 2)),
        ),
        (f"https://id.gs1.org/01/{APPLES}?3103=001250", Measure(LabelNumber(1250, 3), "kg")),
        ("01095060001343523103001250", Measure(LabelNumber(1250, 3), "kg")),
        (f"01{APPLES}3012", Measure(is_other=True)),
        (f"01{APPLES}3152000500", Measure(is_other=True)),
        ("01095060001343523302001250", None),
        ("010950600013435210A1", None),
    ],
)
def test_a_measure_is_read(text: str, measure: Measure | None) -> None:
    """Net weights and prices with their decimals; gross weights are of crates, not of goods."""
    scan = read_code(text)
    assert scan is not None
    assert scan.measure == measure


def test_a_till_that_reads_plain_codes_never_loads_the_table_of_companies() -> None:
    script = (
        "import sys; from edge_agents.register.bar_code import read_code as read; "
        "read('4006381333931'); print('biip' in sys.modules); "
        "read(']C10109506000134352'); print('biip' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    "text",
    [
        "4006381333932",
        "0109506000134353",
        "",
        " ",
        "%PAY",
        "٤٠٠٦٣٨١٣٣٣٩٣١",
        "\ufffd",
        "40063",
        "123456",
        "0123456",
        "1234565",
        "]E0123456",
        "]A0123456",
        "01234564",
        "21234565",
        "https://id.gs1.org/01/09506000134353",
        "https://id.gs1.org/01/09506000134352/reviews",
        "https://id.gs1.org/02/09506000134352",
        "https://[/01/09506000134352",
        "https://id.gs1.org/",
        "ftp://id.gs1.org/01/09506000134352",
    ],
)
def test_what_is_no_goods_gives_none(text: str) -> None:
    """A wrong check digit above all: biip does not raise for it."""
    assert read_code(text) is None


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")) | st.text(max_size=60))
def test_garbage_never_raises(text: str) -> None:
    scan = read_code(text)
    for gtin in scan.gtins if scan is not None else ():
        assert len(gtin) == 14
        assert gtin.isascii()
        assert gtin.isdigit()


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="]C1e0Qd()0123456789\x1d/:.hpsidg", max_size=60))
def test_almost_codes_never_raise(text: str) -> None:
    scan = read_code(text)
    for gtin in scan.gtins if scan is not None else ():
        assert len(gtin) == 14
        assert gtin.isascii()
        assert gtin.isdigit()
