"""Bar codes: every kind of GS1 code gives its GTIN-14, and garbage gives none."""

from __future__ import annotations

import subprocess
import sys

import biip
import pytest
from biip.checksums import gs1_standard_check_digit
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agents.register.bar_code import read_gtin


@pytest.mark.parametrize(
    ("text", "gtin"),
    [
        ("4006381333931", "04006381333931"),
        ("036000291452", "00036000291452"),
        ("96385074", "00000096385074"),
        ("0109506000134352211234\x1d10ABC", "09506000134352"),
        ("]C10109506000134352", "09506000134352"),
        ("https://id.gs1.org/01/09506000134352/21/ABC?17=301231", "09506000134352"),
    ],
)
def test_goods_are_read(text: str, gtin: str) -> None:
    assert read_gtin(text) == gtin


@settings(max_examples=400, deadline=None)
@given(st.text("0123456789", min_size=7, max_size=13))
def test_plain_codes_are_read_as_biip_reads_them(payload: str) -> None:
    code = f"{payload}{gs1_standard_check_digit(payload)}"
    gtin = biip.parse(code).gtin
    if len(code) in (8, 12, 13, 14):
        assert gtin is not None
    assert read_gtin(code) == (gtin.as_gtin_14() if gtin is not None else None)


def test_a_till_that_reads_plain_codes_never_loads_the_table_of_companies() -> None:
    script = (
        "import sys; from edge_agents.register.bar_code import read_gtin as read; "
        "read('4006381333931'); print('biip' in sys.modules); "
        "read(']C10109506000134352'); print('biip' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    "text",
    ["4006381333932", "0109506000134353", "", " ", "%PAY", "٤٠٠٦٣٨١٣٣٣٩٣١", "\ufffd", "40063"],
)
def test_what_is_no_goods_gives_none(text: str) -> None:
    """A wrong check digit above all: biip does not raise for it."""
    assert read_gtin(text) is None


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")) | st.text(max_size=60))
def test_garbage_never_raises(text: str) -> None:
    gtin = read_gtin(text)
    assert gtin is None or (len(gtin) == 14 and gtin.isascii() and gtin.isdigit())


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="]C1e0Qd()0123456789\x1d/:.hpsidg", max_size=60))
def test_almost_codes_never_raise(text: str) -> None:
    gtin = read_gtin(text)
    assert gtin is None or (len(gtin) == 14 and gtin.isascii() and gtin.isdigit())
