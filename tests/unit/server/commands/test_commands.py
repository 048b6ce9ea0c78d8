"""What people type: it works on a running switch, and what is wrong is one line and exit code 1."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from kessai.device_identity import load_identity
from kessai.plain_text import MARK
from kessai.v1 import account_pb2
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.fleet_pb2 import AttachRequest, DeviceReport
from kessai.v1.fleet_pb2_grpc import FleetServiceStub
from tests.pairing import pair_agent
from tests.running import CALL_LIMIT_S, RunningSwitch, fresh_id, kessai, shard_path
from tests.unit.server.commands.conftest import Kessai


def test_accounts_are_opened_and_cash_goes_in_and_out(switch: RunningSwitch, run: Kessai) -> None:
    data = ("--data", str(switch.folder))
    assert "0001-00000042-" in run("account", "open", "wallet/ann", "--number", "42", *data)[1]
    number = "0001-00000042-20"
    assert run("account", "deposit", number, "12.34", *data)[0] == 0
    assert run("account", "withdraw", number, "2.34", *data)[0] == 0
    code, out, _ = run("account", "show", number, *data)
    assert (code, "10.00 EUR" in out, "wallet/ann" in out) == (0, True, True)
    code, out, _ = run("account", "statement", number, "--limit", "1", *data)
    assert (code, "-2.34" in out, "--page-token 2" in out) == (0, True, True)
    code, out, _ = run("account", "statement", number, "--page-token", "2", *data)
    assert (code, "12.34" in out, "cash deposit" in out) == (0, True, True)
    code, out, _ = run("account", "distribute", number, *data)
    assert (code, "distributed over" in out) == (0, True)
    code, out, _ = run("account", "merge", number, *data)
    assert (code, "0.00 EUR merged" in out, "auxiliaries" in out) == (0, True, True)
    code, out, _ = run("account", "statement", number, "--auxiliary", "1", *data)
    assert (code, "auxiliary 1" in out) == (0, True)
    code, out, _ = run("ledger", "trial-balance", *data)
    assert (code, "Debits equal credits" in out) == (0, True)
    code, out, _ = run("ledger", "verify", *data)
    assert (code, "The books verify" in out) == (0, True)


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "check digits": (("account", "show", "0001-00000042-21"), "check digits"),
    "no number": (("account", "show", "42"), "14 digits"),
    "nobody's": (("account", "show", "0001-00009999-25"), "no such account"),
    "an owner that cannot be": (("account", "open", "ann"), "wallet/<id>"),
    "no currency": (("account", "open", "wallet/a", "--currency", "EURO"), "ISO 4217"),
    "no amount": (("account", "deposit", "0001-00000042-20", "much"), "not an amount"),
    "too many digits": (("account", "deposit", "0001-00000042-20", "1.234"), "2 decimals"),
    "too large": (("account", "deposit", "0001-00000042-20", "9" * 19), "64 bits"),
    "nothing": (("account", "deposit", "0001-00000042-20", "0"), "more than zero"),
    "too little money": (
        ("account", "withdraw", "0001-00000042-20", "99999"),
        "No money was moved",
    ),
    "a limit that is no money": (
        ("merchant", "create", "m", "--name", "M", "--account", "0001-00000042-20",
         "--unverified-limit", "five euros"),
        "not a",
    ),
    "no such device": (("device", "revoke", "agent/shop/none"), "agent/shop/none"),
    "not a device": (("device", "pair", "till"), "no device"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_line(switch: RunningSwitch, run: Kessai, what: str) -> None:
    words, says = WRONG[what]
    code, _, error = run(*words, "--data", str(switch.folder))
    assert (code, error.count("\n")) == (1, 1), error
    assert says in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "words",
    [
        ("account", "open", "wallet/a", "--branch", "99999999999"),
        ("account", "open", "wallet/a", "--number", "-1"),
        ("account", "statement", "0001-00000042-20", "--limit", "501"),
        ("nothing",),
    ],
)
def test_wrong_use_is_exit_code_2(run: Kessai, tmp_path: Path, words: tuple[str, ...]) -> None:
    code, _, error = run(*words)
    assert code == 2
    assert "Traceback" not in error


def test_without_a_switch_it_says_how_to_start_one(
    run: Kessai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KESSAI_DATA", "KESSAI_IDENTITY"):
        monkeypatch.delenv(name, raising=False)
    free = "127.0.0.1:0"
    folder = tmp_path / "data"
    made = ("init", "--data", str(folder), "--shards", "1", "--listen", "127.0.0.1:1")
    assert run(*made, "--pairing-listen", free, "--metrics-listen", free)[0] == 0
    code, _, error = run("ledger", "trial-balance", "--data", str(folder))
    assert (code, "kessai serve" in error) == (1, True)
    code, _, error = run("ledger", "trial-balance")
    assert (code, "--data FOLDER" in error) == (1, True)
    for words in (("ledger", "verify"), ("serve",), ("account", "show", "0001-00000042-20")):
        code, _, error = run(*words, "--data", str(tmp_path / "none"))
        assert (code, error.count("\n"), "none" in error) == (1, 1, True), error
    code, _, error = run("init", "--data", str(folder))
    assert (code, "nothing was changed" in error) == (1, True)
    code, _, error = run("init", "--data", str(tmp_path / "new"), "--listen", "here")
    assert (code, error.count("\n"), "listen" in error) == (1, 1, True), error


def test_books_that_do_not_verify_are_exit_code_1(run: Kessai, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert run("init", "--data", str(folder), "--shards", "1")[0] == 0
    db = apsw.Connection(str(shard_path(folder, 0)))
    db.execute("INSERT INTO account VALUES (1,978,20,0,'wallet/ann',0,0,0,0,100,0)")
    db.close()
    code, out, error = run("ledger", "verify", "--data", str(folder))
    assert (code, error.count("do NOT verify"), out.count("fault:")) == (1, 1, 1)


def test_serve_stops_cleanly_and_refuses_in_one_line(tmp_path: Path) -> None:
    """SIGTERM: what was acknowledged is there, exit code 0; a wrong file: one line."""
    running = RunningSwitch.start(tmp_path / "data", shards=1)
    account = running.open_account("wallet/ann", 42)
    second = kessai("serve", "--data", str(running.folder), check=False)
    assert (second.returncode, second.stderr.count("\n")) == (1, 1), second.stderr
    assert "already running" in second.stderr
    with running.channel() as channel:
        stub = AccountServiceStub(channel)
        request = account_pb2.DepositCashRequest(request_id=fresh_id(), account_number=account)
        request.amount.amount_minor, request.amount.currency_code = 5, "EUR"
        calls = []
        for _ in range(20):
            request.request_id = fresh_id()
            calls.append(stub.DepositCash.future(request, timeout=CALL_LIMIT_S))
        calls[0].result()
        running.process.send_signal(signal.SIGTERM)
        acknowledged = sum(call.exception() is None for call in calls)
    running.stop()
    log = (running.folder / "serve.log").read_text()
    assert "Traceback" not in log
    again = RunningSwitch.start(running.folder)
    assert again.balance(account) >= 5 * acknowledged
    again.stop()
    (running.folder / "kessai.toml").write_text('listen = "nowhere"')
    wrong = kessai("serve", "--data", str(running.folder), check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1), wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_a_terminal_writes_nothing_on_the_operator_s_screen(
    switch: RunningSwitch, run: Kessai, tmp_path: Path
) -> None:
    """Whatever it calls itself: it gets through, and is listed in one line, as plain text."""
    data = ("--data", str(switch.folder))
    switch.create_merchant("evil", "[/] Shop", switch.open_account("merchant/evil", 77))
    pair_agent(tmp_path, switch.pair_terminal("evil", "till-1"))
    evil = "[/] [red]1.0[/red]\x1b[2J\nagent/evil/till-9 in touch \u202e"
    report = DeviceReport(software_version=evil, state=evil)
    said = f"[/] [red]1.0[/red]{MARK}[2J agent/evil/till-9 in touch {MARK}"
    gone = threading.Event()

    def reports() -> Iterator[AttachRequest]:
        yield AttachRequest(report=report)
        gone.wait(CALL_LIMIT_S)

    with switch.channel(load_identity(tmp_path)) as channel:
        answers = FleetServiceStub(channel).Attach(reports(), timeout=2 * CALL_LIMIT_S)
        assert next(iter(answers)).HasField("deny_list")
        deadline = time.monotonic() + CALL_LIMIT_S  # it is entered beside the first answer
        while said not in (shown := run("device", "list", *data))[1]:
            assert time.monotonic() < deadline, shown
            time.sleep(0.05)
        gone.set()
    for words in (("device", "list"), ("device", "show", "agent/evil/till-1")):
        code, out, err = run(*words, *data)
        assert (code, err) == (0, "")
        assert said in out
        assert "\x1b" not in out


def test_losses_are_listed_and_forgiven(switch: RunningSwitch, run: Kessai) -> None:
    data = ("--data", str(switch.folder))
    code, out, _ = run("loss", "list", *data)
    assert (code, "terminals lost nothing" in out) == (0, True)
    code, out, _ = run("loss", "forgive", "ann", *data)
    assert (code, "0 losses of ann" in out) == (0, True)
    code, _, error = run("loss", "forgive", "Ann!", *data)
    assert (code, error.count("\n"), "wallet_id" in error) == (1, 1, True)
