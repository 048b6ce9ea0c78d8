"""Reading ESC/POS: what python-escpos writes is read back, however it is torn."""

from __future__ import annotations

import random

from edge_agents.devices.printer import QrCode, Text, encode
from simulators.devices.escpos_reader import Command, EscPosReader

STREAM = encode([Text("Shop", large=True), QrCode("kessai:receipt:" + "x" * 300), Text("end")])


def read_all(reader: EscPosReader) -> list[Command | int]:
    items = []
    while (item := reader.next()) is not None:
        items.append(item)
    return items


def test_a_torn_stream_is_read_alike(random_seed: int) -> None:
    source, torn, items = random.Random(random_seed), EscPosReader(), []
    position = 0
    while position < len(STREAM):
        step = source.randrange(1, 5)
        torn.feed(STREAM[position : position + step])
        items += read_all(torn)
        position += step
    whole = EscPosReader()
    whole.feed(STREAM)
    assert items == read_all(whole)
    text = bytes(item for item in items if isinstance(item, int))
    assert text == b"Shop\nend\n"


def test_status_questions_are_taken_out_of_turn() -> None:
    reader = EscPosReader()
    reader.feed(b"text\x10\x04\x04more\x10\x04")
    assert reader.take_realtime() == [Command(b"\x10\x04", b"\x04")]
    reader.feed(b"\x01")
    assert reader.take_realtime() == [Command(b"\x10\x04", b"\x01")]
    assert bytes(item for item in read_all(reader) if isinstance(item, int)) == b"textmore"


def test_random_bytes_are_read_to_the_end(random_seed: int) -> None:
    source, reader = random.Random(random_seed), EscPosReader()
    for _ in range(300):
        reader.feed(source.randbytes(50))
        reader.take_realtime()
        read_all(reader)
