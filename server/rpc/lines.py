"""How many lines a port takes: in all, and from one address, or of IPv6 from one /64.

gRPC for Python asks nobody before it accepts, and its own limit counts a whole port. So after lines
came, this looks at the sockets that the process has, and hangs up on the newest of an address that
has too many. A line that does not finish its handshake is ended by gRPC (`kessai/channel.py`).
"""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from server.rpc.peer import network_of_host

MAIN_LINES = 16_384
PAIRING_LINES = 128

# What files, shards, the metrics port and outgoing lines may take of the descriptors.
_RESERVED, _RESERVED_A_SHARD = 256, 8
# Between two looks, seconds; and where there is no excess so many times as long as the last took.
_PAUSE_S, _REST = 0.1, 20
_QUIET_S = 60.0
_JOIN_LIMIT_S = 5.0
_DESCRIPTORS = Path("/proc/self/fd")

_INTERNET = (socket.AF_INET, socket.AF_INET6)

_log = structlog.get_logger("kessai.rpc")


class PortLimits(NamedTuple):
    """The most lines that the main and the pairing port take."""

    main: int
    pairing: int


class _Line(NamedTuple):
    port: int
    address: str


class _Socket(NamedTuple):
    """A descriptor at a look; `came` is the look at which it was first seen, and it."""

    inode: int
    line: _Line | None
    came: tuple[int, int]


def raise_descriptor_limit(shards: int) -> PortLimits:
    """Raise the process's descriptor limit as far as it goes; what of it each port may take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    left = soft - _RESERVED - _RESERVED_A_SHARD * shards if soft > 0 else 1 << 20
    pairing = max(16, min(PAIRING_LINES, left // 8))
    return PortLimits(max(64, min(MAIN_LINES, left - pairing)), pairing)


class Lines:
    """Hangs up on addresses that have too many lines; `came` is told of each that begins."""

    def __init__(self) -> None:
        self._limits: dict[int, int] = {}
        self._known: dict[int, _Socket] = {}
        self._looks = 0
        self._told: dict[str, float] = {}
        self._came, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lines", daemon=True)

    def start(self, limits: dict[int, int]) -> None:
        """Watch ports; `limits` says for each the most lines of one address."""
        self._limits = limits
        if _DESCRIPTORS.exists():
            self._thread.start()

    def came(self) -> None:
        """Take note that a line begins; from any thread, and cheap."""
        self._came.set()

    def close(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._came.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_LIMIT_S)

    def _watch(self) -> None:
        while self._came.wait() and not self._ended.is_set():
            self._came.clear()
            begin = time.monotonic()
            try:
                quiet = not self._shed()
            except OSError as error:  # no descriptor is left to look with: look again
                quiet = False
                self._came.set()
                self._tell("", "lines cannot be counted", why=str(error))
            took_s = time.monotonic() - begin
            self._ended.wait(max(_PAUSE_S, _REST * took_s) if quiet else _PAUSE_S)

    def _shed(self) -> bool:
        """Hang up on what is too many; whether there was something."""
        known: dict[int, _Socket] = {}
        self._looks += 1
        for descriptor in map(int, os.listdir(_DESCRIPTORS)):
            with suppress(OSError):  # it was closed meanwhile
                inode = os.fstat(descriptor).st_ino
                before = self._known.get(descriptor)
                if before is None or before.inode != inode:
                    # Of those that came between two looks the lower descriptor is the older.
                    before = _Socket(inode, self._read(descriptor), (self._looks, descriptor))
                known[descriptor] = before
        self._known = known
        lines: defaultdict[_Line, list[_Socket]] = defaultdict(list)
        for one in sorted(known.values(), key=lambda one: one.came):
            if one.line is not None:
                lines[one.line].append(one)
        excess = {line: own[self._limits[line.port] :] for line, own in lines.items()}
        for line, newest in excess.items():
            if newest:
                self._hang_up(line, {one.inode for one in newest})
        return any(excess.values())

    def _read(self, descriptor: int) -> _Line | None:
        with _opened(descriptor) as line:
            if line.type != socket.SOCK_STREAM or line.family not in _INTERNET:
                return None
            port = line.getsockname()[1]
            if port not in self._limits:
                return None
            return _Line(port, network_of_host(line.getpeername()[0].partition("%")[0]))

    def _hang_up(self, line: _Line, inodes: set[int]) -> None:
        for descriptor, one in self._known.items():
            if one.inode in inodes:
                with suppress(OSError), _opened(descriptor) as excess:
                    if os.fstat(excess.fileno()).st_ino == one.inode:
                        excess.shutdown(socket.SHUT_RDWR)
        self._tell(
            line.address, "too many lines from one address", port=line.port, ended=len(inodes)
        )

    def _tell(self, about: str, what: str, **more: object) -> None:
        now_s = time.monotonic()
        if now_s - self._told.get(about, -_QUIET_S) >= _QUIET_S:
            self._told = {a: at for a, at in self._told.items() if now_s - at < _QUIET_S}
            self._told[about] = now_s
            _log.warning(what, **more)


def _opened(descriptor: int) -> socket.socket:
    """A socket by a descriptor of its own, which pins what it stands for; OSError if it is none."""
    own = os.dup(descriptor)
    try:
        return socket.socket(fileno=own)
    except OSError:
        os.close(own)
        raise
