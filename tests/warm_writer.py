"""The writer process of a warm switch, forked before the switch begins to work.

A switch starts the process that writes its shards with a new interpreter, and what that loads costs
more than all that the switch does in most tests. `lay_by` forks a spare one while the switch's
process has one thread; it becomes the first writer that the switch starts, with the program and the
descriptors that the switch gives it.
"""

from __future__ import annotations

import fcntl
import inspect
import json
import os
import random
import signal
import socket
import subprocess
from collections.abc import Callable
from typing import Any

from server.shards import writer_process

_LONGEST = 1 << 16
_MANY = 64

_spares: list[tuple[int, socket.socket]] = []


def lay_by(run: Callable[[Callable[[], object]], None]) -> None:
    """Fork a spare writer, which calls `run` with its program, or ends with this process."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        here.close()
        _wait_for_work(there, run)
    there.close()
    _spares.append((pid, here))
    subprocess.Popen = _Popen  # type: ignore[misc]


class _Popen(subprocess.Popen[Any]):
    """`subprocess.Popen`, for which the first writer is there already."""

    def _execute_child(self, *given: object) -> None:
        cold = super()._execute_child  # type: ignore[misc]
        names = inspect.signature(cold).bind(*given).arguments
        program = names["args"][-1]
        if not _spares or f"from {writer_process.__name__} " not in str(program):
            cold(*given)
            return
        self.pid, line = _spares.pop()
        with line:
            passed = list(names["pass_fds"])
            held_back = [int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
            socket.send_fds(line, [json.dumps([program, passed, held_back]).encode()], passed)
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(names[end] for end in ends))  # type: ignore[attr-defined]


def _wait_for_work(line: socket.socket, run: Callable[[Callable[[], object]], None]) -> None:
    message, found, _, _ = socket.recv_fds(line, _LONGEST, _MANY)
    if not message:
        os._exit(0)
    program, wanted, held_back = json.loads(message)
    signal.pthread_sigmask(signal.SIG_SETMASK, held_back)  # as a child has it
    _take_over(found, wanted)
    random.seed()
    run(lambda: exec(program, {"__name__": "__main__"}))


def _take_over(found: list[int], wanted: list[int]) -> None:
    """Have these descriptors under those numbers, nothing on stdin, and no others."""
    beyond = max(100, *wanted) + 1
    moved = [fcntl.fcntl(each, fcntl.F_DUPFD, beyond) for each in found]
    os.closerange(3, beyond)
    for each, number in zip(moved, wanted, strict=True):
        os.dup2(each, number)
        os.close(each)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
