"""The words of the MDB adapter: what is understood, and that rubbish means nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.devices import mdb_adapter
from edge_agents.devices.mdb_adapter import Status, VendRequest, VendResult, Word, read_word


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("c,STATUS,VEND,1.50,7", VendRequest("1.50", 7)),
        ("c,STATUS,VEND,2,65535\r", VendRequest("2", 65535)),
        ("c,VEND,SUCCESS", VendResult(True)),
        ("c,ERR,VEND 3", VendResult(False)),
        ("c,STATUS,ENABLED", Status("ENABLED")),
        ("c,STATUS,IDLE", Status("IDLE")),
    ],
)
def test_words_that_count(line: str, word: Word) -> None:
    assert read_word(line) == word


@pytest.mark.parametrize(
    "line",
    [
        "", "r,ACK", "v,4.0.2.0,000000000000", 'c,ERR,"cashless is on"', "c,STATUS,VEND",
        "c,STATUS,VEND,1.50", "c,STATUS,VEND,-1.50,7", "c,STATUS,VEND,1.5.0,7",
        "c,STATUS,VEND,1.50,7,8", "c,STATUS,VEND,1.50,70000000", "c,VEND,SUCCES",
        "xc,VEND,SUCCESS", "c,VEND,SUCCESSc,VEND,SUCCESS", "c,STATUS,VEND,١.٥٠,7",
        "c,STATUS,BROKEN", "C,VEND,1.50",
    ],
)  # fmt: skip
def test_words_that_mean_nothing(line: str) -> None:
    assert read_word(line) is None


@given(st.text())
def test_whatever_comes_is_a_word_or_nothing(line: str) -> None:
    word = read_word(line)
    assert word is None or "c," in line


@given(st.text())
def test_the_display_gets_one_line_that_it_can_carry(text: str) -> None:
    line = mdb_adapter.display(text)
    shown = line.removeprefix("C,DISPLAY,")
    assert len(shown) <= 32
    assert shown.isascii()
    assert "," not in shown


def test_an_approval_is_for_the_price_as_the_machine_wrote_it() -> None:
    assert mdb_adapter.approve("1.5") == "C,VEND,1.5"
