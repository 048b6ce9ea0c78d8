"""Processes of Kessai that start warm: forked from one that has loaded the whole house.

Half of what the tests cost was Python that loads modules, a second for each of a thousand commands.
`start` gives a process as `subprocess.Popen` does: its own memory, descriptors and end, its own
SIGKILL, and a child of the caller's. What a command does before its first line of code, and what it
needs of memory, is tested on processes that start cold. A process ends as any other: it joins its
threads, runs what was registered for the exit, and flushes. Only its memory is left to the kernel:
taking it down object by object cost more than most commands did.

    the test's process -> the nest, which has loaded all -> a go-between, which ends -> the process

The process becomes its caller's child because the caller adopts orphans while the go-between ends.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import inspect
import json
import os
import pkgutil
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NoReturn

Command = Callable[[], object]

_ROOMS = ("kessai", "server", "edge_agents", "simulators", "cli")
# What is loaded only when a command helps or complains, or a switch starts.
_LATE = ("typer.rich_utils", "tests.warm_writer")
# The benches draw with numpy, which starts threads as it is loaded; a fork would lose them.
_COLD = "simulators.load"
_MAIN = "from tests.warm import main; main({})"
_LONGEST = 1 << 20
# Loading the house takes some seconds, on a busy machine many.
_LIMIT_S = 60.0
_PR_SET_CHILD_SUBREAPER = 36
_ROOT = Path(__file__).parents[1]


class _Nest:
    """The process that has loaded the house; made by the first who needs it."""

    def __init__(self) -> None:
        self._line, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _MAIN.format(far.fileno())],
                pass_fds=[far.fileno()], stdin=subprocess.DEVNULL, cwd=_ROOT,
            )  # fmt: skip
        self._line.settimeout(_LIMIT_S)
        self._lock = threading.Lock()
        self._libc = ctypes.CDLL(None)

    def hatch(self, words: list[str], env: dict[str, str], cwd: str, standard: list[int]) -> int:
        """Start a process with these arguments and standard descriptors; its id."""
        message = json.dumps({"words": words, "env": env, "cwd": cwd}).encode()
        with self._lock:
            self._adopt(orphans=True)
            try:
                socket.send_fds(self._line, [message], standard)
                return int(self._line.recv(_LONGEST))
            finally:
                self._adopt(orphans=False)

    def _adopt(self, *, orphans: bool) -> None:
        assert self._libc.prctl(_PR_SET_CHILD_SUBREAPER, int(orphans), 0, 0, 0) == 0


_nest: list[_Nest] = []
_nest_lock = threading.Lock()


class WarmProcess(subprocess.Popen[Any]):
    """`subprocess.Popen` of a `kessai` command; pipes, `env` and `cwd` are heeded."""

    def _execute_child(self, *given: object) -> None:
        names = inspect.signature(subprocess.Popen._execute_child).bind(self, *given).arguments  # type: ignore[attr-defined]
        beyond = ("preexec_fn", "pass_fds", "start_new_session", "shell")
        assert not any(names[name] for name in beyond), "start it cold: it wants more than this has"
        with _nest_lock:
            if not _nest:
                _nest.append(_Nest())
        pipes = [names[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        self.pid = _nest[0].hatch(
            names["args"][1:],
            dict(os.environ if names["env"] is None else names["env"]),
            str(names["cwd"] or Path.cwd()),
            [own if pipe == -1 else pipe for own, pipe in enumerate(pipes)],
        )
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(names[end] for end in ends))  # type: ignore[attr-defined]


def main(descriptor: int) -> None:
    """Load the house, and fork a process for each message, until the caller is gone."""
    for room in _ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if not module.name.startswith(_COLD):
                importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)
    assert len(os.listdir("/proc/self/task")) == 1, "a module starts a thread as it is loaded"
    gc.collect()
    gc.freeze()
    command = _wait_for_work(socket.socket(fileno=descriptor))
    if command is not None:
        _end(_exit_code(command))


def _wait_for_work(line: socket.socket) -> Command | None:
    """What the forked process is to run; None in the nest, when the caller is gone."""
    while True:
        message, standard, _, _ = socket.recv_fds(line, _LONGEST, 3)
        if not message:
            return None
        if _fork_an_orphan(line):
            line.close()
            return _become(json.loads(message), standard)
        for each in standard:
            os.close(each)


def _fork_an_orphan(line: socket.socket) -> bool:
    """Whether this is the new process; the nest has told its id then."""
    read, write = os.pipe()
    between = os.fork()
    if between == 0:
        child = os.fork()
        if child:
            os.write(write, str(child).encode())
            os._exit(0)
        os.close(read)
        os.close(write)
        return True
    os.close(write)
    child_id = os.read(read, 32)
    os.close(read)
    os.waitpid(between, 0)
    line.send(child_id)
    return False


def _become(message: dict[str, Any], standard: list[int]) -> Command:
    """Take on descriptors, environment and arguments as an exec would have."""
    for own, each in enumerate(standard):
        os.dup2(each, own)
    os.closerange(3, 4096)
    os.chdir(message["cwd"])
    os.environ.clear()
    os.environ.update(message["env"])
    time.tzset()
    random.seed()
    sys.argv = ["kessai", *message["words"]]
    for own, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        stream = _text(own, mode)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    if message["words"][:2] == ["serve", "--data"]:
        from tests.warm_writer import lay_by

        lay_by(lambda program: _end(_exit_code(program)))
    from cli.main import main as command

    return command


def _exit_code(command: Command) -> int:
    """Run a command to its end; the code that Python would end with."""
    try:
        command()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)  # noqa: T201
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """End as Python does, in its order, up to where it would begin to free its memory."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)
    os._exit(code & 0xFF)


def _text(descriptor: int, mode: str) -> IO[str]:
    is_errors = descriptor == 2
    lines = 1 if is_errors or os.isatty(descriptor) else -1
    errors = "backslashreplace" if is_errors else "strict"
    return open(descriptor, mode, lines, "utf-8", errors, closefd=False)
