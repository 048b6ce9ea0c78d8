"""Both benches, small: a real switch, real books, and an audit that does not let errors pass."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from kessai.channel import CHANNEL_OPTIONS
from kessai.complaint import Complaint
from kessai.v1.payment_pb2 import SettlePaymentRequest
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from simulators.load import (
    account_store,
    books,
    engine,
    growth,
    hot,
    payments,
    recovery,
    stream,
    wire,
)
from simulators.load.attacks import Attack
from simulators.load.audit import Acknowledged, audit
from simulators.load.books import Payees, Population
from simulators.load.engine import run_engine
from simulators.load.flood import run_flood
from simulators.load.gates import run_gates
from simulators.load.growth import run_growth
from simulators.load.hot import run_hot
from simulators.load.parties import Parties, enroll
from simulators.load.payments import Answered, Checked, Payment
from simulators.load.postgres_server import MISSING, find_binaries
from simulators.load.recovery import run_recovery
from simulators.load.stream import run_stream
from simulators.load.switch_process import SwitchProcess
from simulators.load.tap import run_tap
from simulators.load.wire import run_wire

pytestmark = pytest.mark.full

SMALL = Population(accounts=40, wallets=3, merchants=2)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Parties]:
    """A data folder with a small population, and everybody's keys."""
    data = tmp_path_factory.mktemp("bench") / "data"
    books.create_folder(data)
    with ThreadPoolExecutor() as threads:
        for shard in books.fill(data, SMALL, threads):
            shard.result()
    return data, enroll(data, SMALL)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round of each bench, one process for the shards, and the least of the rival."""
    for bench in (engine, hot, recovery, stream, wire):
        monkeypatch.setattr(bench, "ROUNDS", 1)
    monkeypatch.setattr(account_store, "SHARD_PROCESSES", 1)
    monkeypatch.setattr(engine, "PGBENCH_SCALE", 1)
    monkeypatch.setattr(engine, "PGBENCH_CLIENTS", (1,))


def test_the_wire_bench_measures_and_its_books_verify(tmp_path: Path) -> None:
    """Settlements and no-ops were answered, none was dropped, and all are in the books."""
    told: list[str] = []
    figures = run_wire(tmp_path, 1.5, 100, told.append)
    assert figures.settlements_per_second > 10
    assert figures.noop_per_second > figures.settlements_per_second
    assert 0 < figures.p50_ms <= figures.p99_ms
    assert 0 < figures.rss_mb <= figures.peak_mb
    assert figures.acknowledged > 50
    assert told[-1] == "verifying the books"


def test_one_hostile_terminal_costs_no_payment_and_fills_no_memory(tmp_path: Path) -> None:
    """Every attack, small: all honest payments are answered, and the books verify after."""
    figures = run_flood(tmp_path, 6, 100, lambda doing: None)
    assert figures.dropped == 0
    assert figures.acknowledged > 100
    assert list(figures.attacks) == list(Attack)
    for under in figures.attacks.values():
        assert under.struck.sent > 0
        assert 0 < under.p50_ms <= under.p99_ms <= figures.p99_ms
    by_an_identity = [figures.attacks[a] for a in Attack if a is not Attack.IDLE_LINES]
    assert max(under.rss_growth_mb for under in by_an_identity) < 50


def test_the_engine_bench_measures_both_engines_beside_their_rival(tmp_path: Path) -> None:
    """Money crosses shards, the books verify, and PostgreSQL is measured where there is one."""
    figures = run_engine(tmp_path, 0.8, 200, Payees.ZIPF, lambda doing: None)
    assert figures.settlements_per_second > 10
    if find_binaries() is None:
        assert (figures.note, figures.ratio, figures.postgresql_ratio) == (MISSING, None, None)
    else:
        assert figures.pgbench_tps
        assert figures.postgresql_settlements_per_second
        assert not figures.note


def test_without_postgresql_there_is_no_ratio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settlements are measured all the same, and one line says what is missing."""
    monkeypatch.setattr(engine, "find_binaries", lambda: None)
    figures = run_engine(tmp_path, 0.8, 200, Payees.UNIFORM, lambda doing: None)
    assert figures.settlements_per_second > 10
    assert (figures.note, figures.ratio, figures.postgresql_ratio) == (MISSING, None, None)


def test_the_stream_bench_measures_and_its_books_verify(tmp_path: Path) -> None:
    """Batches and unary calls were settled, none was dropped, and all are in the books."""
    figures = run_stream(tmp_path, 1.0, 100, lambda doing: None)
    assert figures.settlements_per_second > 10
    assert figures.wire_per_second > 10
    assert figures.dropped == 0
    assert figures.acknowledged > 50


def test_the_hot_bench_measures_and_its_books_verify(tmp_path: Path) -> None:
    figures = run_hot(tmp_path, 0.8, 200, lambda doing: None)
    assert figures.hot_per_second > 10
    assert figures.uniform_per_second > 10


