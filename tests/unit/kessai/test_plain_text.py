"""Plain text: what it refuses, what it makes of the rest, and that no control character is left."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kessai.plain_text import MARK, TextError, check_text, plain


@pytest.mark.parametrize("text", ["Corner Shop", "Café [/] 7", "寿司", "👍", "a\\b", "x" * 60])
def test_words_of_people_pass(text: str) -> None:
    check_text(text, 60)
    assert plain(text, 60) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "x" * 61, " a", "a ", "a\nb", "a\rb", "\x1b[2J", "\x9b2J", "\x07", "a\x00b", "a\x7fb",
        "\u202egnp.exe", "a\u2066b", "a\u200bb", "a\u2028b", "a\u00a0b", "cafe\u0301", "\ue000",
    ],
)  # fmt: skip
def test_what_is_no_plain_text_is_refused(text: str) -> None:
    with pytest.raises(TextError):
        check_text(text, 60)


def test_what_must_be_shown_is_shown_on_one_line() -> None:
    assert plain("a\nb\tc\u00a0d") == "a b c d"
    assert plain("\x1b[31mred\x9b2J\u202e") == f"{MARK}[31mred{MARK}2J{MARK}"
    assert plain("cafe\u0301") == "café"
    assert plain("x" * 61, 60) == "x" * 59 + "…"


@given(st.text())
def test_what_is_shown_has_nothing_that_works_a_terminal(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert unicodedata.is_normalized("NFC", shown)
    assert plain(shown) == shown
