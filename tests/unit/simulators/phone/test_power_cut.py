"""SIGKILL at any moment: what a terminal was given is kept, and a decision is never made twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulators.phone.customer import GivingUp
from simulators.phone.screen import View
from simulators.phone.store import Store
from tests.unit.simulators.phone.conftest import PocketMaker
from tests.unit.simulators.phone.counter import Counter, hash_of, read, status_of

_PHONE = """
import os, signal, sys
from pathlib import Path
from simulators.phone.customer import Approving
from simulators.phone import phone, store
from tests.unit.simulators.phone.counter import PIN, Counter, read

folder, moment, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
decide, counter = store.Store.decide, Counter()

def killed(self, decision):
    if moment == "after":
        decide(self, decision)
    os.kill(os.getpid(), signal.SIGKILL)

if moment != "any":
    store.Store.decide = killed
mine = phone.Phone(folder, Approving(PIN), lambda page: None, now_us=counter.clock, patience_s=10)
counter.random_bytes(seed)
while True:
    request = counter.request()
    sealed = read(mine._wallet.answer(counter.present(request))).sealed_authorization
    print(request.SerializeToString().hex(), sealed.SerializeToString().hex(), flush=True)
"""


def start(folder: Path, moment: str, seed: int = 0) -> subprocess.Popen[str]:
    """Start a phone that authorises one request after another, the first as `Counter` makes it."""
    script = [sys.executable, "-c", _PHONE, str(folder), moment, str(seed)]
    return subprocess.Popen(script, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_between_decision_and_answer(
    moment: str, counter: Counter, folder: Path, make_pocket: PocketMaker
) -> None:
    """Before it is kept the customer is asked again; after it the answer is there, unasked."""
    with start(folder, moment) as phone:
        told = phone.communicate(timeout=30)[0]
    assert phone.returncode == -signal.SIGKILL
    assert told == ""
    request = Counter().request()
    kept = Store(folder)
    decision = kept.find(hash_of(request))
    kept.close()
    if moment == "before":
        assert decision is None
        pocket = make_pocket()
        assert status_of(pocket.wallet.answer(counter.inquire(request))) == "REQUEST_UNKNOWN"
        assert status_of(pocket.wallet.answer(counter.present(request))) == "AUTHORIZED"
        assert View.ENTER_PIN in [page.view for page in pocket.pages]
    else:
        assert decision is not None
        pocket = make_pocket(GivingUp([]))
        answer = pocket.wallet.answer(counter.present(request))
        assert read(answer).sealed_authorization.SerializeToString() == decision.sealed
        assert View.ENTER_PIN not in [page.view for page in pocket.pages]


def test_at_random_moments(folder: Path, random_seed: int) -> None:
    """Whatever was told before the kill is what the file holds; the file is never damaged."""
    chance = random.Random(random_seed)
    told: dict[str, str] = {}
    for _ in range(4):
        with start(folder, "any", chance.randrange(1, 10_000)) as phone:
            assert phone.stdout is not None
            for _ in range(chance.randrange(1, 12)):
                request, sealed = phone.stdout.readline().split()
                told[request] = sealed
            phone.kill()
            for line in phone.stdout.read().split("\n"):
                if len(line.split()) == 2 and len(line) % 2:
                    request, sealed = line.split()
                    told[request] = sealed
    store = Store(folder)
    kept = {entry.payment_request.hex(): entry.sealed.hex() for entry in store.history(10_000)}
    store.close()
    assert told
    assert told.items() <= kept.items()
