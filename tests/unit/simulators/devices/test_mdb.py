"""MDB on the wire: what was written is read, and what was damaged is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import mdb
from simulators.devices.mdb import ACK, MODE, NAK, Garbled, Words

blocks = st.binary(min_size=1, max_size=mdb.MAX_BLOCK - 1)
words = st.lists(st.integers(0, 0x1FF), max_size=40).map(tuple)


def test_blocks_of_the_standard() -> None:
    """A VEND REQUEST for item 7 at 1.50, and the reader's VEND APPROVED, word by word."""
    request = bytes([mdb.VEND, mdb.REQUEST, 0, 150, 0, 7])
    assert mdb.write_command(request) == (0x113, 0x00, 0x00, 0x96, 0x00, 0x07, 0xB0)
    assert mdb.write_answer(bytes([mdb.APPROVED, 0, 150])) == (0x05, 0x00, 0x96, 0x19B)
    assert (mdb.write_answer(b""), mdb.read_answer(ACK)) == (ACK, b"")


@given(blocks)
def test_what_was_written_is_read(block: bytes) -> None:
    assert mdb.read_command(mdb.write_command(block)) == block
    assert mdb.read_answer(mdb.write_answer(block)) == block


@given(blocks, st.data())
def test_a_word_that_was_hit_is_noticed(block: bytes, data: st.DataObject) -> None:
    """One word is another, mode bit included: a sum of bytes notices any single one."""
    for write, read in (
        (mdb.write_command, mdb.read_command),
        (mdb.write_answer, mdb.read_answer),
    ):
        good = write(block)
        position = data.draw(st.integers(0, len(good) - 1))
        other = good[position] ^ data.draw(st.integers(1, 0x1FF))
        hit = (*good[:position], other, *good[position + 1 :])
        with pytest.raises(Garbled):
            read(hit)


@given(blocks, st.data())
def test_a_block_that_was_cut_off_is_noticed(block: bytes, data: st.DataObject) -> None:
    """An answer ends with its mode bit; of a command the rest adds up to something else."""
    answer = mdb.write_answer(block)
    with pytest.raises(Garbled):
        mdb.read_answer(answer[: data.draw(st.integers(0, len(answer) - 1))])
    command = mdb.write_command(block)
    cut = command[: data.draw(st.integers(0, len(command) - 1))]
    try:
        read = mdb.read_command(cut)
    except Garbled:
        return
    assert mdb.write_command(read) == cut  # what adds up by chance is a block like any other


@given(words)
def test_garbage_never_breaks_anything(garbage: Words) -> None:
    """It is a block or Garbled, and a block writes itself again."""
    for read, write in (
        (mdb.read_command, mdb.write_command),
        (mdb.read_answer, mdb.write_answer),
    ):
        try:
            block = read(garbage)
        except Garbled:
            continue
        assert write(block) == garbage


def test_nak_and_no_block_are_no_answer() -> None:
    for bad in (NAK, (), (MODE,) * 2, (0x05,), (MODE | 5, 5), (0x200, MODE)):
        with pytest.raises(Garbled):
            mdb.read_answer(bad)


@pytest.mark.parametrize("block", [b"", bytes(36)])
def test_a_block_has_its_limits(block: bytes) -> None:
    with pytest.raises(ValueError, match="1 to 35 bytes"):
        mdb.write_command(block)
    with pytest.raises(Garbled, match="at most 36"):
        mdb.read_answer((*bytes(36), MODE))
