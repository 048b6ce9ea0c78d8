"""Readers' fields for the benches: UDP, which takes no time, and PN532, which takes its own.

Used by `tap.py` and `gates.py`.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from simulators.phone.field import Field
from simulators.phone.pn532_chip import Pn532Chip
from simulators.phone.udp_field import UdpField

OpenField = Callable[[], AbstractContextManager[tuple[str, Field]]]


@contextmanager
def open_udp() -> Iterator[tuple[str, Field]]:
    """Give a reader's moniker and its field, over UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with closing(UdpField("127.0.0.1", port)) as field:
        yield f"udp:127.0.0.1:{port}", field


@contextmanager
def open_pn532() -> Iterator[tuple[str, Field]]:
    """Give a reader's moniker and its field, with the time of serial line and air."""
    # In the system's own folder, because nfcpy takes no path with blanks.
    with tempfile.TemporaryDirectory(prefix="kessai-") as folder:
        path = Path(folder) / "reader"
        with closing(Pn532Chip(path, model_time=True)) as field:
            yield f"pn532:{path}", field
