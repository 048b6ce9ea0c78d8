"""The vault: the PIN opens it, five wrong ones lock it, and no crash or crowd gives more tries."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kessai.complaint import Complaint
from kessai.envelope import raw_public_key
from kessai.money import Money
from simulators.phone.vault import MAX_TRIES, Vault, VaultLocked, WrongPin


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """Give a new vault with the PIN 1234."""
    return Vault.create(tmp_path, "1234", os.urandom)


def test_the_pin_opens_it(vault: Vault, tmp_path: Path) -> None:
    """The key is the one that was made, also after a restart."""
    key = Vault(tmp_path).unlock("1234")
    assert raw_public_key(key.public_key()) == vault.public_key


def test_the_file_does_not_tell_the_key(vault: Vault, tmp_path: Path) -> None:
    """The private number stands nowhere in the folder, and only the owner can read it."""
    number = vault.unlock("1234").private_numbers().private_value.to_bytes(32, "big")
    content = (tmp_path / "vault.json").read_text()
    assert number.hex() not in content
    assert number not in b"".join(bytes.fromhex(value) for value in json.loads(content).values())
    assert (tmp_path / "vault.json").stat().st_mode & 0o077 == 0


def test_five_wrong_pins_lock_it(vault: Vault, tmp_path: Path) -> None:
    """For ever, also for the right PIN, also after a restart."""
    for left in (4, 3, 2, 1):
        with pytest.raises(WrongPin) as wrong:
            Vault(tmp_path).unlock("9999")
        assert wrong.value.tries_left == left
    with pytest.raises(VaultLocked):
        vault.unlock("9999")
    assert vault.tries_left == 0
    with pytest.raises(VaultLocked):
        Vault(tmp_path).unlock("1234")


def test_the_right_pin_gives_the_tries_back(vault: Vault) -> None:
    """Four wrong ones in a row are forgotten."""
    for _ in range(2):
        for _ in range(MAX_TRIES - 1):
            with pytest.raises(WrongPin):
                vault.unlock("0000")
        vault.unlock("1234")
        assert vault.tries_left == MAX_TRIES


def test_parallel_guesses_count_like_any_others(vault: Vault, tmp_path: Path) -> None:
    """Twenty at once are five guesses; with the right one last, it does not get its turn."""

    def guess(pin: int) -> str:
        try:
            Vault(tmp_path).unlock(f"{pin:04d}")
        except (WrongPin, VaultLocked) as error:
            return type(error).__name__
        return "open"

    with ThreadPoolExecutor(8) as crowd:
        results = list(crowd.map(guess, range(20)))
    assert results.count("WrongPin") == MAX_TRIES - 1
    assert "open" not in results
    assert guess(1234) == "VaultLocked"


_KILLED_AT_THE_CHECK = """
import os, signal, sys
from pathlib import Path
from simulators.phone import vault
vault.hash_secret_raw = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
vault.Vault(Path(sys.argv[1])).unlock("0000")
"""


def test_a_power_cut_at_the_check_does_not_give_a_try_back(vault: Vault, tmp_path: Path) -> None:
    """The try was counted before the PIN was looked at."""
    script = [sys.executable, "-c", _KILLED_AT_THE_CHECK, str(tmp_path)]
    ended = subprocess.run(script, timeout=30, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert vault.tries_left == MAX_TRIES - 1


def test_a_count_that_is_gone_locks(vault: Vault, tmp_path: Path) -> None:
    """Deleting the count is no way to get tries."""
    (tmp_path / "pin_tries").unlink()
    with pytest.raises(VaultLocked):
        vault.unlock("1234")
    assert vault.tries_left == 0


@pytest.mark.parametrize("pin", ["", "123", "1234567890123", "12a4", "١٢٣٤"])
def test_what_is_no_pin(pin: str, tmp_path: Path) -> None:
    """Four to twelve digits, in one sentence; nothing is made."""
    with pytest.raises(Complaint, match="4 to 12 digits"):
        Vault.create(tmp_path, pin, os.urandom)
    assert not Vault.exists(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"salt": 1}', '{"salt": "xy"}'])
def test_a_damaged_vault_says_so(content: str, vault: Vault, tmp_path: Path) -> None:
    """In one sentence that also says where the money is."""
    (tmp_path / "vault.json").write_text(content)
    with pytest.raises(Complaint, match=r"damaged\. The money is safe"):
        Vault(tmp_path)


def test_no_vault(tmp_path: Path) -> None:
    """Says what to do."""
    with pytest.raises(Complaint, match="pair the phone first"):
        Vault(tmp_path)


def test_small_amounts_pass_without_a_pin_once_the_customer_allowed_it(
    vault: Vault, tmp_path: Path
) -> None:
    """Up to the limit and in its currency, also after a restart, until it is taken back."""
    assert (vault.small_limit, vault.open_small(Money(1, "EUR"))) == (None, None)
    with pytest.raises(WrongPin):
        vault.allow_small("0000", Money(500, "EUR"), os.urandom)
    vault.allow_small("1234", Money(500, "EUR"), os.urandom)
    again = Vault(tmp_path)
    key = again.open_small(Money(500, "EUR"))
    assert key is not None
    assert raw_public_key(key.public_key()) == vault.public_key
    assert again.open_small(Money(501, "EUR")) is None
    assert again.open_small(Money(1, "USD")) is None
    again.forbid_small()
    assert vault.open_small(Money(1, "EUR")) is None


def test_a_limit_that_was_altered_opens_nothing(vault: Vault, tmp_path: Path) -> None:
    vault.allow_small("1234", Money(500, "EUR"), os.urandom)
    path = tmp_path / "small_amounts.json"
    path.write_text(path.read_text().replace("5.00", "9.00"))
    assert vault.small_limit == Money(900, "EUR")
    assert vault.open_small(Money(100, "EUR")) is None


def test_a_locked_vault_opens_for_no_small_amount(vault: Vault) -> None:
    vault.allow_small("1234", Money(500, "EUR"), os.urandom)
    for _ in range(MAX_TRIES):
        with pytest.raises((WrongPin, VaultLocked)):
            vault.unlock("9999")
    assert vault.open_small(Money(1, "EUR")) is None
