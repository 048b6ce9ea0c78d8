"""A hostile network: carries each line to the switch, and cuts, alters or holds back its bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

_BYTES = 65_536

# The bytes to pass on instead of those that came; None cuts the line.
Tamper = Callable[[bytes], bytes | None]


def honest(content: bytes) -> bytes | None:
    """Carry bytes as they came."""
    return content


class HostileNetwork:
    """Listens on a port of its own, `address`, and carries each line to the switch.

    `to_switch` and `to_party` say what becomes of the bytes of either direction; they may be
    exchanged while lines are open.
    """

    def __init__(self, upstream: str) -> None:
        host, port = upstream.rsplit(":", 1)
        self._upstream = (host, int(port))
        self.to_switch: Tamper = honest
        self.to_party: Tamper = honest
        self._lines: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cut every line that is open."""
        lines, self._lines = self._lines, []
        for line in lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def close(self) -> None:
        """Take no more lines, and cut those that are open."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                party, _ = self._listener.accept()
                switch = socket.create_connection(self._upstream, timeout=5)
            except OSError:
                return
            switch.settimeout(None)
            self._lines += (party, switch)
            for source, sink, way in ((party, switch, "to_switch"), (switch, party, "to_party")):
                threading.Thread(target=self._carry, args=(source, sink, way), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(_BYTES):
                tamper: Tamper = getattr(self, way)
                passed = tamper(content)
                if passed is None:
                    break
                sink.sendall(passed)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
