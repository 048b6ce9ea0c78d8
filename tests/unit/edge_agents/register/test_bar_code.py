"""Bar codes: every kind of GS1 code gives its GTIN-14, and garbage gives none."""

from __future__ import annotations

import pytest
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
