"""`kessai phone` as a process, against a real switch and a real reader (rows B1 and B14)."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from edge_agents.links.radio import open_radio
from kessai.complaint import Complaint
from kessai.device_identity import load_identity, write_identity
from kessai.money import Money
from simulators.phone import tap_words
from simulators.phone.bank_line import open_bank_line
from simulators.phone.cli import phone
from simulators.phone.screen import Screen, View
from simulators.phone.vault import Vault
from simulators.town import free_udp_port
from tests.running import RunningSwitch, kessai
from tests.unit.edge_agents.links.fields import PATIENCE_S
from tests.unit.simulators.phone.counter import PIN, Counter, hash_of, read, status_of

_COMMAND = """
import sys
from kessai.complaint import Complaint
from simulators.phone.cli import phone
try:
    phone(args=sys.argv[1:])
except Complaint as complaint:
    sys.exit(str(complaint))
"""


def command(*words: str) -> list[str]:
    """Write a `kessai phone` command."""
    return [sys.executable, "-c", _COMMAND, *words]


def run(*words: str, says: str = "") -> str:
    """Run a `kessai phone` command to its end, with `says` piped in; what it printed.

    It may raise Complaint.
    """
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()) as printed,
    ):
        patch.setattr("sys.stdin", io.StringIO(says))
        phone(args=list(words), standalone_mode=False)
    return printed.getvalue()


def now_us() -> int:
    """Tell the time."""
    return time.time_ns() // 1_000


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSwitch]:
    """Give a running switch with two wallets, of 25.00 and 99.00 EUR."""
    running = RunningSwitch.start(tmp_path_factory.mktemp("bank") / "switch", shards=1)
    running.open_account("wallet/ada", 42, cash=2_500)
    running.open_account("wallet/bob", 43, cash=9_900)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def ada(switch: RunningSwitch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give Ada's phone, paired by the command."""
    folder = tmp_path_factory.mktemp("ada") / "phone"
    code = switch.pair_phone("ada", "pocket", "00010000004220")
    paired = run("pair", "--folder", str(folder), says=f"{code}\n{PIN}\n")
    assert "Paired as phone/ada/pocket" in paired
    return folder


def test_a_pairing_that_was_cut_off(switch: RunningSwitch, tmp_path: Path) -> None:
    """The same code goes on with the key in the vault; with another PIN it is refused."""
    code = switch.pair_phone("ada", "spare", "00010000004220")
    run("pair", "--folder", str(tmp_path), says=f"{code}\n{PIN}\n")
    vault = (tmp_path / "vault.json").read_bytes()
    (tmp_path / "device.json").unlink()  # as if the power had gone before the last file
    with pytest.raises(Complaint, match="another PIN"):
        run("pair", "--folder", str(tmp_path), says=f"{code}\n9999\n")
    run("pair", "--folder", str(tmp_path), says=f"{code}\n{PIN}\n")
    assert (tmp_path / "vault.json").read_bytes() == vault


@pytest.mark.parametrize(
    "words",
    [
        ("pair", "kessai://pair?x"),
        ("pair", "--pin", "4711"),
        ("without-pin", "--pin", "4711", "5.00 EUR"),
        ("tap", "--pin", "4711", "--field", "udp:127.0.0.1:1", "--answer", "approve"),
        ("tap", "--pin", "4711", "--field", "udp:127.0.0.1:1", "--answer", "ask"),
        ("bill", "--pin", "4711", "--field", "udp:127.0.0.1:1", "--for", "Lunch", "1.00 EUR"),
    ],
)
def test_a_secret_among_the_arguments_is_refused(words: tuple[str, ...], ada: Path) -> None:
    """Others may have read it already, so nothing is done with it."""
    with pytest.raises(Complaint, match="among the arguments can be read by anybody"):
        run(*words, "--folder", str(ada), says="kessai://pair?x\n")