def test_the_growth_bench_measures_and_its_books_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both books, reads at rest and under load, and the server's memory."""
    monkeypatch.setattr(growth, "FEW_ACCOUNTS", 100)
    monkeypatch.setattr(growth, "ROUNDS", 1)
    figures = run_growth(tmp_path, 1.0, 200, 300, lambda doing: None)
    assert 0.1 < figures.ratio < 10
    assert 0.1 < figures.statement_ratio < 10
    assert figures.rss_mb > 30
    assert figures.read_p99_ms > 0
    assert figures.loaded_read_p99_ms > 0


def test_the_recovery_bench_kills_the_switch_and_finds_every_payment(tmp_path: Path) -> None:
    """What was not answered is sent again; the books show each payment once."""
    figures = run_recovery(tmp_path, 0.4, 200, 1000, lambda doing: None)
    assert 0 < figures.restart_s <= figures.slowest_s
    assert figures.rows > 1000
    assert figures.acknowledged > 10


def test_the_tap_bench_measures_both_radios(tmp_path: Path) -> None:
    """Air and serial line take time that is not ours, the model of them at least 10 ms a tap."""
    figures = run_tap(tmp_path, 8, lambda doing: None)
    assert 1 < figures.p50_ms <= figures.p99_ms
    assert 10 < figures.p50_air_ms <= figures.p99_air_ms
    assert figures.taps == 8


def test_the_gate_bench_measures_on_line_and_off(tmp_path: Path) -> None:
    """Over both radios, and in the end without the switch; every gate opened for whom it should."""
    figures = run_gates(tmp_path, 4, lambda doing: None)
    assert 1 < figures.gate_p50_ms <= figures.gate_p99_ms
    assert figures.gate_p99_air_ms is not None
    assert figures.p99_edge_air_ms is not None
    assert figures.p99_edge_air_ms > 10
    assert (figures.passages, figures.wrong_decisions) == (2 * 5 + 2 * 3 + 5, 0)


def test_the_audit_finds_what_the_books_do_not_show(filled: tuple[Path, Parties]) -> None:
    """More acknowledged than booked, or a bad receipt: the figures do not count."""
    data, _ = filled
    audit(data, Acknowledged())
    audit(data, Acknowledged(unknown=3))
    with pytest.raises(Complaint, match="the books show 0 payments"):
        audit(data, Acknowledged(payments=1, minor=500))
    with pytest.raises(Complaint, match="not good receipts; the first: forged"):
        audit(data, Acknowledged(faults=1, first_fault="forged"))


def test_a_payment_that_was_settled_and_not_acknowledged_is_found(
    filled: tuple[Path, Parties],
) -> None:
    """The books show one more than was answered."""
    data, parties = filled
    payments.start_with(parties, SMALL)
    [payment] = payments.prepare(1, seed=1)
    response = _settle(data, parties, payment)
    checked = payments.check([Answered(payment, response)])
    assert (checked.settled, checked.settled_minor) == (1, payment.amount_minor)
    acknowledged = Acknowledged()
    acknowledged.add(checked)
    audit(data, acknowledged)
    with pytest.raises(Complaint, match="the books show 1 payments"):
        audit(data, Acknowledged())
    audit(data, Acknowledged(unknown=1))
    with pytest.raises(Complaint, match="the books show 1 payments"):
        audit(data, Acknowledged(payments=1, minor=payment.amount_minor + 1))
    _assert_faults_are_found(payment, response)


def test_a_switch_that_does_not_start_is_a_complaint(tmp_path: Path) -> None:
    """It says what the switch said."""
    with pytest.raises(Complaint, match=r"did not start; it said: .*kessai init"):
        SwitchProcess(tmp_path)


def _settle(data: Path, parties: Parties, payment: Payment) -> bytes:
    identity = parties.terminals[payment.terminal].identity
    credentials = grpc.ssl_channel_credentials(
        identity.root_pem, identity.key_pem, identity.chain_pem
    )
    with SwitchProcess(data) as switch:
        address = switch.running.address
        with grpc.secure_channel(address, credentials, list(CHANNEL_OPTIONS)) as channel:
            request = SettlePaymentRequest.FromString(payment.message)
            answer = PaymentServiceStub(channel).SettlePayment(request, timeout=10)
        switch.stop()
    return answer.SerializeToString()


def _assert_faults_are_found(payment: Payment, response: bytes) -> None:
    """A receipt of another payment, over another amount, or not signed, is none."""
    [other] = payments.prepare(1, seed=2)
    dearer = Payment(
        payment.terminal, payment.message, payment.request_id, payment.amount_minor + 1
    )
    forged = response[:-1] + bytes([response[-1] ^ 1])
    checked: Checked = payments.check(
        [Answered(other, response), Answered(dearer, response), Answered(payment, forged)]
    )
    assert checked.settled == 0
    assert len(checked.faults) == 3
    assert "another payment's" in checked.faults[0]
    assert "another amount" in checked.faults[1]
    assert "not good" in checked.faults[2]
