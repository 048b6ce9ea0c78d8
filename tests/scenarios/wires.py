"""Wires that a test holds in its hand: it hears what goes over them, and can interrupt it.

`Air` lies between a reader and a phone (nfcpy's datagrams), `Line` between a register and the
switch (TCP, with TLS in it).
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading

_POLL_S = 0.05
_BYTES = 65_536


class Air:
    """The air between a reader's field and a phone. Phones are brought to `field`."""

    def __init__(self, reader: str, field_port: int) -> None:
        """Listen where a reader calls, "udp:HOST:PORT", and call phones at another port."""
        host, port = reader.removeprefix("udp:").split(":")
        self.reader, self.field = reader, f"udp:{host}:{field_port}"
        self.from_reader: list[bytes] = []
        self.from_phone: list[bytes] = []
        self._is_open = True
        self._phone = (host, field_port)
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind((host, int(port)))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def shut(self) -> None:
        """Carry nothing any more."""
        self._is_open = False

    def open(self) -> None:
        """Carry again."""
        self._is_open = True

    def close(self) -> None:
        """Let go of the ports."""
        self._ended.set()
        self._thread.join()
        self._front.close()
        self._back.close()

    def _carry(self) -> None:
        reader: tuple[str, int] | None = None
        while not self._ended.is_set():
            for side in select.select([self._front, self._back], [], [], _POLL_S)[0]:
                datagram, sender = side.recvfrom(_BYTES)
                if not self._is_open:
                    continue
                if side is self._front:
                    reader = sender
                    self.from_reader.append(datagram)
                    self._back.sendto(datagram, self._phone)
                elif reader is not None:
                    self.from_phone.append(datagram)
                    self._front.sendto(datagram, reader)


class Line:
    """The line to the switch. Registers call `address`."""

    def __init__(self, upstream: str) -> None:
        """Listen on a free port, and carry every connection to `upstream`, "host:port"."""
        host, port = upstream.rsplit(":", 1)
        self._upstream = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.to_switch = bytearray()
        self._withholds = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def withhold_answers(self) -> None:
        """From now on the switch hears the register, and the register hears nothing."""
        self._withholds = True

    def heal(self) -> None:
        """Carry both ways again; what was open is cut, for its answers are lost."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()
        self._withholds = False

    def close(self) -> None:
        """Cut everything."""
        self._ended.set()
        self._thread.join()
        self._listener.close()
        self.heal()

    def _accept(self) -> None:
        while not self._ended.is_set():
            if not select.select([self._listener], [], [], _POLL_S)[0]:
                continue
            register, _ = self._listener.accept()
            try:
                switch = socket.create_connection(self._upstream, timeout=5)
            except OSError:
                register.close()  # as a switch that is down would refuse
                continue
            switch.settimeout(None)
            self._pairs.append((register, switch))
            threading.Thread(target=self._carry, args=(register, switch), daemon=True).start()

    def _carry(self, register: socket.socket, switch: socket.socket) -> None:
        with register, switch, contextlib.suppress(OSError):
            while True:
                for side in select.select([register, switch], [], [])[0]:
                    data = side.recv(_BYTES)
                    if not data:
                        return
                    if side is register:
                        self.to_switch += data
                        switch.sendall(data)
                    elif not self._withholds:
                        register.sendall(data)