def test_balance_and_statement(ada: Path) -> None:
    """One's own account, from one's own phone."""
    balance = run("balance", "--folder", str(ada))
    assert "0001-00000042-20" in balance
    assert "25.00 EUR" in balance
    assert "Cash paid in" in run("history", "--folder", str(ada))
    assert "not been asked to pay" in run("purchases", "--folder", str(ada))


async def test_another_users_account(ada: Path, tmp_path: Path) -> None:
    """Bob's account is unknown to Ada's certificate, whatever her phone asks or claims."""
    bobs = "00010000004317"
    with pytest.raises(Complaint, match="none of this phone's accounts"):
        await asyncio.to_thread(run, "history", "--folder", str(ada), "--account", bobs)
    async with open_bank_line(ada, now_us) as line:
        with pytest.raises(Complaint, match="no such account"):
            await line.statement(bobs, 20)
    claims = replace(load_identity(ada), accounts=(1_0000_0043,))
    write_identity(tmp_path, claims)
    async with open_bank_line(tmp_path, now_us) as line:
        with pytest.raises(Complaint, match="no such account"):
            await line.accounts()


async def test_the_bank_does_not_answer(ada: Path, tmp_path: Path) -> None:
    """One sentence, and nothing was lost."""
    write_identity(tmp_path, replace(load_identity(ada), server_address="127.0.0.1:1"))
    async with open_bank_line(tmp_path, now_us) as line:
        with pytest.raises(Complaint, match="does not answer"):
            await line.accounts()


def test_a_phone_whose_time_is_over(ada: Path) -> None:
    """It is told so before it calls."""

    async def call() -> None:
        async with open_bank_line(ada, lambda: now_us() + 8 * 86_400_000_000):
            pass

    with pytest.raises(Complaint, match="expired"):
        asyncio.run(call())


async def test_a_revoked_phone(switch: RunningSwitch, tmp_path: Path) -> None:
    """Its next call is refused."""
    code = switch.pair_phone("ada", "lost", "00010000004220")
    await asyncio.to_thread(
        partial(run, "pair", "--folder", str(tmp_path), says=f"{code}\n{PIN}\n")
    )
    async with open_bank_line(tmp_path, now_us) as line:
        assert await line.accounts()
    switch.revoke("phone/ada/lost")
    async with open_bank_line(tmp_path, now_us) as line:
        with pytest.raises(Complaint, match="The bank refuses"):
            await line.accounts()


def pin_file(folder: Path) -> tuple[str, str]:
    """The PIN in a file of its owner's own."""
    file = folder / "pin"
    file.touch(mode=0o600)
    file.write_text(PIN)
    return "--pin-file", str(file)


def test_a_phone_waits_for_its_cue(folder: Path) -> None:
    """It is not on the air before, and ends if nobody is there any more to give it."""
    words = ["tap", "--folder", str(folder), "--field", f"udp:127.0.0.1:{free_udp_port()}"]
    words += ("--answer", "decline", "--stay", "0.1", "--events", "--on-cue")
    forgotten = kessai("phone", *words, check=False, says="not yet\n")
    assert (forgotten.returncode, forgotten.stdout) == (3, "")
    cued = kessai("phone", *words, check=False, says="not yet\nnow\n")
    assert Screen.from_json(cued.stdout.splitlines()[0]).view is View.IDLE


