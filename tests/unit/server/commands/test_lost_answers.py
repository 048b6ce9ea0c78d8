"""An answer that is lost: the command asks again, or says what is unknown and how to ask."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from kessai.device_identity import write_identity
from server.commands import operator_line
from server.main import now_us
from tests.running import RunningSwitch
from tests.scenarios.opened_line import OpenedLine
from tests.unit.server.commands.conftest import Kessai

NUMBER = "00010000004220"


class LosingLine(OpenedLine):
    """A line that brings a call to the switch, and then does something else than answer."""

    def __init__(self, switch: RunningSwitch) -> None:
        super().__init__(switch, switch.operator, now_us)
        self.instead: Callable[[grpc.ServicerContext], None] = lambda _: None

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Carry any call."""
        carried = super().service(details).unary_unary
        assert carried is not None

        def lose(message: bytes, context: grpc.ServicerContext) -> bytes:
            answer: bytes = carried(message, context)
            self.instead(context)
            return answer

        return grpc.unary_unary_rpc_method_handler(lose)


@pytest.fixture
def line(switch: RunningSwitch, tmp_path: Path) -> Iterator[tuple[LosingLine, str]]:
    """A losing line, and the folder of an operator who calls over it."""
    opened = LosingLine(switch)
    folder = tmp_path / "operator"
    write_identity(folder, replace(switch.operator, server_address=opened.address))
    yield opened, str(folder)
    opened.close()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def account(switch: RunningSwitch) -> str:
    """An account that is there."""
    return switch.open_account("wallet/ann", 42)


def test_an_answer_that_is_lost_once_is_asked_for_again(
    switch: RunningSwitch, account: str, run: Kessai, line: tuple[LosingLine, str]
) -> None:
    """Under the same id, so it is booked once."""
    opened, folder = line
    before = switch.balance(account)

    def lose_once(context: grpc.ServicerContext) -> None:
        opened.instead = lambda _: None
        context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")

    opened.instead = lose_once
    code, out, error = run("account", "deposit", NUMBER, "5.00 EUR", "--identity", folder)
    assert (code, error) == (0, "")
    assert re.search(r"request [0-9a-f-]{36}", out)
    first, second = opened.asked("DepositCash")
    assert first == second
    assert switch.balance(account) == before + 500


def test_an_outcome_that_stays_unknown_is_said_to_be_so(
    switch: RunningSwitch,
    account: str,
    run: Kessai,
    line: tuple[LosingLine, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Never that no switch answers; and the same id tells what became of it."""
    monkeypatch.setattr(operator_line, "LINE_S", 0.5)
    opened, folder = line
    before = switch.balance(account)

    def hang_up(context: grpc.ServicerContext) -> None:
        gone = threading.Event()
        context.add_callback(gone.set)
        threading.Thread(target=opened.close).start()
        gone.wait(timeout=10)

    opened.instead = hang_up
    code, _, error = run("account", "deposit", NUMBER, "5.00 EUR", "--identity", folder)
    assert (code, error.count("\n")) == (1, 1)
    assert "The outcome is unknown" in error
    assert "no switch answers" not in error
    request_id = re.search(r"--request-id ([0-9a-f-]{36})", error)
    assert request_id is not None
    again = ("--request-id", request_id[1], "--data", str(switch.folder))
    code, out, _ = run("account", "deposit", NUMBER, "5.00 EUR", *again)
    assert (code, request_id[1] in out) == (0, True)
    assert switch.balance(account) == before + 500


def test_what_is_unknown_to_the_switch_keeps_its_words(
    account: str, run: Kessai, line: tuple[LosingLine, str]
) -> None:
    """An internal error may have come after the deed."""
    opened, folder = line
    opened.instead = lambda context: context.abort(grpc.StatusCode.INTERNAL, "it broke")
    code, _, error = run("account", "deposit", NUMBER, "5.00 EUR", "--identity", folder)
    assert (code, error.count("\n")) == (1, 1)
    assert "it broke. The outcome is unknown" in error


def test_ctrl_c_says_what_is_unknown(
    account: str, run: Kessai, line: tuple[LosingLine, str]
) -> None:
    """Exit code 130, and the id to ask again by."""
    opened, folder = line
    gone = threading.Event()

    def interrupt(context: grpc.ServicerContext) -> None:
        context.add_callback(gone.set)
        os.kill(os.getpid(), signal.SIGINT)
        gone.wait(timeout=10)

    opened.instead = interrupt
    code, _, error = run("account", "deposit", NUMBER, "5.00 EUR", "--identity", folder)
    assert (code, error.count("\n")) == (130, 1)
    assert "stopped before the answer came. The outcome is unknown" in error
    assert "--request-id" in error


def test_an_id_that_is_none_is_one_line(run: Kessai, switch: RunningSwitch) -> None:
    """Nothing is sent."""
    where = ("--request-id", "7", "--data", str(switch.folder))
    code, _, error = run("account", "deposit", NUMBER, "5.00 EUR", *where)
    assert (code, error.count("\n"), "--request-id" in error) == (1, 1, True)
