"""A complaint is one line for a person: the command prints it, and no traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kessai.complaint import Complaint

COMPLAINING = """
import sys, types
from kessai.complaint import Complaint
from cli import main
room = types.ModuleType("complaining_room")
def serve(**_):
    raise Complaint("the port [50051] is in use: end the other switch. No money was moved")
room.serve = serve
sys.modules["complaining_room"] = room
main.ROOMS["serve"] = ("complaining_room:serve", "Complain.")
sys.argv = ["kessai", "serve"]
main.main()
"""


def test_it_says_what_it_was_given() -> None:
    with pytest.raises(Complaint, match="in use"):
        raise Complaint("the port is in use")


def test_a_command_ends_with_one_line() -> None:
    """The real command in a process of its own, with a room that complains."""
    ended = subprocess.run(
        [sys.executable, "-c", COMPLAINING], check=False, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        "kessai: the port [50051] is in use: end the other switch. No money was moved\n"
    )


def test_an_unknown_command_is_named() -> None:
    code = "import sys; from cli.main import main; sys.argv = ['kessai', 'pya']; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 2
    assert ended.stderr == 'kessai: there is no command "pya"; try kessai --help\n'


INTERRUPTED = """
import sys, importlib.abc
class AtCtrlC(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "kessai":
            raise KeyboardInterrupt
sys.meta_path.insert(0, AtCtrlC())
from cli.main import main
sys.argv = ["kessai", "serve"]
main()
"""


def test_ctrl_c_while_modules_load_is_one_line() -> None:
    """Where even the command's own helpers are not loaded yet."""
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        check=False, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr.count("\n")) == (130, 1), ended.stderr
    assert "nothing was done" in ended.stderr
