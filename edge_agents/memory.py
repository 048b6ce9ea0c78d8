"""Giving memory back to the system after something large was loaded. Used by `register.bar_code`.

glibc keeps what was freed, for later; an agent that runs for months beside other programs has no
such later.
"""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Give freed memory back; nothing where the C library has no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