@pytest.mark.parametrize("kind", ["udp", "pn532"])
async def test_a_tap_as_a_process(kind: str, folder: Path, tmp_path: Path) -> None:
    """Screens come as JSON lines; two taps; the second ends unpaid, which the exit code says."""
    counter = Counter()
    counter.now_us = now_us()
    where = f"udp:127.0.0.1:{free_udp_port()}" if kind == "udp" else f"pn532:{tmp_path / 'chip'}"
    words = (*pin_file(tmp_path), "--answer", "approve", "--taps", "2", "--events")
    process = await asyncio.create_subprocess_exec(
        *command("tap", "--folder", str(folder), "--field", where, "--stay", "20", *words),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    first = Screen.from_json((await process.stdout.readline()).decode())
    assert first.view is View.IDLE
    radio = open_radio(where)
    try:
        for total in (500, -1):
            request = counter.request(lambda r, t=total: setattr(r.total, "amount_minor", t))
            counter.session_id = counter.random_bytes(16)
            link = await radio.wait_for_phone(PATIENCE_S)
            assert link is not None
            answer = await link.exchange(counter.present(request), PATIENCE_S)
            while status_of(answer) == "CUSTOMER_DECIDING":
                answer = await link.exchange(counter.inquire(request), PATIENCE_S)
            if total > 0:
                assert read(answer).sealed_authorization.ciphertext
                delivered = await link.exchange(
                    counter.deliver(counter.receipt(request)), PATIENCE_S
                )
                assert status_of(delivered) == "RECEIPT_ACCEPTED"
                assert len(hash_of(request)) == 32
            assert await radio.wait_until_gone(PATIENCE_S)
    finally:
        await radio.close()
    rest = (await process.stdout.read()).decode().splitlines()
    views = [Screen.from_json(line).view for line in rest]
    assert await process.wait() == 3
    paid = [View.PURCHASE, View.ENTER_PIN, View.AUTHORIZED, View.PAID]
    assert views == [*paid, View.IDLE, View.REFUSED]
    assert not (tmp_path / "chip").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--field", "udp:127.0.0.1:1", "--answer", "approve"), "There is no PIN"),
        (("--field", "nonsense", "--answer", "decline"), "is no field"),
        (("--field", "pn532:/dev/null", "--answer", "decline"), "is no link"),
        (("--field", "udp:127.0.0.1:1", "--answer", "decline", "--account", "1"), "14 digits"),
    ],
)
def test_complaints(words: tuple[str, ...], says: str, folder: Path) -> None:
    """One sentence each, before anything is held to a reader."""
    with pytest.raises(Complaint, match=says):
        run("tap", "--folder", str(folder), *words)


def test_small_amounts_without_a_pin(folder: Path) -> None:
    """Set and taken back with the PIN, and with nothing else."""
    words = ("without-pin", "--folder", str(folder))
    assert "5.00 EUR" in run(*words, "5.00 EUR", says=PIN)
    assert Vault(folder).small_limit == Money(500, "EUR")
    for limit, pin, says in (
        ("9.00 EUR", "0000", "PIN does not fit"),
        ("never", "0000", "PIN does not fit"),
        ("9.001 EUR", PIN, "not an amount"),
        ("0.00 EUR", PIN, "more than zero"),
        ("nine", PIN, "names no currency"),
    ):
        with pytest.raises(Complaint, match=says):
            run(*words, limit, says=pin)
        assert Vault(folder).small_limit == Money(500, "EUR")
    assert "every amount" in run(*words, "never", says=PIN)
    assert Vault(folder).small_limit is None


def test_the_phone_is_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --events the window shows the phone; nobody came, so nothing was paid."""
    where = f"udp:127.0.0.1:{free_udp_port()}"
    words = ["--folder", str(folder), "--field", where, "--answer", "decline", "--stay", "0.1"]
    assert phone(args=["tap", *words], standalone_mode=False) == 3
    assert "Hold your phone to the" in capsys.readouterr().out


def test_a_tap_says_what_it_waits_for_and_how_it_ended(
    ada: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a field where no terminal is; exit code 3 has its last word."""
    monkeypatch.setattr(tap_words, "PATIENCE_S", 0.05)
    field = f"udp:127.0.0.1:{free_udp_port()}"
    words = ("tap", "--folder", str(ada), "--field", field, "--answer", "agree", "--stay", "1")
    with pytest.raises(SystemExit) as end:
        phone(args=list(words))
    error = capsys.readouterr().err
    assert end.value.code == 3
    assert f"no terminal is at {field} yet" in error
    assert "nothing was paid" in error.splitlines()[-1]
