"""What comes in: random bytes and texts, and good ones that were mangled on their way."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from kessai.complaint import Complaint

EXAMPLES = int(os.environ.get("KESSAI_EXAMPLES") or 12)

# Bytes that mean something to one protocol or another.
_SPECIAL = (b"\0", b"\xff", b"\r\n", b'"', b",", b"[", b"\x90\x00", b"\x61\xff", b"9" * 30, b"\x1b")

Value = TypeVar("Value")

noise = st.binary(max_size=300)


def examples(share: float = 1.0) -> settings:
    """As many examples as KESSAI_EXAMPLES says, or that share of them where each takes long."""
    return settings(
        max_examples=max(2, round(EXAMPLES * share)),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


# What happens to a value on its way: what, where, to how many bytes, and which come in.
Edit = tuple[str, int, int, bytes]

edits: st.SearchStrategy[list[Edit]] = st.lists(
    st.tuples(
        st.sampled_from(("flip", "cut", "end", "put", "twice")),
        st.integers(0, 2**16),
        st.integers(1, 40),
        st.sampled_from(_SPECIAL) | st.binary(max_size=20),
    ),
    min_size=1,
    max_size=4,
)


def mangle(good: bytes, how: list[Edit]) -> bytes:
    """A good value, changed in some places."""
    value = bytearray(good)
    for what, where, count, comes in how:
        place = where % (len(value) + 1)
        match what:
            case "flip" if place < len(value):
                value[place] ^= 1 << count % 8
            case "cut":
                del value[place : place + count]
            case "end":
                del value[place:]
            case "put":
                value[place:place] = comes
            case "twice":
                value[place:place] = value[place : place + count]
    return bytes(value)


def mangled(*good: bytes) -> st.SearchStrategy[bytes]:
    """One of some good values, changed in one to four places."""
    return st.builds(mangle, st.sampled_from(good), edits)


def bytes_like(*good: bytes) -> st.SearchStrategy[bytes]:
    """Random bytes, mangled good ones, and nothing at all."""
    return mangled(*good) | noise


def text_like(*good: str) -> st.SearchStrategy[str]:
    """Random text, and mangled good text."""
    raw = [text.encode() for text in good]
    return mangled(*raw).map(lambda value: value.decode(errors="replace")) | st.text()


def read_or_complain(read: Callable[[], Value]) -> Value | None:
    """What a reader gives; None if it complained."""
    try:
        return read()
    except Complaint as complaint:
        said = str(complaint)
    assert said
    return None
